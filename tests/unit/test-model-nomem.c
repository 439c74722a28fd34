/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of the model, failed once: the answer is RETORT_E_NOMEM, nothing is handed out, and (under
 * a sanitizer) nothing leaks. The linker gives our own calls to these functions. Those of jansson are left
 * alone: 2.14 calls some of its failed allocations an invalid token, and after others frees memory twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/util.h"
#include "model-samples.h"
#include "model/agentbay.h"
#include "model/model.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned left; /* allocations until the one that fails; 0: none fails */

static bool fails(void) {
        return left > 0 && --left == 0;
}

void *__wrap_malloc(size_t size) {
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
        return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
        return fails() ? NULL : __real_realloc(old, size);
}

/* Runs work with its first, second, ... allocation failing, until it needs no more of them. */
static void fail_each(int (*work)(struct retort_error *err)) {
        for (unsigned n = 1; n; n++) {
                struct retort_error err = { 0 };
                left = n;
                int r = work(&err);
                bool reached = left == 0;
                left = 0;
                if (r != (reached ? RETORT_E_NOMEM : 0) || err.code != r)
                        fail_msg("allocation %u: %d \"%s\"", n, r, err.message);
                if (!reached) {
                        assert_true(n > 3);
                        return;
                }
        }
}

static int request(struct retort_error *err) {
        static const char json[] = "{\"language\":\"c\",\"files\":[{\"path\":\"a\",\"content\":\"//4=\","
                                   "\"encoding\":\"base64\"}],\"args\":[\"x\"],\"env\":{\"A\":\"1\"},"
                                   "\"limits\":{\"wall_ms\":5}}";
        struct retort_request *parsed = NULL;
        struct retort_request *copied = NULL;
        rt_auto_free char *text = NULL;
        int r = retort_request_parse(json, sizeof json - 1, &parsed, err);
        if (r == 0)
                r = rt_model_request_copy(parsed, &copied, err);
        if (r == 0)
                r = retort_request_json(copied, &text, err);
        retort_request_free(parsed);
        retort_request_free(copied);
        return r;
}

static int outcome(struct retort_error *err) {
        struct retort_outcome sample = sample_full();
        struct retort_outcome *parsed = NULL;
        rt_auto_free char *text = NULL;
        int r = retort_outcome_json(&sample, &text, err);
        if (r == 0)
                r = retort_outcome_parse(text, strlen(text), &parsed, err);
        retort_outcome_free(parsed);
        return r;
}

static int event(struct retort_error *err) {
        struct retort_outcome sample = sample_full();
        struct retort_event item = { .type = RETORT_EVENT_ITEM, .item = &sample.items[1] };
        struct retort_event *parsed = NULL;
        rt_auto_free char *text = NULL;
        int r = retort_event_json(&item, &text, err);
        if (r == 0)
                r = retort_event_parse(text, strlen(text), &parsed, err);
        retort_event_free(parsed);
        return r;
}

static int views(struct retort_error *err) {
        struct retort_outcome samples[] = { sample_full(),
                                            sample_wall_limit(),
                                            { .status = RETORT_INTERNAL } };
        static const char *const names[] = { "agentbay", "agentbay-rich", "runtime", "runtime-head" };
        for (size_t i = 0; i < RT_LEN(samples); i++) {
                for (size_t j = 0; j < RT_LEN(names); j++) {
                        rt_auto_free char *text = NULL;
                        int r = retort_outcome_view(&samples[i], names[j], &text, err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int tool_answer(struct retort_error *err) {
        static const char *const texts[] = {
                "{\"result\":[{\"text\":\"a\",\"json\":{\"b\":1}}],\"stdout\":[\"x\"],\"executionError\":"
                "\"e\"}",
                "{\"isError\":true,\"content\":[{\"text\":\"a\"}]}",
        };
        for (size_t i = 0; i < RT_LEN(texts); i++) {
                rt_auto_arena struct rt_arena arena = { 0 };
                struct rt_agentbay_result result;
                int r = rt_agentbay_parse(texts[i], strlen(texts[i]), &arena, &result, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void requests(void **state) {
        (void)state;
        fail_each(request);
}
static void outcomes(void **state) {
        (void)state;
        fail_each(outcome);
}
static void events(void **state) {
        (void)state;
        fail_each(event);
}
static void all_views(void **state) {
        (void)state;
        fail_each(views);
}
static void tool_answers(void **state) {
        (void)state;
        fail_each(tool_answer);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(requests),  cmocka_unit_test(outcomes),     cmocka_unit_test(events),
                cmocka_unit_test(all_views), cmocka_unit_test(tool_answers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
