/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort keys": on the database itself, so that a first key can be made where no server runs.
 */
#include "service/keys.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "base/err.h"
#include "base/util.h"
#include "cli/out.h"
#include "cli/text.h"
#include "server/server.h"
#include "store/store.h"

static int64_t now_ms(void) {
        return (int64_t)time(NULL) * 1000;
}

/* "90s", "45m", "12h", "30d" to milliseconds. */
static int read_duration(const char *text, int64_t *ret_ms, struct retort_error *err) {
        static const struct {
                char unit;
                int64_t seconds;
        } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
        char *end;
        errno = 0;
        long long n = strtoll(text, &end, 10);
        for (size_t i = 0; i < RT_LEN(units); i++)
                if (end != text && end[0] == units[i].unit && !end[1] && errno == 0 && n > 0 && n < 1000000000) {
                        *ret_ms = n * units[i].seconds * 1000;
                        return 0;
                }
        return rt_fail(err, RETORT_E_INPUT, "--expires: \"%s\" is no time like 90s, 45m, 12h or 30d", text);
}

static int create(struct rt_cli *cli, const struct rt_keys_opts *o, struct rt_store *store, struct retort_error *err) {
        char key[RT_KEY_TEXT];
        int64_t id = 0, lifetime = 0;
        int r = o->expires ? read_duration(o->expires, &lifetime, err) : 0;
        const struct rt_key_order order = { .name = o->name, .tenant = o->tenant, .scopes = o->scopes,
                                            .expires_ms = lifetime ? now_ms() + lifetime : 0 };
        if (r == 0)
                r = rt_keys_create(store, &order, now_ms(), key, &id, err);
        if (r < 0)
                return r;
        rt_auto_buf struct rt_buf out = RT_BUF(4096);
        if (o->json)
                (void)rt_buf_printf(&out, "{\"id\":%lld,\"key\":\"%s\"}\n", (long long)id, key);
        else
                (void)rt_buf_printf(&out, "%s\n", key);
        return rt_out_flush(cli->out, &out) < 0 ? rt_fail_errno(err, "cannot write to stdout") : 0;
}

/* ---- the list ---- */

static const char *tenant_name(const struct rt_store_tenant *tenants, size_t n, int64_t id) {
        for (size_t i = 0; i < n; i++)
                if (tenants[i].id == id)
                        return tenants[i].name;
        return "?";
}

static const char *state_of(const struct rt_store_key *key) {
        if (key->revoked_ms)
                return "revoked";
        return key->expires_ms && key->expires_ms <= now_ms() ? "expired" : "good";
}

static const char *time_of(struct rt_arena *arena, int64_t unix_ms) {
        char text[25];
        if (!unix_ms)
                return "-";
        rt_time_text(text, unix_ms);
        return rt_arena_copy(arena, text, 19); /* to the second */
}

static void print_table(struct rt_cli *cli, const struct rt_store_key *keys, size_t n, const struct rt_store_tenant *tenants,
                        size_t n_tenants, struct rt_buf *out) {
        struct rt_table table = { .columns = 6, .arena = &cli->arena };
        rt_table_row(&table, (const char *[]){ "ID", "KEY", "TENANT", "SCOPES", "LAST USED", "STATE" });
        for (size_t i = 0; i < n; i++) {
                const char *id = rt_arena_printf(&cli->arena, "%lld", (long long)keys[i].id);
                rt_table_row(&table, (const char *[]){ id, rt_arena_printf(&cli->arena, "%s...", keys[i].prefix),
                                                       tenant_name(tenants, n_tenants, keys[i].tenant_id), keys[i].scopes,
                                                       time_of(&cli->arena, keys[i].last_used_ms), state_of(&keys[i]) });
        }
        rt_table_print(&table, out);
}

static json_t *describe(struct rt_cli *cli, const struct rt_store_key *key, const char *tenant) {
        json_t *object = json_pack("{s:I, s:s, s:s?, s:s, s:s, s:s}", "id", (json_int_t)key->id, "prefix", key->prefix, "name",
                                   key->name, "tenant", tenant, "scopes", key->scopes, "state", state_of(key));
        const int64_t times[] = { key->created_ms, key->expires_ms, key->last_used_ms, key->revoked_ms };
        static const char *const names[] = { "created_at", "expires_at", "last_used_at", "revoked_at" };
        for (size_t i = 0; i < RT_LEN(times); i++)
                if (times[i])
                        (void)json_object_set_new(object, names[i], json_string(time_of(&cli->arena, times[i])));
        return object;
}

static int list(struct rt_cli *cli, const struct rt_keys_opts *o, struct rt_store *store, struct retort_error *err) {
        struct rt_store_key *keys;
        struct rt_store_tenant *tenants;
        size_t n, n_tenants;
        int r = rt_store_keys(store, &cli->arena, &keys, &n, err);
        if (r == 0)
                r = rt_store_tenants(store, &cli->arena, &tenants, &n_tenants, err);
        if (r < 0)
                return r;
        rt_auto_buf struct rt_buf out = RT_BUF(64 << 20);
        if (!o->json) {
                print_table(cli, keys, n, tenants, n_tenants, &out);
                return rt_out_flush(cli->out, &out) < 0 ? rt_fail_errno(err, "cannot write to stdout") : 0;
        }
        json_t *all = json_array();
        for (size_t i = 0; i < n; i++)
                (void)json_array_append_new(all, describe(cli, &keys[i], tenant_name(tenants, n_tenants, keys[i].tenant_id)));
        rt_auto_free char *text = json_dumps(all, JSON_COMPACT);
        json_decref(all);
        if (!text)
                return rt_fail_nomem(err);
        return rt_out_json(cli->out, text) < 0 ? rt_fail_errno(err, "cannot write to stdout") : 0;
}

/* ---- the command ---- */

static int open_store(struct rt_config *config, struct rt_store **ret_store, struct retort_error *err) {
        bool own = false;
        int r = rt_settings_place(config, &own, err);
        if (r == 0)
                r = rt_host_become(config, own, err); /* or the server could not write what root has made */
        const struct rt_store_config store = { .path = config->store_path, .keep_jobs_ms = config->jobs_keep, .beside = true };
        return r < 0 ? r : rt_store_open(ret_store, &store, err);
}

int rt_keys_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        const struct rt_keys_opts *o = target;
        const char *what = words->operands.items[0];
        const char *id = words->operands.n > 1 ? words->operands.items[1] : NULL;
        bool creating = strcmp(what, "create") == 0, listing = strcmp(what, "list") == 0, revoking = strcmp(what, "revoke") == 0;
        if (!creating && !listing && !revoking)
                return rt_cli_complain(cli, "keys: \"%s\" is none of create, list, revoke", what);
        if (revoking != (id != NULL))
                return rt_cli_complain(cli, revoking ? "usage: retort keys revoke ID" : "too many words; usage: retort keys %s", what);
        struct retort_error err = { 0 };
        struct rt_config *config = NULL;
        struct rt_store *store = NULL;
        int r = rt_settings_read(&o->settings, &cli->arena, &config, &err);
        if (r == 0)
                r = open_store(config, &store, &err);
        if (r == 0 && creating)
                r = create(cli, o, store, &err);
        else if (r == 0 && listing)
                r = list(cli, o, store, &err);
        else if (r == 0)
                r = rt_keys_revoke(store, id, now_ms(), &err);
        rt_store_close(store);
        rt_config_free(config);
        return r < 0 ? rt_cli_complain(cli, "%s", err.message) : 0;
}
