/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store keeps, function by function. test-store-file.c has the file itself, threads and failures.
 */
#include "store-samples.h"

static const struct rt_store_job_filter any = { .state = -1 };

/* ---- tenants and keys ---- */

static void tenants_are_put_by_name(void **state) {
        struct place *place = *state;
        struct rt_store_tenant tenant = { .name = "Grüße", .quotas_json = "{\"running\":3}" };
        OK(rt_store_tenant_put(place->store, &tenant, &place->err));
        assert_int_equal(tenant.id, 2);
        struct rt_store_tenant again = { .name = "Grüße" };
        OK(rt_store_tenant_put(place->store, &again, &place->err));
        assert_int_equal(again.id, 2);
        struct rt_store_tenant *all = NULL;
        size_t n = 0;
        OK(rt_store_tenants(place->store, &place->arena, &all, &n, &place->err));
        assert_int_equal(n, 2);
        assert_int_equal(all[0].id, 1);
        assert_string_equal(all[0].name, "default");
        assert_string_equal(all[0].quotas_json, "{}");
        assert_string_equal(all[1].name, "Grüße");
        assert_string_equal(all[1].quotas_json, "{\"running\":3}");
        REFUSED(rt_store_tenant_put(place->store, &(struct rt_store_tenant){ 0 }, &place->err), RETORT_E_INPUT, "a name");
}

static struct rt_store_key key_of(const char *hash) {
        return (struct rt_store_key){ .tenant_id = 1, .name = "laptop", .prefix = "rt_ab", .hash = hash,
                                      .scopes = "run,jobs", .created_ms = 5, .expires_ms = 99 };
}

static void keys_are_listed_revoked_and_used(void **state) {
        struct place *place = *state;
        struct rt_store_key key = key_of("aa"), same = key_of("aa"), lost = key_of("bb");
        OK(rt_store_key_add(place->store, &key, &place->err));
        REFUSED(rt_store_key_add(place->store, &same, &place->err), RETORT_E_INPUT, "key is there already");
        lost.tenant_id = 77;
        REFUSED(rt_store_key_add(place->store, &lost, &place->err), RETORT_E_INPUT, "not there");
        OK(rt_store_key_revoke(place->store, key.id, 1234, &place->err));
        OK(rt_store_key_revoke(place->store, key.id, 9999, &place->err)); /* the first time counts */
        REFUSED(rt_store_key_revoke(place->store, 4711, 1, &place->err), RETORT_E_INPUT, "no such key");
        OK(rt_store_key_used(place->store, key.id, 100000, &place->err));
        OK(rt_store_key_used(place->store, key.id, 100001, &place->err)); /* within the minute */
        struct rt_store_key *all = NULL;
        size_t n = 0;
        OK(rt_store_keys(place->store, &place->arena, &all, &n, &place->err));
        assert_int_equal(n, 1);
        assert_int_equal(all[0].id, key.id);
        assert_string_equal(all[0].hash, "aa");
        assert_string_equal(all[0].prefix, "rt_ab");
        assert_string_equal(all[0].scopes, "run,jobs");
        assert_int_equal(all[0].expires_ms, 99);
        assert_int_equal(all[0].revoked_ms, 1234);
        assert_int_equal(all[0].last_used_ms, 100000);
}

/* ---- jobs ---- */

static void a_job_goes_from_queued_to_done(void **state) {
        struct place *place = *state;
        struct id id = id_of(1);
        struct rt_store_job job = job_of(&id), got;
        job.priority = -3;
        job.callback_url = "https://example.org/done";
        job.traceparent = "00-aa-bb-01";
        OK(rt_store_job_add(place->store, &job, &place->arena, NULL, &place->err));
        OK(rt_store_job_get(place->store, id.text, 1, &place->arena, &got, &place->err));
        assert_int_equal(got.state, RT_JOB_QUEUED);
        assert_int_equal(got.priority, -3);
        assert_string_equal(got.request_json, REQUEST);
        assert_string_equal(got.traceparent, "00-aa-bb-01");
        assert_null(got.outcome_json);
        assert_null(got.idempotency_key);
        bool first = false;
        OK(rt_store_job_start(place->store, id.text, 2000, &first, &place->err));
        assert_true(first);
        OK(rt_store_job_start(place->store, id.text, 2001, &first, &place->err));
        assert_false(first);
        OK(rt_store_job_finish(place->store, id.text, 3000, "ok", "{\"n\":1}", "{}\n", &first, &place->err));
        assert_true(first);
        OK(rt_store_job_finish(place->store, id.text, 4000, "internal", "{\"n\":2}", NULL, &first, &place->err));
        assert_false(first);
        OK(rt_store_job_get(place->store, id.text, 0, &place->arena, &got, &place->err));
        assert_int_equal(got.state, RT_JOB_DONE);
        assert_int_equal(got.started_ms, 2000);
        assert_int_equal(got.finished_ms, 3000);
        assert_int_equal(got.attempts, 1);
        assert_string_equal(got.status, "ok");
        assert_string_equal(got.outcome_json, "{\"n\":1}");
        assert_string_equal(got.events_ndjson, "{}\n");
}

static void what_is_not_a_job_is_refused(void **state) {
        struct place *place = *state;
        struct id id = id_of(1), other = id_of(2);
        struct rt_store_job job = job_of(&id), got;
        OK(rt_store_job_add(place->store, &job, NULL, NULL, &place->err));
        REFUSED(rt_store_job_add(place->store, &job, NULL, NULL, &place->err), RETORT_E_INPUT, "this id");
        job.id = "short";
        REFUSED(rt_store_job_add(place->store, &job, NULL, NULL, &place->err), RETORT_E_INPUT, "26 characters");
        job = job_of(&other);
        job.tenant_id = 9;
        REFUSED(rt_store_job_add(place->store, &job, NULL, NULL, &place->err), RETORT_E_INPUT, "not there");
        job.request_json = NULL;
        REFUSED(rt_store_job_add(place->store, &job, NULL, NULL, &place->err), RETORT_E_INPUT, "a request");
        bool flag = true;
        const char *none = other.text;
        REFUSED(rt_store_job_get(place->store, none, 0, &place->arena, &got, &place->err), RETORT_E_INPUT, "no such job");
        REFUSED(rt_store_job_start(place->store, none, 1, &flag, &place->err), RETORT_E_INPUT, "no such job");
        REFUSED(rt_store_job_finish(place->store, none, 1, "ok", "{}", NULL, &flag, &place->err), RETORT_E_INPUT, "no such job");
        REFUSED(rt_store_job_requeue(place->store, none, &place->err), RETORT_E_INPUT, "no such job");
        REFUSED(rt_store_callback_note(place->store, none, 1, 1, 1, &place->err), RETORT_E_INPUT, "no such job");
        assert_true(flag); /* untouched */
}

static void a_tenant_sees_its_own_jobs_only(void **state) {
        struct place *place = *state;
        struct rt_store_tenant tenant = { .name = "other" };
        OK(rt_store_tenant_put(place->store, &tenant, &place->err));
        OK(add_job(place->store, 1, &place->err));
        struct rt_store_job got;
        REFUSED(rt_store_job_get(place->store, id_of(1).text, tenant.id, &place->arena, &got, &place->err), RETORT_E_INPUT,
                "no such job");
        struct rt_store_job_filter filter = { .tenant_id = tenant.id, .state = -1 };
        struct rt_store_job *jobs = NULL;
        size_t n = 9;
        OK(rt_store_jobs(place->store, &filter, &place->arena, &jobs, &n, &place->err));
        assert_int_equal(n, 0);
}

static void an_idempotency_key_adds_once(void **state) {
        struct place *place = *state;
        struct rt_store_tenant tenant = { .name = "other" };
        OK(rt_store_tenant_put(place->store, &tenant, &place->err));
        struct id one = id_of(1), two = id_of(2), three = id_of(3);
        struct rt_store_job job = job_of(&one);
        job.idempotency_key = "k";
        const char *existing = "?";
        OK(rt_store_job_add(place->store, &job, &place->arena, &existing, &place->err));
        assert_null(existing);
        job.id = two.text;
        OK(rt_store_job_add(place->store, &job, &place->arena, &existing, &place->err));
        assert_string_equal(existing, one.text);
        job.request_json = "{\"language\":\"c\"}";
        existing = "?";
        REFUSED(rt_store_job_add(place->store, &job, &place->arena, &existing, &place->err), RETORT_E_INPUT, one.text);
        assert_string_equal(existing, "?");
        job.id = three.text;
        job.tenant_id = tenant.id; /* another tenant's keys are its own */
        OK(rt_store_job_add(place->store, &job, &place->arena, &existing, &place->err));
        assert_null(existing);
        struct rt_store_job got;
        REFUSED(rt_store_job_get(place->store, two.text, 0, &place->arena, &got, &place->err), RETORT_E_INPUT, "no such");
}

static void a_batch_is_added_whole_or_not_at_all(void **state) {
        struct place *place = *state;
        struct id ids[50];
        struct rt_store_job jobs[50], *got = NULL;
        for (unsigned i = 0; i < 50; i++) {
                ids[i] = id_of(i);
                jobs[i] = job_of(&ids[i]);
        }
        jobs[30].id = ids[3].text;
        REFUSED(rt_store_jobs_add(place->store, jobs, 50, &place->err), RETORT_E_INPUT, "job 31 of 50");
        size_t n = 9;
        OK(rt_store_jobs(place->store, &any, &place->arena, &got, &n, &place->err));
        assert_int_equal(n, 0);
        jobs[30].id = ids[30].text;
        OK(rt_store_jobs_add(place->store, jobs, 50, &place->err));
        OK(rt_store_jobs(place->store, &any, &place->arena, &got, &n, &place->err));
        assert_int_equal(n, 50);
        for (unsigned i = 0; i < 50; i++)
                assert_string_equal(got[i].id, ids[49 - i].text);
}

/* Ten jobs: 0 to 3 done (0 and 1 "ok", the others "timeout"), 4 and 5 running, the rest queued; odd ones in C. */
static void add_ten(struct place *place) {
        for (unsigned i = 0; i < 10; i++) {
                struct id id = id_of(i);
                struct rt_store_job job = job_of(&id);
                if (i % 2)
                        job.request_json = "{\"language\":\"c\",\"source\":\"\"}";
                OK(rt_store_job_add(place->store, &job, NULL, NULL, &place->err));
                if (i < 6)
                        OK(rt_store_job_start(place->store, id.text, 1, NULL, &place->err));
                if (i < 4)
                        OK(rt_store_job_finish(place->store, id.text, 2, i < 2 ? "ok" : "timeout", "{}", "", NULL, &place->err));
        }
}

/* The last digits of the ids that a filter finds. */
static void expect_jobs(struct place *place, struct rt_store_job_filter filter, const char *expected) {
        struct rt_store_job *jobs = NULL;
        size_t n = 0;
        char found[32] = "";
        OK(rt_store_jobs(place->store, &filter, &place->arena, &jobs, &n, &place->err));
        for (size_t i = 0; i < n && i < sizeof found - 1; i++)
                found[i] = jobs[i].id[25];
        assert_string_equal(found, expected);
}

static void jobs_are_filtered_and_paged(void **state) {
        struct place *place = *state;
        add_ten(place);
        struct id four = id_of(4);
        expect_jobs(place, any, "9876543210");
        expect_jobs(place, (struct rt_store_job_filter){ .state = RT_JOB_QUEUED, .oldest_first = true }, "6789");
        expect_jobs(place, (struct rt_store_job_filter){ .state = RT_JOB_RUNNING }, "54");
        expect_jobs(place, (struct rt_store_job_filter){ .state = RT_JOB_DONE, .tenant_id = 1 }, "3210");
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .status = "ok" }, "10");
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .language = "c", .limit = 3 }, "975");
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .after_id = four.text, .limit = 2 }, "32");
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .after_id = four.text, .oldest_first = true }, "56789");
        expect_jobs(place, (struct rt_store_job_filter){ .state = 2, .status = "timeout", .language = "c", .tenant_id = 1 }, "3");
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .tenant_id = 2 }, "");
}

static void a_page_begins_where_its_job_was(void **state) {
        struct place *place = *state;
        add_ten(place);
        rt_store_close(rt_take(place->store));
        run_sql(place->file, "PRAGMA foreign_keys = ON; DELETE FROM job WHERE id LIKE '%4' OR id LIKE '%0'");
        OK(open_place(place, 0));
        struct id four = id_of(4), zero = id_of(0), twenty = id_of(20);
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .after_id = four.text }, "321");
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .after_id = four.text, .oldest_first = true }, "56789");
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .after_id = zero.text }, "");
        expect_jobs(place, (struct rt_store_job_filter){ .state = -1, .after_id = twenty.text }, "98765321");
}

static void texts_are_read_only_when_asked_for(void **state) {
        struct place *place = *state;
        add_ten(place);
        struct rt_store_job *jobs = NULL;
        size_t n = 0;
        OK(rt_store_jobs(place->store, &any, &place->arena, &jobs, &n, &place->err));
        assert_null(jobs[9].request_json);
        assert_null(jobs[9].outcome_json);
        struct rt_store_job_filter full = { .state = -1, .with_bodies = true };
        OK(rt_store_jobs(place->store, &full, &place->arena, &jobs, &n, &place->err));
        assert_string_equal(jobs[9].request_json, REQUEST);
        assert_string_equal(jobs[9].outcome_json, "{}");
        assert_string_equal(jobs[9].events_ndjson, "");
        assert_null(jobs[0].outcome_json);
}

static void a_running_job_is_queued_again(void **state) {
        struct place *place = *state;
        add_ten(place);
        OK(rt_store_job_requeue(place->store, id_of(4).text, &place->err));
        OK(rt_store_job_requeue(place->store, id_of(4).text, &place->err)); /* harmless */
        REFUSED(rt_store_job_requeue(place->store, id_of(1).text, &place->err), RETORT_E_INPUT, "done");
        bool taken = false;
        OK(rt_store_job_start(place->store, id_of(4).text, 7, &taken, &place->err));
        assert_true(taken);
        struct rt_store_job got;
        OK(rt_store_job_get(place->store, id_of(4).text, 0, &place->arena, &got, &place->err));
        assert_int_equal(got.attempts, 2);
        assert_int_equal(got.started_ms, 7);
        bool first = false; /* a queued one may end too: it was cancelled */
        OK(rt_store_job_finish(place->store, id_of(9).text, 8, "cancelled", "{}", NULL, &first, &place->err));
        assert_true(first);
        OK(rt_store_job_start(place->store, id_of(9).text, 9, &taken, &place->err));
        assert_false(taken);
}

static void callbacks_are_due_until_noted(void **state) {
        struct place *place = *state;
        for (unsigned i = 0; i < 4; i++) {
                struct id id = id_of(i);
                struct rt_store_job job = job_of(&id);
                job.callback_url = i == 3 ? NULL : "https://example.org/";
                OK(rt_store_job_add(place->store, &job, NULL, NULL, &place->err));
                if (i != 2)
                        OK(rt_store_job_finish(place->store, id.text, 5, "ok", "{\"x\":1}", NULL, NULL, &place->err));
        }
        struct rt_store_job *due = NULL;
        size_t n = 0;
        OK(rt_store_callbacks_due(place->store, 10, 0, &place->arena, &due, &n, &place->err));
        assert_int_equal(n, 2);
        assert_string_equal(due[0].outcome_json, "{\"x\":1}");
        OK(rt_store_callback_note(place->store, id_of(0).text, 0, 1, 100, &place->err));
        OK(rt_store_callback_note(place->store, id_of(1).text, 1, 1, 0, &place->err));
        OK(rt_store_callbacks_due(place->store, 99, 5, &place->arena, &due, &n, &place->err));
        assert_int_equal(n, 0);
        OK(rt_store_callbacks_due(place->store, 100, 5, &place->arena, &due, &n, &place->err));
        assert_int_equal(n, 1);
        assert_int_equal(due[0].callback_attempts, 1);
}

static void texts_come_back_as_they_went_in(void **state) {
        struct place *place = *state;
        static const char odd[] = "Grüße, 世界 🎉 \xff\xfe '; DROP TABLE job; -- \n\t\x01 %s";
        struct id id = id_of(1);
        struct rt_store_job job = job_of(&id), got;
        job.request_json = odd;
        job.idempotency_key = odd;
        OK(rt_store_job_add(place->store, &job, &place->arena, NULL, &place->err));
        size_t size = 20 << 20;
        rt_auto_free char *huge = malloc(size + 1);
        assert_non_null(huge);
        memset(huge, 'x', size);
        huge[size] = 0;
        OK(rt_store_job_finish(place->store, id.text, 1, odd, huge, "", NULL, &place->err));
        reopen(place);
        OK(rt_store_job_get(place->store, id.text, 0, &place->arena, &got, &place->err));
        assert_string_equal(got.request_json, odd);
        assert_string_equal(got.idempotency_key, odd);
        assert_string_equal(got.status, odd);
        assert_string_equal(got.events_ndjson, "");
        assert_int_equal(strlen(got.outcome_json), size);
        assert_memory_equal(got.outcome_json, huge, size);
}

/* ---- users, code, submissions ---- */

static struct rt_store_user add_user(struct place *place, const char *email) {
        struct rt_store_user user = { .email = email, .name = "Ada", .password_hash = "$y$x", .provider = "LOCAL",
                                      .tenant_id = 1, .created_ms = 3 };
        OK(rt_store_user_add(place->store, &user, &place->err));
        return user;
}

static void users_are_found_by_email_without_case(void **state) {
        struct place *place = *state;
        struct rt_store_user user = add_user(place, "Ada@Example.org"), got;
        struct rt_store_user same = { .email = "ada@example.ORG", .name = "", .provider = "LOCAL", .tenant_id = 1 };
        REFUSED(rt_store_user_add(place->store, &same, &place->err), RETORT_E_INPUT, "email is taken");
        OK(rt_store_user_by_email(place->store, "ADA@example.org", &place->arena, &got, &place->err));
        assert_int_equal(got.id, user.id);
        assert_string_equal(got.email, "Ada@Example.org");
        assert_string_equal(got.password_hash, "$y$x");
        struct rt_store_user guest = { .email = "guest_1", .name = "GUEST", .provider = "GUEST", .tenant_id = 1 };
        OK(rt_store_user_add(place->store, &guest, &place->err));
        OK(rt_store_user_by_id(place->store, guest.id, &place->arena, &got, &place->err));
        assert_null(got.password_hash);
        assert_string_equal(got.provider, "GUEST");
        REFUSED(rt_store_user_by_id(place->store, 99, &place->arena, &got, &place->err), RETORT_E_INPUT, "no such user");
        REFUSED(rt_store_user_by_email(place->store, "x", &place->arena, &got, &place->err), RETORT_E_INPUT, "no such user");
        struct rt_store_user nameless = { .email = "b", .provider = "LOCAL", .tenant_id = 1 };
        REFUSED(rt_store_user_add(place->store, &nameless, &place->err), RETORT_E_INPUT, "user.name");
}

static void saved_code_belongs_to_its_user(void **state) {
        struct place *place = *state;
        struct rt_store_user ada = add_user(place, "a"), bob = add_user(place, "b");
        struct rt_store_code one = { .user_id = ada.id, .title = "one", .language = "c", .code = "x", .created_ms = 1,
                                     .updated_ms = 1 };
        struct rt_store_code two = one, got, *all = NULL;
        two.title = "two";
        two.updated_ms = 2;
        OK(rt_store_code_add(place->store, &one, &place->err));
        OK(rt_store_code_add(place->store, &two, &place->err));
        struct rt_store_code change = { .id = one.id, .user_id = ada.id, .code = "y", .updated_ms = 3 };
        OK(rt_store_code_update(place->store, &change, &place->err));
        size_t n = 0;
        OK(rt_store_codes(place->store, ada.id, &place->arena, &all, &n, &place->err));
        assert_int_equal(n, 2);
        assert_string_equal(all[0].title, "one"); /* newest update first */
        assert_string_equal(all[0].code, "y");
        assert_int_equal(all[0].created_ms, 1);
        change.user_id = bob.id;
        REFUSED(rt_store_code_update(place->store, &change, &place->err), RETORT_E_INPUT, "no such saved code");
        REFUSED(rt_store_code_delete(place->store, one.id, bob.id, &place->err), RETORT_E_INPUT, "no such saved code");
        REFUSED(rt_store_code_get(place->store, one.id, bob.id, &place->arena, &got, &place->err), RETORT_E_INPUT, "no such");
        OK(rt_store_code_delete(place->store, one.id, ada.id, &place->err));
        REFUSED(rt_store_code_get(place->store, one.id, ada.id, &place->arena, &got, &place->err), RETORT_E_INPUT, "no such");
        OK(rt_store_code_get(place->store, two.id, ada.id, &place->arena, &got, &place->err));
        assert_string_equal(got.title, "two");
}

static void submissions_survive_their_code(void **state) {
        struct place *place = *state;
        struct rt_store_user ada = add_user(place, "a"), bob = add_user(place, "b");
        struct rt_store_code code = { .user_id = ada.id, .title = "t", .language = "c", .code = "x" };
        OK(rt_store_code_add(place->store, &code, &place->err));
        struct rt_store_submission mine = { .user_id = ada.id, .code_id = code.id, .language = "c", .code = "x",
                                            .stdout_text = "1\n", .stderr_text = "", .status = "SUCCESS",
                                            .error_type = "NONE", .exit_code = -1, .execution_ms = 12, .created_ms = 7 };
        struct rt_store_submission foreign = mine, *all = NULL;
        OK(rt_store_submission_add(place->store, &mine, &place->err));
        assert_int_equal(mine.code_id, code.id);
        foreign.user_id = bob.id; /* names another user's code: kept, without it */
        OK(rt_store_submission_add(place->store, &foreign, &place->err));
        assert_int_equal(foreign.code_id, 0);
        size_t n = 0;
        OK(rt_store_submissions(place->store, ada.id, code.id, 10, &place->arena, &all, &n, &place->err));
        assert_int_equal(n, 1);
        OK(rt_store_code_delete(place->store, code.id, ada.id, &place->err));
        OK(rt_store_submissions(place->store, ada.id, 0, 10, &place->arena, &all, &n, &place->err));
        assert_int_equal(n, 1);
        assert_int_equal(all[0].code_id, 0);
        assert_string_equal(all[0].stdout_text, "1\n");
        assert_string_equal(all[0].error_type, "NONE");
        assert_int_equal(all[0].exit_code, -1);
        struct rt_store_submission later = mine;
        OK(rt_store_submission_add(place->store, &later, &place->err));
        OK(rt_store_submissions(place->store, ada.id, 0, 1, &place->arena, &all, &n, &place->err));
        assert_int_equal(n, 1);
        assert_int_equal(all[0].id, later.id); /* newest first */
        later.user_id = 99;
        REFUSED(rt_store_submission_add(place->store, &later, &place->err), RETORT_E_INPUT, "not there");
}

static void counts_are_told(void **state) {
        struct place *place = *state;
        add_ten(place);
        struct rt_store_stats stats;
        rt_store_stats(place->store, &stats);
        assert_int_equal(stats.jobs_queued, 4);
        assert_int_equal(stats.jobs_running, 2);
        assert_int_equal(stats.writes, 20);
        assert_int_equal(stats.commits, 20);
        assert_int_equal(stats.waiting, 0);
        assert_true(stats.file_bytes > 4096);
        OK(rt_store_check(place->store, &place->err));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_store, clear_place)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(tenants_are_put_by_name),
                CASE(keys_are_listed_revoked_and_used),
                CASE(a_job_goes_from_queued_to_done),
                CASE(what_is_not_a_job_is_refused),
                CASE(a_tenant_sees_its_own_jobs_only),
                CASE(an_idempotency_key_adds_once),
                CASE(a_batch_is_added_whole_or_not_at_all),
                CASE(jobs_are_filtered_and_paged),
                CASE(a_page_begins_where_its_job_was),
                CASE(texts_are_read_only_when_asked_for),
                CASE(a_running_job_is_queued_again),
                CASE(callbacks_are_due_until_noted),
                CASE(texts_come_back_as_they_went_in),
                CASE(users_are_found_by_email_without_case),
                CASE(saved_code_belongs_to_its_user),
                CASE(submissions_survive_their_code),
                CASE(counts_are_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
