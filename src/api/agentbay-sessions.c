/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of sessions. It says which contexts belong together; whether they still live is the service's to say.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "api/agentbay.h"
#include "base/err.h"
#include "base/util.h"
#include "service/keys.h"

const char *const rt_ab_languages[RT_AB_LANGUAGES] = { "python", "javascript", "r", "java" };

int rt_agentbay_open(struct rt_agentbay **ret_table, struct retort_error *err) {
        struct rt_agentbay *table = calloc(1, sizeof *table);
        if (!table)
                return rt_fail_nomem(err);
        (void)pthread_mutex_init(&table->lock, NULL);
        atomic_init(&table->references, 1);
        *ret_table = table;
        return 0;
}

static void let_go_table(struct rt_agentbay *table) {
        if (atomic_fetch_sub(&table->references, 1) != 1)
                return;
        (void)pthread_mutex_destroy(&table->lock);
        free(table);
}

void rt_agentbay_close(struct rt_agentbay *table) {
        if (!table)
                return;
        (void)pthread_mutex_lock(&table->lock);
        struct rt_ab_session *all = rt_take(table->sessions);
        for (struct rt_ab_session *s = all; s; s = s->next)
                s->gone = true;
        (void)pthread_mutex_unlock(&table->lock);
        while (all) {
                struct rt_ab_session *next = all->next;
                rt_ab_session_let_go(all);
                all = next;
        }
        let_go_table(table);
}

struct rt_ab_session *rt_ab_session_new(struct rt_agentbay *table, const struct rt_caller *caller, const char *key) {
        struct rt_ab_session *s = calloc(1, sizeof *s);
        if (!s)
                return NULL;
        s->table = table;
        s->caller = *caller;
        s->key = key ? strdup(key) : NULL;
        s->created_ns = rt_now_ns();
        atomic_init(&s->references, 1);
        (void)atomic_fetch_add(&table->references, 1);
        if ((!key || s->key) && rt_random_hex(s->token, 32, NULL) == 0)
                return s;
        rt_ab_session_let_go(s);
        return NULL;
}

void rt_ab_session_enter(struct rt_ab_session *s) {
        (void)atomic_fetch_add(&s->references, 1);
        (void)pthread_mutex_lock(&s->table->lock);
        struct rt_ab_session **at = &s->table->sessions;
        while (*at && strcmp((*at)->id, s->id) > 0)
                at = &(*at)->next;
        s->next = *at;
        *at = s;
        (void)pthread_mutex_unlock(&s->table->lock);
}

struct rt_ab_session *rt_ab_session_find(struct rt_agentbay *table, int64_t tenant_id, const char *id) {
        (void)pthread_mutex_lock(&table->lock);
        struct rt_ab_session *s = table->sessions;
        while (s && (strcmp(s->id, id) != 0 || (tenant_id && s->caller.tenant_id != tenant_id)))
                s = s->next;
        if (s)
                (void)atomic_fetch_add(&s->references, 1);
        (void)pthread_mutex_unlock(&table->lock);
        return s;
}

bool rt_ab_session_has_token(const struct rt_ab_session *s, const char *token) {
        size_t size = sizeof s->token - 1;
        return token && strnlen(token, size + 1) == size && CRYPTO_memcmp(token, s->token, size) == 0;
}

/* Under the lock. */
static void take_out(struct rt_ab_session *s) {
        struct rt_ab_session **at = &s->table->sessions;
        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        s->gone = true;
}

bool rt_ab_session_remove(struct rt_ab_session *s) {
        (void)pthread_mutex_lock(&s->table->lock);
        bool mine = !s->gone;
        if (mine)
                take_out(s);
        (void)pthread_mutex_unlock(&s->table->lock);
        if (mine)
                rt_ab_session_let_go(s); /* the table's */
        return mine;
}

void rt_ab_session_let_go(struct rt_ab_session *s) {
        if (!s || atomic_fetch_sub(&s->references, 1) != 1)
                return;
        if (s->key)
                OPENSSL_cleanse(s->key, strlen(s->key));
        OPENSSL_cleanse(s->token, sizeof s->token);
        free(s->key);
        free(s->image);
        free(s->labels);
        rt_ab_folders_free(s->folders);
        let_go_table(s->table);
        free(s);
}

static bool is_known(const struct rt_ab_session *s, const struct rt_listing *known) {
        for (size_t i = 0; i < known->n; i++)
                if (strcmp(known->records[i].id, s->id) == 0)
                        return true;
        return false;
}

void rt_ab_sessions_sweep(struct rt_agentbay *table, int64_t tenant_id, uint64_t before_ns, const struct rt_listing *known) {
        struct rt_ab_session *over = NULL;
        (void)pthread_mutex_lock(&table->lock);
        for (struct rt_ab_session **at = &table->sessions; *at;) {
                struct rt_ab_session *s = *at;
                if (s->caller.tenant_id != tenant_id || s->created_ns >= before_ns || is_known(s, known)) {
                        at = &s->next;
                        continue;
                }
                *at = s->next;
                s->gone = true;
                s->next = over;
                over = s;
        }
        (void)pthread_mutex_unlock(&table->lock);
        while (over) {
                struct rt_ab_session *next = over->next;
                rt_ab_session_let_go(over);
                over = next;
        }
}
