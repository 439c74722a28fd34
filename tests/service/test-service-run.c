/* SPDX-License-Identifier: Apache-2.0
 *
 * The service with the real engine: runs, cancels, quotas, fairness, jobs, followers, webhooks, draining, and what a new
 * server makes of what an old one left.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "fixture.h"
#include "service/webhook.h"

static int make(void **state) {
        static struct fixture f;
        f = (struct fixture){ 0 };
        fixture_make(&f);
        *state = &f;
        return 0;
}

static int clear(void **state) {
        struct fixture *f = *state;
        if (f->service)
                fixture_shut(f);
        fixture_remove(f);
        return 0;
}

static void nap(long ms) {
        (void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Until what() says so. */
static bool soon(bool (*what)(struct fixture *), struct fixture *f) {
        for (int i = 0; i < PATIENCE_MS / 10; i++) {
                if (what(f))
                        return true;
                nap(10);
        }
        return false;
}

static long status_number(struct fixture *f, const char *key) {
        char *json = NULL;
        assert_int_equal(rt_service_status(f->service, &json, NULL), 0);
        json_t *root = json_loads(json, 0, NULL);
        long n = (long)json_integer_value(json_object_get(root, key));
        json_decref(root);
        free(json);
        return n;
}

static bool one_runs(struct fixture *f) {
        return status_number(f, "slots_busy") >= 1;
}

static bool two_run(struct fixture *f) {
        return status_number(f, "slots_busy") >= 2;
}

static bool none_runs(struct fixture *f) {
        return status_number(f, "slots_busy") == 0;
}

/* ---- runs ---- */

static void a_run_ends_with_its_outcome(void **state) {
        struct fixture *f = *state;
        struct seen s = SEEN;
        struct rt_ticket *ticket = NULL;
        struct rt_refusal refusal;
        struct retort_error err = { 0 };
        fixture_open(f, NULL);
        assert_int_equal(give_run(f, 1, "echo hello", &s, &ticket, &refusal, &err), 0);
        assert_true(seen_wait(&s, 1));
        assert_int_equal(s.status, RETORT_OK);
        assert_string_equal(s.text, "hello\n");
        rt_ticket_cancel(ticket); /* too late: harmless */
        rt_ticket_free(ticket);
        struct retort_request wrong = { .language = "klingon", .code = { "x", 1 } };
        const struct rt_run_order order = { .request = &wrong, .on_end = on_run_end, .userdata = &s };
        assert_int_equal(rt_service_run(f->service, &order, &ticket, &refusal, &err), RETORT_E_NO_RUNTIME);
        assert_null(ticket);
        assert_int_equal(rt_service_ready(f->service, &err), 0);
        char *text = NULL;
        assert_int_equal(rt_service_metrics(f->service, "extra_metric 1\n", &text, NULL), 0);
        assert_non_null(strstr(text, "retort_runs_total{language=\"bash\",status=\"ok\"} 1\n"));
        assert_non_null(strstr(text, "\nextra_metric 1\n"));
        free(text);
}

/* ---- compiled programs ---- */

static void on_compiled(struct retort_outcome *outcome, const struct retort_error *err, void *userdata) {
        bool cached = outcome && outcome->n_steps == 2 && outcome->steps[0].cached;
        seen_note(userdata, cached, outcome ? retort_status_name(outcome->status) : err->message);
        retort_outcome_free(outcome);
}

/* Whether the tenant's program came out of the cache; -1: there is no compiler. */
static int compiled(struct fixture *f, int64_t tenant) {
        struct seen s = SEEN;
        struct rt_ticket *ticket = NULL;
        struct rt_refusal refusal;
        struct retort_error err = { 0 };
        static const char code[] = "int main(void) { return 0; }";
        const struct retort_request request = { .language = "c", .code = { code, sizeof code - 1 }, .cache_scope = 7 };
        const struct rt_run_order order = { .caller = { .tenant_id = tenant }, .request = &request, .on_end = on_compiled, .userdata = &s };
        if (rt_service_run(f->service, &order, &ticket, &refusal, &err) == RETORT_E_NO_RUNTIME)
                return -1;
        assert_non_null(ticket);
        assert_true(seen_wait(&s, 1));
        rt_ticket_free(ticket);
        assert_string_equal(s.text, "ok");
        return (int)s.done;
}

static void a_compiled_program_is_its_tenants(void **state) {
        struct fixture *f = *state;
        for (int shared = 0; shared < 2; shared++) {
                const char *const more[] = { shared ? "cache.shared=true" : "cache.shared=false", NULL };
                char *text = NULL;
                int cached = 0;
                fixture_open(f, more);
                for (int i = 0; i < 100 && cached == 0; i++) { /* until what the compiler reads is watched */
                        cached = compiled(f, 1);
                        nap(20);
                }
                assert_int_equal(rt_service_metrics(f->service, NULL, &text, NULL), 0);
                if (cached == 1) {
                        assert_int_equal(compiled(f, 2), shared);
                        assert_int_equal(compiled(f, 2), 1);
                        assert_int_equal(compiled(f, 0), shared); /* the operator is a tenant like any other */
                        assert_non_null(strstr(text, "\nretort_compile_cache_total{result=\"hit\"} 1\n"));
                        assert_non_null(strstr(text, "\nretort_compile_cache_programs 1\n"));
                } else { /* no compiler, or boxes without a file tree of their own */
                        assert_non_null(strstr(text, "\nretort_compile_cache_total{result=\"hit\"} 0\n"));
                }
                free(text);
                fixture_shut(f);
        }
        const char *const none[] = { "cache.bytes=0", NULL };
        fixture_open(f, none);
        for (int i = 0; i < 5; i++)
                assert_true(compiled(f, 1) <= 0);
}

static void running_and_queued_runs_are_cancelled(void **state) {
        struct fixture *f = *state;
        struct seen s[4] = { SEEN, SEEN, SEEN, SEEN };
        struct rt_ticket *tickets[4];
        struct rt_refusal refusal;
        fixture_open(f, NULL);
        for (int i = 0; i < 4; i++)
                assert_int_equal(give_run(f, 1, "sleep 15", &s[i], &tickets[i], &refusal, NULL), 0);
        assert_true(soon(two_run, f));
        uint64_t before = rt_now_ns();
        for (int i = 3; i >= 0; i--) { /* the queued ones first */
                rt_ticket_cancel(tickets[i]);
                rt_ticket_cancel(tickets[i]);
                rt_ticket_free(tickets[i]);
        }
        for (int i = 0; i < 4; i++) {
                assert_true(seen_wait(&s[i], 1));
                assert_int_equal(s[i].status, RETORT_CANCELLED);
                assert_int_equal(s[i].ends, 1);
        }
        assert_true(rt_now_ns() - before < 5000000000ull);
}

static void quotas_hold_and_come_back(void **state) {
        struct fixture *f = *state;
        struct seen s = SEEN;
        struct seen other = SEEN;
        struct rt_ticket *tickets[3];
        struct rt_refusal refusal;
        struct retort_error err = { 0 };
        const char *const more[] = { "quotas.running=1", "quotas.memory=1GiB", NULL };
        fixture_open(f, more);
        assert_int_equal(give_run(f, 1, "sleep 15", &s, &tickets[0], &refusal, &err), 0);
        assert_true(give_run(f, 1, "echo", &s, &tickets[1], &refusal, &err) < 0);
        assert_int_equal(refusal.why, RT_REFUSED_QUOTA);
        assert_string_equal(refusal.quota, "running");
        assert_true(refusal.retry_after_s > 0);
        assert_int_equal(give_run(f, 2, "echo", &other, &tickets[2], &refusal, &err), 0); /* another tenant's is its own */
        assert_true(seen_wait(&other, 1));
        rt_ticket_free(tickets[2]);
        rt_ticket_cancel(tickets[0]);
        assert_true(seen_wait(&s, 1));
        rt_ticket_free(tickets[0]);
        assert_int_equal(give_run(f, 1, "echo", &s, &tickets[1], &refusal, &err), 0); /* given back when the end is told */
        assert_true(seen_wait(&s, 2));
        rt_ticket_free(tickets[1]);
        struct retort_request greedy = script("echo");
        greedy.limits.memory_bytes = 2ull << 30;
        const struct rt_run_order order = { .caller = { .tenant_id = 1 }, .request = &greedy, .on_end = on_run_end, .userdata = &s };
        assert_true(rt_service_run(f->service, &order, &tickets[0], &refusal, &err) < 0);
        assert_string_equal(refusal.quota, "memory");
}

static void a_full_queue_says_busy(void **state) {
        struct fixture *f = *state;
        struct seen s = SEEN;
        struct rt_ticket *tickets[8] = { 0 };
        struct rt_refusal refusal = { 0 };
        const char *const more[] = { "queue.max_runs=2", NULL };
        fixture_open(f, more);
        assert_int_equal(give_run(f, 1, "sleep 15", &s, &tickets[0], &refusal, NULL), 0);
        assert_int_equal(give_run(f, 1, "sleep 15", &s, &tickets[1], &refusal, NULL), 0);
        assert_true(soon(two_run, f));
        size_t n = 2;
        while (n < 8 && give_run(f, 1, "sleep 15", &s, &tickets[n], &refusal, NULL) == 0)
                n++;
        assert_int_equal(n, 4);
        assert_int_equal(refusal.why, RT_REFUSED_BUSY);
        for (size_t i = 0; i < n; i++) {
                rt_ticket_cancel(tickets[i]);
                rt_ticket_free(tickets[i]);
        }
        assert_true(seen_wait(&s, 4));
}

/* Given faster than any worker wakes: what is taken is what two workers and a queue of two hold. */
static void a_burst_does_not_overfill_the_queue(void **state) {
        struct fixture *f = *state;
        enum { BURST = 64 };
        struct seen s = SEEN;
        struct rt_ticket *tickets[BURST] = { 0 };
        struct rt_refusal refusal = { 0 };
        const char *const more[] = { "queue.max_runs=2", NULL };
        size_t n = 0;
        fixture_open(f, more);
        for (size_t i = 0; i < BURST; i++)
                n += give_run(f, 1, "sleep 15", &s, &tickets[n], &refusal, NULL) == 0;
        assert_int_equal(n, 4);
        assert_int_equal(refusal.why, RT_REFUSED_BUSY);
        for (size_t i = 0; i < n; i++) {
                rt_ticket_cancel(tickets[i]);
                rt_ticket_free(tickets[i]);
        }
        assert_true(seen_wait(&s, 4));
}

/* ---- keys ---- */

static void keys_are_admitted(void **state) {
        struct fixture *f = *state;
        char key[RT_KEY_TEXT];
        struct rt_caller caller;
        struct rt_refusal refusal;
        struct retort_error err = { 0 };
        int64_t id = 0;
        const char *const more[] = { "quotas.requests_per_minute=60", "quotas.burst=2", NULL };
        fixture_open(f, more);
        const struct rt_key_order order = { .tenant = "acme", .scopes = "run" };
        assert_int_equal(rt_keys_create(rt_service_store(f->service), &order, 1, key, &id, &err), 0);
        nap(1100); /* an unknown key is looked for once a second */
        assert_int_equal(rt_service_admit(f->service, key, RT_SCOPE_RUN, &caller, &refusal, &err), 0);
        assert_int_equal(caller.key_id, id);
        assert_int_equal(refusal.limit, 2);
        assert_int_equal(refusal.remaining, 1);
        assert_true(rt_service_admit(f->service, key, RT_SCOPE_JOBS, &caller, &refusal, &err) < 0);
        assert_int_equal(refusal.why, RT_REFUSED_SCOPE);
        assert_int_equal(rt_service_admit(f->service, key, RT_SCOPE_RUN, &caller, &refusal, &err), 0);
        assert_true(rt_service_admit(f->service, key, RT_SCOPE_RUN, &caller, &refusal, &err) < 0);
        assert_int_equal(refusal.why, RT_REFUSED_RATE);
        assert_int_equal(refusal.retry_after_s, 1);
        key[20] = key[20] == 'a' ? 'b' : 'a';
        assert_true(rt_service_admit(f->service, key, RT_SCOPE_RUN, &caller, &refusal, &err) < 0);
        assert_int_equal(refusal.why, RT_REFUSED_KEY);
        assert_true(rt_service_admit(f->service, NULL, RT_SCOPE_RUN, &caller, &refusal, &err) < 0);
        assert_int_equal(refusal.why, RT_REFUSED_KEY);
        key[20] = key[20] == 'a' ? 'b' : 'a';
        char number[24];
        (void)snprintf(number, sizeof number, "%lld", (long long)id);
        assert_int_equal(rt_keys_revoke(rt_service_store(f->service), number, 5, &err), 0);
        assert_int_equal(rt_service_reload(f->service, f->config, &err), 0);
}

/* ---- jobs ---- */

static void a_job_is_kept_and_waited_for(void **state) {
        struct fixture *f = *state;
        const struct rt_caller owner = { .tenant_id = 1 };
        const struct rt_caller stranger = { .tenant_id = 2 };
        char id[27];
        char again[27];
        char status[32] = "";
        struct seen s = SEEN;
        struct retort_error err = { 0 };
        fixture_open(f, NULL);
        assert_int_equal(give_job(f, 1, "sleep 0.3; echo done", "one", NULL, id), 0);
        assert_int_equal(give_job(f, 1, "sleep 0.3; echo done", "one", NULL, again), 1);
        assert_string_equal(id, again);
        assert_true(give_job(f, 1, "echo other", "one", NULL, again) < 0);
        assert_int_equal(rt_service_job_wait(f->service, &owner, id, 1, on_waited, &s, &err), 0);
        assert_true(seen_wait(&s, 1));
        assert_int_equal(s.done, 0); /* the time was over first */
        assert_int_equal(rt_service_job_wait(f->service, &stranger, id, 1, on_waited, &s, &err), RETORT_E_INPUT);
        assert_int_equal(rt_service_job_cancel(f->service, &stranger, id, &err), RETORT_E_INPUT);
        assert_true(job_status(f, id, status));
        assert_string_equal(status, "ok");
        assert_int_equal(rt_service_job_cancel(f->service, &owner, id, &err), 0); /* harmless */
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job row = { 0 };
        assert_int_equal(rt_store_job_get(rt_service_store(f->service), id, 1, &arena, &row, &err), 0);
        struct retort_outcome *outcome = NULL;
        assert_int_equal(retort_outcome_parse(row.outcome_json, strlen(row.outcome_json), &outcome, &err), 0);
        assert_string_equal(outcome->id, id);
        assert_string_equal(outcome->stdout_data.data, "done\n");
        retort_outcome_free(outcome);
        assert_int_equal(rt_service_job_wait(f->service, &owner, "01JNOSUCHJOBNOSUCHJOBNOSUC", 1, on_waited, &s, &err), RETORT_E_INPUT);
}

static void queued_and_running_jobs_are_cancelled(void **state) {
        struct fixture *f = *state;
        const struct rt_caller owner = { .tenant_id = 1 };
        char ids[4][27];
        char status[32];
        fixture_open(f, NULL);
        for (int i = 0; i < 4; i++)
                assert_int_equal(give_job(f, 1, "sleep 15", NULL, NULL, ids[i]), 0);
        assert_true(soon(two_run, f));
        for (int i = 3; i >= 0; i--)
                assert_int_equal(rt_service_job_cancel(f->service, &owner, ids[i], NULL), 0);
        for (int i = 0; i < 4; i++) {
                assert_true(job_status(f, ids[i], status));
                assert_string_equal(status, "cancelled");
        }
        assert_true(soon(none_runs, f));
}

static void a_batch_is_all_or_none(void **state) {
        struct fixture *f = *state;
        struct retort_request request = script("echo");
        struct retort_request wrong = { .language = "klingon", .code = { "x", 1 } };
        struct rt_job_order orders[3] = { { .caller = { .tenant_id = 1 }, .request = &request }, { .caller = { .tenant_id = 1 }, .request = &request },
                                          { .caller = { .tenant_id = 1 }, .request = &wrong } };
        char ids[3 * 27];
        char status[32];
        struct rt_refusal refusal;
        struct retort_error err = { 0 };
        const char *const more[] = { "quotas.queued_jobs=2", NULL };
        fixture_open(f, more);
        assert_int_equal(rt_service_jobs_accept(f->service, orders, 3, ids, &refusal, &err), RETORT_E_NO_RUNTIME);
        assert_non_null(strstr(err.message, "job 2"));
        orders[2].request = &request;
        assert_true(rt_service_jobs_accept(f->service, orders, 3, ids, &refusal, &err) < 0);
        assert_int_equal(refusal.why, RT_REFUSED_QUOTA);
        assert_string_equal(refusal.quota, "queued_jobs");
        assert_int_equal(status_number(f, "jobs_waiting"), 0);
        assert_int_equal(rt_service_jobs_accept(f->service, orders, 2, ids, &refusal, &err), 0);
        assert_true(job_status(f, ids, status) && job_status(f, ids + 27, status));
        orders[0].callback_url = "ftp://x/";
        assert_int_equal(rt_service_jobs_accept(f->service, orders, 1, ids, &refusal, &err), RETORT_E_INPUT);
        orders[0].callback_url = NULL;
        orders[0].priority = 11;
        assert_int_equal(rt_service_jobs_accept(f->service, orders, 1, ids, &refusal, &err), RETORT_E_INPUT);
}

static bool on_line(const char *json, size_t size, void *userdata) {
        struct seen *s = userdata;
        (void)pthread_mutex_lock(&s->lock);
        size_t used = strlen(s->text);
        (void)snprintf(s->text + used, sizeof s->text - used, "%.*s\n", (int)size, json);
        (void)pthread_mutex_unlock(&s->lock);
        return true;
}

static void on_follow_end(void *userdata) {
        seen_note(userdata, true, "");
}

static void followers_see_the_same_live_and_later(void **state) {
        struct fixture *f = *state;
        const struct rt_caller owner = { .tenant_id = 1 };
        struct seen live = SEEN;
        struct seen late = SEEN;
        struct seen part = SEEN;
        struct rt_follow *follows[3];
        char id[27];
        fixture_open(f, NULL);
        assert_int_equal(give_job(f, 1, "for i in 1 2 3; do echo line $i; sleep 0.05; done", NULL, NULL, id), 0);
        assert_int_equal(rt_service_job_follow(f->service, &owner, id, 0, on_line, on_follow_end, &live, &follows[0], NULL), 0);
        assert_true(seen_wait(&live, 1));
        assert_int_equal(rt_service_job_follow(f->service, &owner, id, 0, on_line, on_follow_end, &late, &follows[1], NULL), 0);
        assert_int_equal(rt_service_job_follow(f->service, &owner, id, 2, on_line, on_follow_end, &part, &follows[2], NULL), 0);
        assert_true(seen_wait(&late, 1) && seen_wait(&part, 1));
        assert_non_null(strstr(live.text, "\"type\":\"started\""));
        assert_non_null(strstr(live.text, "line 3"));
        assert_non_null(strstr(live.text, "\"type\":\"end\",\"outcome\":{\"id\":"));
        assert_string_equal(live.text, late.text);
        assert_non_null(strstr(live.text, part.text));
        assert_int_equal(strncmp(part.text, "{\"seq\":2,", 9), 0);
        for (char *line = live.text, *next; *line; line = next) { /* each is an event of ours */
                struct retort_event *event = NULL;
                next = strchr(line, '\n') + 1;
                assert_int_equal(retort_event_parse(line, (size_t)(next - line - 1), &event, NULL), 0);
                retort_event_free(event);
        }
        for (int i = 0; i < 3; i++)
                rt_follow_free(follows[i]);
        const struct rt_caller stranger = { .tenant_id = 2 };
        assert_int_equal(rt_service_job_follow(f->service, &stranger, id, 0, on_line, on_follow_end, &live, &follows[0], NULL), RETORT_E_INPUT);
}

static void a_follower_may_leave_early(void **state) {
        struct fixture *f = *state;
        const struct rt_caller owner = { .tenant_id = 1 };
        struct seen s = SEEN;
        struct rt_follow *follow;
        char id[27];
        fixture_open(f, NULL);
        assert_int_equal(give_job(f, 1, "sleep 15", NULL, NULL, id), 0);
        assert_int_equal(rt_service_job_follow(f->service, &owner, id, 0, on_line, on_follow_end, &s, &follow, NULL), 0);
        assert_true(soon(one_runs, f));
        rt_follow_free(follow);
        assert_int_equal(s.ends, 1);
        assert_int_equal(rt_service_job_cancel(f->service, &owner, id, NULL), 0);
}

/* ---- fairness ---- */

struct turn {
        struct seen *s;
        char who;
};

static void on_turn(struct retort_outcome *outcome, const struct retort_error *err, void *userdata) {
        struct turn *turn = userdata;
        char who[2] = { turn->who, 0 };
        (void)err;
        seen_note(turn->s, outcome && outcome->status == RETORT_OK, who);
        retort_outcome_free(outcome);
}

static void two_tenants_share_two_slots(void **state) {
        struct fixture *f = *state;
        enum { GREEDY = 24, MODEST = 6 };
        struct seen s = SEEN;
        struct turn greedy = { &s, 'g' };
        struct turn modest = { &s, 'm' };
        struct rt_ticket *tickets[GREEDY + MODEST];
        struct retort_request request = script("sleep 0.03");
        struct rt_refusal refusal;
        struct rt_run_order order = { .caller = { .tenant_id = 1 }, .request = &request, .on_end = on_turn, .userdata = &greedy };
        fixture_open(f, NULL);
        for (int i = 0; i < GREEDY + MODEST; i++) {
                if (i == GREEDY) {
                        order.caller.tenant_id = 2;
                        order.userdata = &modest;
                }
                assert_int_equal(rt_service_run(f->service, &order, &tickets[i], &refusal, NULL), 0);
        }
        assert_true(seen_wait(&s, GREEDY + MODEST));
        assert_int_equal(s.done, GREEDY + MODEST);
        /* All of the modest one's are among the first: it had one of two slots from when it came. */
        const char *last = strrchr(s.text, 'm');
        if (last - s.text > 2 * MODEST + 6)
                fail_msg("%s", s.text);
        for (int i = 0; i < GREEDY + MODEST; i++)
                rt_ticket_free(tickets[i]);
}

/* ---- stopping and starting ---- */

static void draining_lets_runs_end_and_puts_jobs_back(void **state) {
        struct fixture *f = *state;
        struct seen s = SEEN;
        struct seen w = SEEN;
        struct rt_ticket *ticket;
        struct rt_ticket *none;
        struct rt_refusal refusal;
        struct retort_error err = { 0 };
        const struct rt_caller owner = { .tenant_id = 1 };
        char cut[27];
        char queued[27];
        char status[32];
        fixture_open(f, NULL);
        assert_int_equal(give_job(f, 1, "sleep 3; echo again", NULL, NULL, cut), 0);
        assert_true(soon(one_runs, f));
        assert_int_equal(give_run(f, 1, "sleep 0.4; echo ended", &s, &ticket, &refusal, NULL), 0);
        assert_true(soon(two_run, f));
        assert_int_equal(give_job(f, 1, "echo later", NULL, NULL, queued), 0);
        assert_int_equal(rt_service_job_wait(f->service, &owner, queued, PATIENCE_MS, on_waited, &w, NULL), 0);
        rt_service_drain(f->service, 1000);
        assert_true(seen_wait(&s, 1));
        assert_string_equal(s.text, "ended\n");
        rt_ticket_free(ticket);
        assert_int_equal(give_run(f, 1, "echo", &s, &none, &refusal, &err), RETORT_E_CLOSED);
        assert_int_equal(give_job(f, 1, "echo", NULL, NULL, status), RETORT_E_CLOSED);
        assert_int_equal(rt_service_ready(f->service, &err), RETORT_E_CLOSED);
        fixture_shut(f);
        assert_true(seen_wait(&w, 1));
        assert_int_equal(w.done, 0);
        fixture_open(f, NULL);
        assert_true(job_status(f, queued, status));
        assert_string_equal(status, "ok");
        assert_true(job_status(f, cut, status));
        assert_string_equal(status, "ok");
}

/* As a server leaves it that dies: rows that nobody finished. */
static void leave_running(struct fixture *f, const char *id, int attempts) {
        struct rt_store *store = NULL;
        char path[128];
        (void)snprintf(path, sizeof path, "%s/retort.db", f->dir);
        const struct rt_store_config config = { .path = path };
        assert_int_equal(rt_store_open(&store, &config, NULL), 0);
        const struct rt_store_job job = { .id = id, .tenant_id = 1, .created_ms = 1,
                                          .request_json = "{\"language\":\"bash\",\"code\":\"echo survived\"}" };
        assert_int_equal(rt_store_job_add(store, &job, NULL, NULL, NULL), 0);
        for (int i = 0; i < attempts; i++) {
                bool taken = false;
                if (i > 0)
                        assert_int_equal(rt_store_job_requeue(store, id, NULL), 0);
                assert_int_equal(rt_store_job_start(store, id, 2, &taken, NULL), 0);
        }
        rt_store_close(store);
}

static void a_new_server_takes_up_what_a_dead_one_left(void **state) {
        struct fixture *f = *state;
        static const char *const ids[] = { "01JAAAAAAAAAAAAAAAAAAAAAAA", "01JBBBBBBBBBBBBBBBBBBBBBBB", "01JCCCCCCCCCCCCCCCCCCCCCCC" };
        char status[32];
        leave_running(f, ids[0], 0);
        leave_running(f, ids[1], 1);
        leave_running(f, ids[2], 3);
        fixture_open(f, NULL);
        assert_true(job_status(f, ids[0], status));
        assert_string_equal(status, "ok");
        assert_true(job_status(f, ids[1], status));
        assert_string_equal(status, "ok");
        assert_true(job_status(f, ids[2], status)); /* three times is enough */
        assert_string_equal(status, "internal");
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job row = { 0 };
        assert_int_equal(rt_store_job_get(rt_service_store(f->service), ids[2], 0, &arena, &row, NULL), 0);
        assert_non_null(strstr(row.outcome_json, "the server died while the job ran (attempt 3 of at most 3)"));
        struct retort_outcome *outcome = NULL;
        assert_int_equal(retort_outcome_parse(row.outcome_json, strlen(row.outcome_json), &outcome, NULL), 0);
        retort_outcome_free(outcome);
}

static void a_dead_servers_jobs_may_be_failed(void **state) {
        struct fixture *f = *state;
        const char *const more[] = { "jobs.running_at_crash=fail", NULL };
        char status[32];
        leave_running(f, "01JBBBBBBBBBBBBBBBBBBBBBBB", 1);
        fixture_open(f, more);
        assert_true(job_status(f, "01JBBBBBBBBBBBBBBBBBBBBBBB", status));
        assert_string_equal(status, "internal");
}

/* ---- webhooks ---- */

struct hook {
        int listener;
        unsigned short port;
        char got[16384];
        char reply[128];
};

static void hook_open(struct hook *hook) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof at;
        hook->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(hook->listener, (struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(listen(hook->listener, 4), 0);
        assert_int_equal(getsockname(hook->listener, (struct sockaddr *)&at, &size), 0);
        hook->port = ntohs(at.sin_port);
}

/* One request; false: none came in time. */
static bool hook_take(struct hook *hook, const char *reply, int timeout_ms) {
        struct pollfd asked = { .fd = hook->listener, .events = POLLIN };
        if (poll(&asked, 1, timeout_ms) != 1)
                return false;
        int fd = accept4(hook->listener, NULL, NULL, SOCK_CLOEXEC);
        size_t n = 0;
        for (;;) {
                ssize_t got = read(fd, hook->got + n, sizeof hook->got - 1 - n);
                n += got > 0 ? (size_t)got : 0;
                hook->got[n] = 0;
                const char *body = strstr(hook->got, "\r\n\r\n");
                const char *length = strstr(hook->got, "Content-Length: ");
                if (got <= 0 || (body && length && strlen(body + 4) >= strtoul(length + 16, NULL, 10)))
                        break;
        }
        (void)!write(fd, reply, strlen(reply));
        (void)close(fd);
        return true;
}

static void header_of(const struct hook *hook, const char *name, char *out, size_t room) {
        const char *at = strstr(hook->got, name);
        assert_non_null(at);
        at += strlen(name);
        (void)snprintf(out, room, "%.*s", (int)strcspn(at, "\r"), at);
}

static void webhooks_are_signed_and_tried_again(void **state) {
        struct fixture *f = *state;
        struct hook hook = { 0 };
        char url[64];
        char id[27];
        char timestamp[32];
        char signature[80];
        char job[32];
        char expected[65];
        const char *const more[] = { "jobs.callback_private=true", "jobs.callback_secret=0123456789abcdef", NULL };
        hook_open(&hook);
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/hook?x=1", hook.port);
        fixture_open(f, more);
        assert_int_equal(give_job(f, 1, "echo hooked", NULL, url, id), 0);
        assert_true(hook_take(&hook, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", PATIENCE_MS));
        assert_true(hook_take(&hook, "HTTP/1.1 204 No Content\r\n\r\n", PATIENCE_MS)); /* a second later, the same place */
        assert_int_equal(strncmp(hook.got, "POST /hook?x=1 HTTP/1.1\r\n", 25), 0);
        header_of(&hook, "Retort-Timestamp: ", timestamp, sizeof timestamp);
        header_of(&hook, "Retort-Signature: ", signature, sizeof signature);
        header_of(&hook, "Retort-Job: ", job, sizeof job);
        assert_string_equal(job, id);
        const char *body = strstr(hook.got, "\r\n\r\n") + 4;
        assert_int_equal(rt_webhook_sign("0123456789abcdef", timestamp, body, expected, NULL), 0);
        assert_int_equal(strncmp(signature, "v1=", 3), 0);
        assert_string_equal(signature + 3, expected);
        assert_non_null(strstr(body, "hooked"));
        int32_t delivered = 0;
        for (int i = 0; i < 200 && delivered != 1; i++) {
                rt_auto_arena struct rt_arena arena = { 0 };
                struct rt_store_job row = { 0 };
                assert_int_equal(rt_store_job_get(rt_service_store(f->service), id, 0, &arena, &row, NULL), 0);
                delivered = row.callback_state;
                nap(10);
        }
        assert_int_equal(delivered, 1);
        assert_false(hook_take(&hook, "", 1300));
        (void)close(hook.listener);
}

static void webhooks_do_not_reach_inside(void **state) {
        struct fixture *f = *state;
        struct hook hook = { 0 };
        char url[64];
        char ids[2][27];
        const char *const more[] = { "jobs.callback_attempts=1", NULL };
        hook_open(&hook);
        fixture_open(f, more);
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", hook.port);
        assert_int_equal(give_job(f, 1, "echo", NULL, url, ids[0]), 0);
        (void)snprintf(url, sizeof url, "http://localhost:%u/", hook.port);
        assert_int_equal(give_job(f, 1, "echo", NULL, url, ids[1]), 0);
        for (int i = 0; i < 2; i++) {
                int32_t callback = 0;
                for (int n = 0; n < 500 && callback != 2; n++) {
                        rt_auto_arena struct rt_arena arena = { 0 };
                        struct rt_store_job row = { 0 };
                        assert_int_equal(rt_store_job_get(rt_service_store(f->service), ids[i], 0, &arena, &row, NULL), 0);
                        callback = row.callback_state;
                        nap(10);
                }
                assert_int_equal(callback, 2); /* given up */
        }
        assert_false(hook_take(&hook, "", 10));
        (void)close(hook.listener);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make, clear)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(a_run_ends_with_its_outcome),
                CASE(a_compiled_program_is_its_tenants),
                CASE(running_and_queued_runs_are_cancelled),
                CASE(quotas_hold_and_come_back),
                CASE(a_full_queue_says_busy),
                CASE(a_burst_does_not_overfill_the_queue),
                CASE(keys_are_admitted),
                CASE(a_job_is_kept_and_waited_for),
                CASE(queued_and_running_jobs_are_cancelled),
                CASE(a_batch_is_all_or_none),
                CASE(followers_see_the_same_live_and_later),
                CASE(a_follower_may_leave_early),
                CASE(two_tenants_share_two_slots),
                CASE(draining_lets_runs_end_and_puts_jobs_back),
                CASE(a_new_server_takes_up_what_a_dead_one_left),
                CASE(a_dead_servers_jobs_may_be_failed),
                CASE(webhooks_are_signed_and_tried_again),
                CASE(webhooks_do_not_reach_inside),
        };
        return cmocka_run_group_tests_name("service-run", tests, NULL, NULL);
}
