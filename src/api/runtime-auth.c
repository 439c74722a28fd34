/* SPDX-License-Identifier: Apache-2.0
 *
 * Registering, logging in, and coming as a guest. These three answers are not wrapped: {token, email, name}. Every user is
 * a tenant of its own: nobody sees another's jobs, and nobody's programs push aside another's.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "api/runtime.h"
#include "api/token.h"
#include "base/err.h"
#include "base/util.h"

enum { EMAIL_MAX = 254, NAME_MAX_BYTES = 200, PASSWORD_MIN = 8, PASSWORD_MAX = 72 }; /* 72: what bcrypt reads */

static int64_t now_ms(void) {
        struct timespec t;
        (void)clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void reply_token(struct rt_exchange *x, const char *subject, const char *email, const char *name) {
        const char *token = rt_token_make(x->config->auth_jwt_secret, subject, time(NULL),
                                          (int64_t)(x->config->auth_jwt_lifetime / 1000), &x->arena);
        json_t *answer = token ? json_pack("{s:s, s:s, s:s}", "token", token, "email", email, "name", name) : NULL;
        rt_exchange_reply_json(x, 200, answer ? json_dumps(answer, JSON_COMPACT) : NULL);
        json_decref(answer);
}

/* A tenant, then its user. RETORT_E_INPUT: the address is taken. */
static int add_user(struct rt_exchange *x, struct rt_store_user *user, struct retort_error *err) {
        struct rt_store *store = rt_service_store(x->service);
        struct rt_store_tenant tenant = { .name = rt_arena_printf(&x->arena, "user:%s", user->email), .quotas_json = "{}" };
        int r = tenant.name ? rt_store_tenant_put(store, &tenant, err) : rt_fail_nomem(err);
        user->tenant_id = tenant.id;
        user->created_ms = now_ms();
        return r < 0 ? r : rt_store_user_add(store, user, err);
}

static const char *text_of(json_t *body, const char *key) {
        const char *text = json_string_value(json_object_get(body, key));
        return text ? text : "";
}

static const char *wrong_with(const char *email, const char *name, const char *password) {
        const char *at = strchr(email, '@');
        if (strlen(email) > EMAIL_MAX || !at || at == email || !at[1] || strpbrk(email, " \t\r\n"))
                return "email: must be an e-mail address";
        if (!*name || strlen(name) > NAME_MAX_BYTES)
                return "name: must have 1 to 200 bytes";
        if (strlen(password) < PASSWORD_MIN || strlen(password) > PASSWORD_MAX)
                return "password: must have 8 to 72 bytes";
        return NULL;
}

static void register_with(struct rt_exchange *x, json_t *body) {
        struct retort_error err = { 0 };
        struct rt_store_user user = { .email = text_of(body, "email"), .name = text_of(body, "name"), .provider = "LOCAL" };
        const char *password = text_of(body, "password");
        const char *wrong = wrong_with(user.email, user.name, password);
        if (wrong) {
                rt_runtime_reply(x, 400, false, wrong, NULL);
                return;
        }
        user.password_hash = rt_password_hash(password, &x->arena);
        int r = user.password_hash ? add_user(x, &user, &err) : rt_fail(&err, RETORT_E_SYSTEM, "cannot hash the password");
        if (r == RETORT_E_INPUT)
                rt_runtime_reply(x, 409, false, "Email already in use", NULL);
        else if (r < 0)
                rt_runtime_reply(x, 500, false, err.message, NULL);
        else
                reply_token(x, user.email, user.email, user.name);
}

void rt_runtime_register(struct rt_exchange *x) {
        if (!x->config->auth_allow_register) {
                rt_runtime_reply(x, 403, false, "Registration is switched off", NULL);
                return;
        }
        json_t *body = rt_runtime_body(x);
        if (body)
                register_with(x, body);
        json_decref(body);
}

/* Whether the address exists must not show in the time it takes: a hash is computed either way. */
static void login_with(struct rt_exchange *x, json_t *body) {
        static const char nobody[] = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8.k3o1Z0YV9cH3rQWJrC1T7U1mYkqi";
        struct rt_store_user user = { 0 };
        const char *email = text_of(body, "email");
        int r = rt_store_user_by_email(rt_service_store(x->service), email, &x->arena, &user, NULL);
        const char *hash = r == 0 && user.password_hash ? user.password_hash : nobody;
        bool fits = rt_password_fits(text_of(body, "password"), hash);
        if (r == 0 && fits && hash != nobody)
                reply_token(x, user.email, user.email, user.name);
        else if (r < 0 && r != RETORT_E_INPUT)
                rt_runtime_reply(x, 500, false, "the store does not answer", NULL);
        else
                rt_runtime_reply(x, 401, false, "Invalid email or password", NULL);
}

void rt_runtime_login(struct rt_exchange *x) {
        json_t *body = rt_runtime_body(x);
        if (body)
                login_with(x, body);
        json_decref(body);
}

void rt_runtime_guest(struct rt_exchange *x) {
        unsigned char random[12];
        char email[64] = "guest_";
        struct retort_error err = { 0 };
        if (!x->config->auth_allow_guest) {
                rt_runtime_reply(x, 403, false, "Guests are not allowed", NULL);
                return;
        }
        (void)!getrandom(random, sizeof random, 0);
        for (size_t i = 0; i < sizeof random; i++)
                (void)snprintf(email + 6 + 2 * i, 3, "%02x", random[i]);
        struct rt_store_user user = { .email = email, .name = "GUEST", .provider = "GUEST" };
        if (add_user(x, &user, &err) < 0)
                rt_runtime_reply(x, 500, false, err.message, NULL);
        else
                reply_token(x, email, "guest", "GUEST");
}
