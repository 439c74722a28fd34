/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the service that need no engine: configuration, keys, tenants, queue, log, live events, webhooks' guard,
 * metrics. Where time matters it is a number of the test's own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/util.h"
#include "service/config.h"
#include "service/keys.h"
#include "service/live.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/queue.h"
#include "service/tenants.h"
#include "service/webhook.h"

#define S 1000000000ull

/* ---- configuration ---- */

static const char *file_of(const char *text) {
        static char path[64];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", rt_sealed_memfd("config", text, strlen(text)));
        return path;
}

static void close_file(const char *path) {
        (void)close((int)strtol(strrchr(path, '/') + 1, NULL, 10));
}

static int read_text(const char *text, const char *const *overrides, struct rt_config **ret, struct retort_error *err) {
        const char *path = file_of(text);
        int r = rt_config_read(ret, path, overrides, err);
        close_file(path);
        return r;
}

static void refused(const char *text, const char *words) {
        struct rt_config *config = NULL;
        struct retort_error err = { 0 };
        assert_int_equal(read_text(text, NULL, &config, &err), RETORT_E_INPUT);
        if (!strstr(err.message, words))
                fail_msg("'%s' does not say '%s'", err.message, words);
        assert_null(config);
}

static void config_has_defaults(void **state) {
        (void)state;
        struct rt_config *config = NULL;
        assert_int_equal(rt_config_read(&config, NULL, NULL, NULL), 0);
        assert_string_equal(config->server_listen[0], "127.0.0.1:8081");
        assert_null(config->server_listen[1]);
        assert_int_equal(config->server_max_body, 48 << 20);
        assert_int_equal(config->jobs_keep, 168ull * 3600 * 1000);
        assert_true(config->auth_required);
        assert_null(config->server_hosts[0]);
        rt_config_free(config);
        assert_int_equal(read_text("# nothing\n\n  # at all\n", NULL, &config, NULL), 0);
        rt_config_free(config);
}

static void config_layers(void **state) {
        (void)state;
        struct rt_config *config = NULL;
        const char *const overrides[] = { "queue.max_runs=7", "server.listen=127.0.0.1:1, unix:/tmp/x", NULL };
        (void)setenv("RETORT_QUEUE_MAX_RUNS", "6", 1);
        (void)setenv("RETORT_QUEUE_MAX_JOBS", "60", 1);
        struct retort_error err = { 0 };
        int r = read_text("queue:\n  max_runs: 5\n  max_jobs: 50\nlimits: {wall: 90s, memory: 2 GiB}\n"
                          "server:\n  origins: [https://a, https://b]\n"
                          "tenants:\n  acme: {running: 4, memory: 2GiB}\n  zeta: {}\n", overrides, &config, &err);
        (void)unsetenv("RETORT_QUEUE_MAX_RUNS");
        (void)unsetenv("RETORT_QUEUE_MAX_JOBS");
        assert_string_equal(err.message, "");
        assert_int_equal(r, 0);
        assert_int_equal(config->queue_max_runs, 7);
        assert_int_equal(config->queue_max_jobs, 60);
        assert_int_equal(config->limits_wall, 90000);
        assert_int_equal(config->limits_memory, 2ull << 30);
        assert_string_equal(config->server_listen[1], "unix:/tmp/x");
        assert_string_equal(config->server_origins[1], "https://b");
        assert_int_equal(config->n_tenants, 2);
        assert_string_equal(config->tenants[0].quotas[1], "memory=2GiB");
        rt_config_free(config);
}

static void config_refuses_with_place(void **state) {
        (void)state;
        refused("server:\n  lisen: x\n", ":2:3: unknown key 'lisen' in 'server'; did you mean 'listen'?");
        refused("servr: {}\n", ":1:1: unknown key 'servr'; did you mean 'server'?");
        refused("queue: {max_runs: ten}\n", ":1:19: 'max_runs' must be a whole number, not 'ten'");
        refused("limits:\n  wall: 10\n", ":2:9: 'wall' must be a time with its unit");
        refused("limits: {memory: 1XB}\n", "must be a size");
        refused("limits: {memory: 99999999999999GiB}\n", "must be a size");
        refused("auth: {required: maybe}\n", "must be true or false");
        refused("jobs: {running_at_crash: again}\n", "must be rerun or fail, not 'again'");
        refused("log: {level: loud}\n", "error, warning, info or debug");
        refused("queue: [1]\n", "must be a mapping");
        refused("log: {level: info}\nlog: {level: info}\n", ":2:1: key 'log' was given already");
        refused("tenants:\n  acme:\n    runing: 1\n", ":3:5: unknown key 'runing' in 'quotas'; did you mean 'running'?");
        refused("server: {listen: [8081]}\n", "is not host:port");
}

static void config_checks_what_belongs_together(void **state) {
        (void)state;
        refused("auth: {required: false}\nserver: {listen: ['0.0.0.0:80']}\n", "auth.required may only be false");
        refused("auth: {jwt_secret: short}\n", "at least 32 bytes, not 5");
        refused("server: {tls_key: k.pem}\n", "belong together; server.tls_certificate is empty");
        refused("engine: {slots: 129}\n", "at most 128");
        refused("contexts: {max: 1025}\n", "at most 1024");
        refused("contexts: {lifetime: 25h}\n", "contexts.lifetime may be 1ms to 24h");
        refused("contexts: {idle: 2h, lifetime: 1h}\n", "contexts.idle may be 1ms to contexts.lifetime");
        refused("contexts: {memory: 1KiB}\n", "contexts.memory must be at least 1MiB");
        struct rt_config *config = NULL;
        assert_int_equal(read_text("auth: {required: false}\nserver: {listen: ['[::1]:80', 'unix:/x']}\n", NULL, &config, NULL), 0);
        rt_config_free(config);
        struct retort_error err = { 0 };
        const char *const wrong[][2] = { { "nonsense" }, { "a.b=c" }, { "server.lisen=x" }, { "queue.max_runs=-1" } };
        for (size_t i = 0; i < RT_LEN(wrong); i++)
                assert_int_equal(rt_config_read(&config, NULL, wrong[i], &err), RETORT_E_INPUT);
}

static void config_shows_what_it_reads(void **state) {
        (void)state;
        struct rt_config *config = NULL;
        struct rt_config *again = NULL;
        struct retort_error err = { 0 };
        assert_int_equal(read_text("auth: {jwt_secret: '0123456789abcdef0123456789abcdef'}\ntenants: {a b: {running: 3}, c: {}}\n"
                                   "server: {hosts: ['a\"b', c]}\nlimits: {wall: 1500ms, memory: 10MB}\n", NULL, &config, NULL), 0);
        rt_auto_buf struct rt_buf hidden = RT_BUF(1 << 20);
        rt_auto_buf struct rt_buf open = RT_BUF(1 << 20);
        rt_auto_buf struct rt_buf open2 = RT_BUF(1 << 20);
        assert_int_equal(rt_config_show(config, false, &hidden), 0);
        assert_int_equal(rt_config_show(config, true, &open), 0);
        assert_null(strstr(hidden.data, "0123456789abcdef"));
        assert_non_null(strstr(hidden.data, "jwt_secret: \"********\""));
        int r = read_text(open.data, NULL, &again, &err);
        assert_string_equal(err.message, "");
        assert_int_equal(r, 0);
        assert_int_equal(rt_config_show(again, true, &open2), 0);
        assert_string_equal(open.data, open2.data);
        assert_int_equal(again->limits_memory, 10000000);
        rt_config_free(config);
        rt_config_free(again);
        rt_auto_buf struct rt_buf page = RT_BUF(1 << 20);
        assert_int_equal(rt_config_document(&page), 0);
        assert_non_null(strstr(page.data, "| `max_runs` | number | `1024` |"));
        rt_auto_buf struct rt_buf tiny = RT_BUF(100);
        assert_true(rt_config_document(&tiny) < 0);
}

/* ---- keys ---- */

static struct rt_store *open_store(void) {
        struct rt_store *store = NULL;
        struct retort_error err = { 0 };
        const struct rt_store_config config = { .path = ":memory:" };
        if (rt_store_open(&store, &config, &err) < 0)
                fail_msg("%s", err.message);
        return store;
}

static void keys_are_made_found_and_revoked(void **state) {
        (void)state;
        struct rt_store *store = open_store();
        char key[RT_KEY_TEXT];
        char hash[RT_KEY_HASH];
        int64_t id = 0;
        struct rt_keyring *ring = NULL;
        struct rt_key_found found;
        const struct rt_key_order order = { .name = "ci", .tenant = "acme", .scopes = "run,metrics", .expires_ms = 5000000 };
        assert_int_equal(rt_keys_create(store, &order, 1000000, key, &id, NULL), 0);
        assert_int_equal(strlen(key), 67);
        assert_int_equal(strncmp(key, "rt_", 3), 0);
        assert_int_equal(rt_key_hash(key, hash, NULL), 0);
        assert_int_equal(rt_keyring_load(store, &ring, NULL), 0);
        assert_int_equal(rt_keyring_size(ring), 1);
        assert_int_equal(rt_keyring_find(ring, hash, 1000001, &found), RT_KEY_GOOD);
        assert_int_equal(found.id, id);
        assert_int_equal(found.scopes, RT_SCOPE_RUN | RT_SCOPE_METRICS);
        assert_true(found.note_use);
        assert_int_equal(rt_keyring_find(ring, hash, 1000002, &found), RT_KEY_GOOD);
        assert_false(found.note_use); /* once a minute */
        assert_int_equal(rt_keyring_find(ring, hash, 1000001 + 60000, &found), RT_KEY_GOOD);
        assert_true(found.note_use);
        assert_int_equal(rt_keyring_find(ring, hash, 5000000, &found), RT_KEY_EXPIRED);
        hash[63] = hash[63] == '0' ? '1' : '0';
        assert_int_equal(rt_keyring_find(ring, hash, 1000001, &found), RT_KEY_UNKNOWN);
        struct rt_keyring *fresh = NULL;
        char prefix[RT_KEY_PREFIX + 1];
        (void)snprintf(prefix, sizeof prefix, "%.*s", RT_KEY_PREFIX, key);
        assert_int_equal(rt_keys_revoke(store, "nobody", 2000000, NULL), RETORT_E_INPUT);
        assert_int_equal(rt_keys_revoke(store, prefix, 2000000, NULL), 0);
        assert_int_equal(rt_key_hash(key, hash, NULL), 0);
        assert_int_equal(rt_keyring_load(store, &fresh, NULL), 0);
        rt_keyring_carry(fresh, ring);
        assert_int_equal(rt_keyring_find(fresh, hash, 1000001, &found), RT_KEY_REVOKED);
        rt_keyring_free(ring);
        rt_keyring_free(fresh);
        rt_store_close(store);
}

static void keys_refuse_wrong_orders(void **state) {
        (void)state;
        struct rt_store *store = open_store();
        char key[RT_KEY_TEXT] = "";
        uint32_t bits;
        const struct rt_key_order wrong[] = { { .scopes = "run,fly" }, { .scopes = "" }, { .expires_ms = 5 }, { .tenant = "" } };
        for (size_t i = 0; i < RT_LEN(wrong); i++)
                assert_int_equal(rt_keys_create(store, &wrong[i], 1000, key, NULL, NULL), RETORT_E_INPUT);
        assert_string_equal(key, "");
        assert_int_equal(rt_scopes_parse("run,jobs,admin,metrics", &bits, NULL), 0);
        assert_int_equal(bits, 15);
        assert_int_equal(rt_scopes_parse("contexts", &bits, NULL), 0);
        assert_int_equal(bits, RT_SCOPE_CONTEXTS);
        rt_store_close(store);
}

static void many_keys_are_all_found(void **state) {
        (void)state;
        struct rt_store *store = open_store();
        char keys[40][RT_KEY_TEXT];
        const struct rt_key_order order = { 0 };
        for (size_t i = 0; i < RT_LEN(keys); i++)
                assert_int_equal(rt_keys_create(store, &order, 1, keys[i], NULL, NULL), 0);
        struct rt_keyring *ring = NULL;
        assert_int_equal(rt_keyring_load(store, &ring, NULL), 0);
        for (size_t i = 0; i < RT_LEN(keys); i++) {
                char hash[RT_KEY_HASH];
                struct rt_key_found found;
                assert_int_equal(rt_key_hash(keys[i], hash, NULL), 0);
                assert_int_equal(rt_keyring_find(ring, hash, 2, &found), RT_KEY_GOOD);
                assert_int_equal(found.tenant_id, 1);
        }
        rt_keyring_free(ring);
        rt_store_close(store);
}

/* ---- tenants ---- */

static struct rt_tenants *one_tenant(struct rt_quotas quotas, struct rt_tenant **ret) {
        struct rt_tenants *tenants = NULL;
        assert_int_equal(rt_tenants_new(&tenants), 0);
        *ret = rt_tenants_get(tenants, 1, &quotas, 0);
        assert_non_null(*ret);
        return tenants;
}

static void rate_limit_counts_tokens(void **state) {
        (void)state;
        struct rt_tenant *t;
        struct rt_tenants *tenants = one_tenant((struct rt_quotas){ .requests_per_minute = 60, .burst = 3 }, &t);
        struct rt_refusal refusal = { 0 };
        for (uint64_t i = 0; i < 3; i++) {
                assert_true(rt_tenant_take_token(t, 0, &refusal));
                assert_int_equal(refusal.limit, 3);
                assert_int_equal(refusal.remaining, 2 - i);
        }
        assert_int_equal(refusal.reset_s, 3);
        assert_false(rt_tenant_take_token(t, S / 2, &refusal));
        assert_int_equal(refusal.why, RT_REFUSED_RATE);
        assert_int_equal(refusal.retry_after_s, 1);
        assert_true(rt_tenant_take_token(t, S, &refusal));
        assert_true(rt_tenant_take_token(t, 1000 * S, &refusal)); /* never more than the burst */
        assert_int_equal(refusal.remaining, 2);
        t->quotas.requests_per_minute = 1;
        t->tokens = 0;
        assert_false(rt_tenant_take_token(t, 1000 * S, &refusal));
        assert_int_equal(refusal.retry_after_s, 60);
        t->quotas.requests_per_minute = 0;
        assert_true(rt_tenant_take_token(t, 1000 * S, &refusal));
        rt_tenants_free(tenants);
}

static void charges_are_given_back(void **state) {
        (void)state;
        struct rt_tenant *t;
        struct rt_tenants *tenants = one_tenant((struct rt_quotas){ .running = 2, .memory = 100 }, &t);
        struct rt_refusal refusal = { 0 };
        assert_true(rt_tenant_fits(t, 60, 0, &refusal));
        struct rt_charge a = rt_tenant_charge(t, 60);
        assert_false(rt_tenant_fits(t, 60, 0, &refusal));
        assert_string_equal(refusal.quota, "memory");
        assert_true(rt_tenant_fits(t, 40, 0, &refusal));
        struct rt_charge b = rt_tenant_charge(t, 40);
        assert_false(rt_tenant_fits(t, 0, 0, &refusal));
        assert_string_equal(refusal.quota, "running");
        rt_charge_back(&a);
        rt_charge_back(&a); /* harmless */
        assert_int_equal(t->running, 1);
        assert_int_equal(t->memory, 40);
        assert_false(rt_tenant_fits(t, UINT64_MAX, 0, &refusal));
        rt_charge_back(&b);
        assert_int_equal(t->running + t->memory, 0);
        rt_tenants_free(tenants);
}

static void cpu_time_comes_back_with_time(void **state) {
        (void)state;
        struct rt_tenant *t;
        struct rt_tenants *tenants = one_tenant((struct rt_quotas){ .cpu_per_minute = 6000 }, &t);
        struct rt_refusal refusal = { 0 };
        assert_true(rt_tenant_fits(t, 0, 0, &refusal));
        rt_tenant_used_cpu(t, 7 * S, 0); /* one second over: ten seconds until there is any */
        assert_false(rt_tenant_fits(t, 0, 0, &refusal));
        assert_string_equal(refusal.quota, "cpu_per_minute");
        assert_int_equal(refusal.retry_after_s, 10);
        assert_false(rt_tenant_fits(t, 0, 9 * S, &refusal));
        assert_true(rt_tenant_fits(t, 0, 11 * S, &refusal));
        assert_true(rt_tenant_fits(t, 0, 5000 * S, &refusal));
        assert_int_equal(t->cpu_ns, 6 * S);
        rt_tenants_free(tenants);
}

static void idle_tenants_are_forgotten(void **state) {
        (void)state;
        struct rt_tenants *tenants = NULL;
        struct rt_quotas quotas = { .burst = 1 };
        assert_int_equal(rt_tenants_new(&tenants), 0);
        struct rt_tenant *busy = rt_tenants_get(tenants, 77, &quotas, 0);
        struct rt_charge charge = rt_tenant_charge(busy, 1);
        for (int64_t id = 1000; id < 21000; id++)
                assert_non_null(rt_tenants_get(tenants, id, &quotas, (uint64_t)id * S));
        assert_true(rt_tenants_count(tenants) < 9000);
        assert_ptr_equal(rt_tenants_find(tenants, 77), busy);
        rt_charge_back(&charge);
        size_t n = 0;
        for (struct rt_tenant *t = rt_tenants_next(tenants, NULL); t; t = rt_tenants_next(tenants, t))
                n++;
        assert_int_equal(n, rt_tenants_count(tenants));
        rt_tenants_free(tenants);
}

static void quotas_come_from_three_places(void **state) {
        (void)state;
        struct rt_config *config = NULL;
        struct rt_quotas q;
        struct retort_error err = { 0 };
        assert_int_equal(read_text("quotas: {running: 1, memory: 1GiB, burst: 9}\ntenants: {acme: {running: 3}}\n", NULL, &config, NULL), 0);
        assert_int_equal(rt_quotas_find(config, "acme", "{\"running\":2,\"memory\":\"2GiB\",\"cpu_per_minute\":1500}", &q, &err), 0);
        assert_int_equal(q.running, 3);
        assert_int_equal(q.memory, 2ull << 30);
        assert_int_equal(q.cpu_per_minute, 1500);
        assert_int_equal(q.burst, 9);
        assert_int_equal(rt_quotas_find(config, "x", "{\"walking\":2}", &q, &err), RETORT_E_INPUT);
        assert_int_equal(rt_quotas_find(config, "x", "[", &q, &err), RETORT_E_INPUT);
        assert_int_equal(rt_quotas_find(config, NULL, NULL, &q, &err), 0);
        assert_int_equal(q.running, 1);
        rt_config_free(config);
}

/* ---- queue ---- */

struct queue_fixture {
        struct rt_tenants *tenants;
        struct rt_tenant *t[3];
        struct rt_queue queue;
        struct rt_queue_item items[64];
        size_t n;
};

static void queue_open(struct queue_fixture *f) {
        struct rt_quotas quotas = { 0 };
        *f = (struct queue_fixture){ 0 };
        assert_int_equal(rt_tenants_new(&f->tenants), 0);
        for (int64_t i = 0; i < 3; i++)
                f->t[i] = rt_tenants_get(f->tenants, i + 1, &quotas, 0);
        rt_queue_init(&f->queue);
}

static struct rt_queue_item *put(struct queue_fixture *f, int tenant, enum rt_queue_class class, int32_t priority) {
        struct rt_queue_item *item = &f->items[f->n++];
        *item = (struct rt_queue_item){ .class = class, .priority = priority, .tenant = f->t[tenant] };
        assert_int_equal(rt_queue_push(&f->queue, item), 0);
        return item;
}

static void queue_close(struct queue_fixture *f) {
        assert_null(f->queue.lanes);
        rt_tenants_free(f->tenants);
}

static void queue_takes_turns_between_tenants(void **state) {
        (void)state;
        struct queue_fixture f;
        queue_open(&f);
        for (int i = 0; i < 6; i++)
                (void)put(&f, 0, RT_QUEUE_JOB, 0);
        for (int i = 0; i < 2; i++)
                (void)put(&f, 1, RT_QUEUE_JOB, 0);
        (void)put(&f, 2, RT_QUEUE_JOB, 0);
        static const int order[] = { 0, 1, 2, 0, 1, 0, 0, 0, 0 };
        for (size_t i = 0; i < RT_LEN(order); i++)
                assert_ptr_equal(rt_queue_pick(&f.queue, true, 0)->tenant, f.t[order[i]]);
        assert_null(rt_queue_pick(&f.queue, true, 0));
        queue_close(&f);
}

static void queue_prefers_who_has_fewer_boxes(void **state) {
        (void)state;
        struct queue_fixture f;
        queue_open(&f);
        f.t[0]->active = 2;
        (void)put(&f, 0, RT_QUEUE_RUN, 0);
        (void)put(&f, 1, RT_QUEUE_RUN, 0);
        assert_ptr_equal(rt_queue_pick(&f.queue, true, 0)->tenant, f.t[1]);
        assert_ptr_equal(rt_queue_pick(&f.queue, true, 0)->tenant, f.t[0]);
        queue_close(&f);
}

static void queue_keeps_priority_then_order(void **state) {
        (void)state;
        struct queue_fixture f;
        queue_open(&f);
        struct rt_queue_item *low = put(&f, 0, RT_QUEUE_JOB, -5);
        struct rt_queue_item *a = put(&f, 0, RT_QUEUE_JOB, 0);
        struct rt_queue_item *b = put(&f, 0, RT_QUEUE_JOB, 0);
        struct rt_queue_item *c = put(&f, 0, RT_QUEUE_JOB, 0);
        struct rt_queue_item *high = put(&f, 0, RT_QUEUE_JOB, 10);
        rt_queue_remove(&f.queue, b); /* from the middle, and twice */
        rt_queue_remove(&f.queue, b);
        struct rt_queue_item *order[] = { high, a, c, low };
        for (size_t i = 0; i < RT_LEN(order); i++)
                assert_ptr_equal(rt_queue_pick(&f.queue, true, 0), order[i]);
        assert_int_equal(f.queue.lengths[RT_QUEUE_JOB], 0);
        queue_close(&f);
}

static void queue_runs_first_but_jobs_do_not_starve(void **state) {
        (void)state;
        struct queue_fixture f;
        queue_open(&f);
        for (int i = 0; i < 12; i++)
                (void)put(&f, 0, RT_QUEUE_RUN, 0);
        for (int i = 0; i < 2; i++)
                (void)put(&f, 1, RT_QUEUE_JOB, 0);
        char seen[16] = "";
        struct rt_queue_item *item;
        for (size_t i = 0; (item = rt_queue_pick(&f.queue, true, 0)); i++)
                seen[i] = item->class == RT_QUEUE_RUN ? 'r' : 'j';
        assert_string_equal(seen, "rrrrjrrrrjrrrr");
        (void)put(&f, 0, RT_QUEUE_JOB, 0);
        assert_null(rt_queue_pick(&f.queue, false, 0)); /* draining */
        rt_queue_remove(&f.queue, rt_queue_any(&f.queue, RT_QUEUE_JOB));
        queue_close(&f);
}

static void queue_passes_over_who_is_over_quota(void **state) {
        (void)state;
        struct queue_fixture f;
        queue_open(&f);
        f.t[0]->quotas.running = 1;
        struct rt_charge charge = rt_tenant_charge(f.t[0], 0);
        struct rt_queue_item *waits = put(&f, 0, RT_QUEUE_JOB, 10);
        struct rt_queue_item *other = put(&f, 1, RT_QUEUE_JOB, -10);
        assert_ptr_equal(rt_queue_pick(&f.queue, true, 0), other);
        assert_null(rt_queue_pick(&f.queue, true, 0));
        rt_charge_back(&charge);
        assert_ptr_equal(rt_queue_pick(&f.queue, true, 0), waits);
        queue_close(&f);
}

/* ---- log and traces ---- */

static void log_lines_are_json(void **state) {
        (void)state;
        int fd = memfd_create("log", MFD_CLOEXEC);
        struct rt_log log = { .fd = fd, .level = RT_LOG_INFO };
        char huge[2000];
        memset(huge, '"', sizeof huge - 1);
        huge[sizeof huge - 1] = 0;
        rt_log(&log, RT_LOG_DEBUG, "unheard", RT_LOG_NUMBER("n", 1));
        rt_log(&log, RT_LOG_INFO, "run", RT_LOG_TEXT("id", "a\"\n\xff\x01"), RT_LOG_TEXT("none", NULL), RT_LOG_MS("wall_ms", 1500000),
               RT_LOG_NUMBER("n", -3));
        rt_log(&log, RT_LOG_ERROR, "huge", RT_LOG_TEXT("a", huge), RT_LOG_TEXT("b", huge), RT_LOG_TEXT("c", huge), RT_LOG_NUMBER("n", 1));
        char text[16384] = "";
        assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
        char *second = strchr(text, '\n') + 1;
        json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
        assert_string_equal(json_string_value(json_object_get(line, "event")), "run");
        assert_string_equal(json_string_value(json_object_get(line, "id")), "a\"\n\xef\xbf\xbd\x01");
        assert_null(json_object_get(line, "none"));
        assert_true(json_real_value(json_object_get(line, "wall_ms")) == 1.5);
        json_decref(line);
        line = json_loads(second, 0, NULL);
        assert_non_null(line);
        assert_true(strlen(second) <= 4096);
        json_decref(line);
        (void)close(fd);
        assert_int_equal(rt_log_level_of("debug"), RT_LOG_DEBUG);
}

static void traces_are_judged(void **state) {
        (void)state;
        static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        char child[RT_TRACEPARENT];
        char id[33];
        assert_true(rt_trace_valid(good));
        assert_true(rt_trace_valid("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
        static const char *const bad[] = { "", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x" };
        for (size_t i = 0; i < RT_LEN(bad); i++)
                assert_false(rt_trace_valid(bad[i]));
        assert_false(rt_trace_valid(NULL));
        assert_true(rt_trace_child(good, child));
        assert_true(rt_trace_valid(child));
        assert_int_equal(strncmp(child, good, 36), 0);
        assert_int_not_equal(strncmp(child + 36, good + 36, 16), 0);
        assert_string_equal(rt_trace_id(good, id), "4bf92f3577b34da6a3ce929d0e0e4736");
}

/* ---- live events ---- */

static struct retort_event said(uint64_t seq, const char *text) {
        return (struct retort_event){ .seq = seq, .type = RETORT_EVENT_STDOUT, .step_name = "run", .data = { text, strlen(text) } };
}

struct gathered {
        char text[8192];
        size_t n;
        size_t most;
};

static bool gather(const char *json, size_t size, void *userdata) {
        struct gathered *g = userdata;
        (void)snprintf(g->text + strlen(g->text), sizeof g->text - strlen(g->text), "%.*s\n", (int)size, json);
        return ++g->n < g->most || g->most == 0;
}

static size_t read_live(struct rt_live *live, uint64_t from, struct gathered *g) {
        struct rt_live_at at = { .from = from };
        char *line = NULL;
        size_t size = 0;
        *g = (struct gathered){ 0 };
        while (rt_live_next(live, &at, 1, &line, &size) > 0) {
                (void)gather(line, size, g);
                free(line);
        }
        return g->n;
}

static void live_events_are_the_same_later(void **state) {
        (void)state;
        struct rt_live *live = rt_live_new(4096);
        struct gathered now;
        struct gathered later = { 0 };
        for (uint64_t i = 0; i < 3; i++) {
                struct retort_event event = said(i, "x\n");
                rt_live_add(live, &event);
        }
        assert_int_equal(read_live(live, 0, &now), 3);
        struct retort_event end = { .seq = 3, .at_ns = 2500000, .type = RETORT_EVENT_END };
        rt_live_add(live, &end);
        assert_int_equal(read_live(live, 0, &now), 3); /* the last comes with its outcome */
        rt_auto_free char *text = rt_live_text(live);
        rt_live_end(live, "{\"id\":\"x\"}");
        assert_int_equal(read_live(live, 1, &now), 3);
        assert_non_null(strstr(now.text, "{\"seq\":3,\"at_ms\":2.500000,\"type\":\"end\",\"outcome\":{\"id\":\"x\"}}"));
        assert_int_equal(rt_live_replay(text, "{\"id\":\"x\"}", 1, gather, &later, NULL), 0);
        assert_string_equal(now.text, later.text);
        assert_int_equal(read_live(live, 4, &now), 0);
        later = (struct gathered){ .most = 1 };
        assert_int_equal(rt_live_replay(text, "{}", 0, gather, &later, NULL), 0);
        assert_int_equal(later.n, 1); /* who says no hears no more */
        later = (struct gathered){ 0 };
        assert_int_equal(rt_live_replay(NULL, "{}", 0, gather, &later, NULL), 0);
        assert_string_equal(later.text, "{\"seq\":0,\"at_ms\":0,\"type\":\"end\",\"outcome\":{}}\n");
        rt_live_let_go(live);
}

static void live_events_are_bounded(void **state) {
        (void)state;
        struct rt_live *live = rt_live_new(300);
        struct gathered g;
        for (uint64_t i = 0; i < 100; i++) {
                struct retort_event event = said(i, "0123456789");
                rt_live_add(live, &event);
        }
        struct retort_event end = { .seq = 100, .type = RETORT_EVENT_END };
        rt_live_add(live, &end);
        rt_live_end(live, "{}");
        size_t n = read_live(live, 0, &g);
        assert_true(n > 2 && n < 8);
        assert_non_null(strstr(g.text, "{\"seq\":100,"));
        rt_auto_free char *text = rt_live_text(live);
        assert_true(strlen(text) < 300 + 100);
        rt_live_let_go(live);
}

/* ---- webhooks ---- */

static bool public_address(const char *text) {
        struct sockaddr_in v4 = { .sin_family = AF_INET };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
        if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
                return rt_webhook_address_public((const struct sockaddr *)&v4);
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        return rt_webhook_address_public((const struct sockaddr *)&v6);
}

static void webhooks_know_inside_from_outside(void **state) {
        (void)state;
        static const char *const inside[] = { "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
                "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::",
                "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
                "2001::1", "2001:db8::1" };
        static const char *const outside[] = { "1.1.1.1", "8.8.8.8", "172.32.0.1", "172.15.0.1", "192.169.0.1", "100.128.0.1",
                "2606:4700::1111", "::ffff:8.8.8.8" };
        for (size_t i = 0; i < RT_LEN(inside); i++)
                if (public_address(inside[i]))
                        fail_msg("%s is inside", inside[i]);
        for (size_t i = 0; i < RT_LEN(outside); i++)
                if (!public_address(outside[i]))
                        fail_msg("%s is outside", outside[i]);
        struct sockaddr unix_one = { .sa_family = AF_UNIX };
        assert_false(rt_webhook_address_public(&unix_one));
}

static void webhooks_sign(void **state) {
        (void)state;
        char hex[65];
        /* echo -n '1700000000.{}' | openssl dgst -sha256 -hmac secret */
        assert_int_equal(rt_webhook_sign("secret", "1700000000", "{}", hex, NULL), 0);
        assert_string_equal(hex, "b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163");
}

/* ---- metrics ---- */

static void metrics_please_promtool(void **state) {
        (void)state;
        struct rt_metrics metrics;
        struct rt_metrics_now now = { .slots = 4, .draining = true };
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        assert_int_equal(rt_metrics_init(&metrics), 0);
        struct retort_outcome outcome = { .language = "python", .status = RETORT_OK, .usage = { .wall_ns = 20000000 } };
        rt_metrics_run(&metrics, &outcome, 30000000);
        outcome.language = "c\"\\\n";
        outcome.status = RETORT_WALL_LIMIT;
        rt_metrics_run(&metrics, &outcome, 120 * S);
        assert_int_equal(rt_metrics_text(&metrics, &now, &out), 0);
        rt_metrics_clear(&metrics);
        assert_non_null(strstr(out.data, "retort_runs_total{language=\"python\",status=\"ok\"} 1\n"));
        assert_non_null(strstr(out.data, "retort_run_seconds_bucket{language=\"python\",status=\"ok\",le=\"0.025\"} 1\n"));
        assert_non_null(strstr(out.data, "retort_total_seconds_bucket{language=\"c???\",status=\"wall_limit\",le=\"60\"} 0\n"));
        int fd = rt_sealed_memfd("metrics", out.data, out.size);
        pid_t pid = fork();
        if (pid == 0) {
                (void)dup2(fd, 0);
                (void)dup2(2, 1); /* stdout is TAP */
                (void)lseek(0, 0, SEEK_SET);
                (void)execlp("promtool", "promtool", "check", "metrics", (char *)NULL);
                _exit(errno == ENOENT ? 77 : 1);
        }
        int status = -1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        (void)close(fd);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(status, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(config_has_defaults),
                cmocka_unit_test(config_layers),
                cmocka_unit_test(config_refuses_with_place),
                cmocka_unit_test(config_checks_what_belongs_together),
                cmocka_unit_test(config_shows_what_it_reads),
                cmocka_unit_test(keys_are_made_found_and_revoked),
                cmocka_unit_test(keys_refuse_wrong_orders),
                cmocka_unit_test(many_keys_are_all_found),
                cmocka_unit_test(rate_limit_counts_tokens),
                cmocka_unit_test(charges_are_given_back),
                cmocka_unit_test(cpu_time_comes_back_with_time),
                cmocka_unit_test(idle_tenants_are_forgotten),
                cmocka_unit_test(quotas_come_from_three_places),
                cmocka_unit_test(queue_takes_turns_between_tenants),
                cmocka_unit_test(queue_prefers_who_has_fewer_boxes),
                cmocka_unit_test(queue_keeps_priority_then_order),
                cmocka_unit_test(queue_runs_first_but_jobs_do_not_starve),
                cmocka_unit_test(queue_passes_over_who_is_over_quota),
                cmocka_unit_test(log_lines_are_json),
                cmocka_unit_test(traces_are_judged),
                cmocka_unit_test(live_events_are_the_same_later),
                cmocka_unit_test(live_events_are_bounded),
                cmocka_unit_test(webhooks_know_inside_from_outside),
                cmocka_unit_test(webhooks_sign),
                cmocka_unit_test(metrics_please_promtool),
        };
        return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
