/* SPDX-License-Identifier: Apache-2.0
 *
 * A finished run as a line of its user's history.
 */
#include "base/err.h"
#include "base/util.h"
#include "model/runtime_api.h"
#include "model/view.h"
#include "service/inside.h"

int rt_submission_of(const struct retort_outcome *outcome, struct rt_arena *arena, struct rt_store_submission *submission,
                     struct retort_error *err) {
        static const char *const types[] = {
#define X(name) #name,
                RT_RUNTIME_ERROR_TYPES(X)
#undef X
        };
        struct retort_bytes out[2], said[2];
        enum rt_runtime_error_type type = rt_runtime_error_type_of(outcome);
        submission->stdout_text = rt_view_text(out, rt_view_stdout(outcome, out), arena);
        submission->stderr_text = rt_view_text(said, rt_view_stderr(outcome, said), arena);
        submission->status = outcome->status == RETORT_OK ? "SUCCESS" : type == RT_RUNTIME_TIMEOUT ? "TIMEOUT" : "ERROR";
        submission->error_type = types[type];
        submission->exit_code = outcome->exit_code;
        submission->execution_ms = (int64_t)(outcome->usage.wall_ns / 1000000u);
        submission->created_ms = rt_unix_ms() / 1000 * 1000;
        return submission->stdout_text && submission->stderr_text ? 0 : rt_fail_nomem(err);
}

int rt_service_remember(struct rt_service *service, const struct retort_outcome *outcome, struct rt_store_submission *submission,
                        struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        int r = rt_submission_of(outcome, &arena, submission, err);
        return r < 0 ? r : rt_store_submission_add(service->store, submission, err);
}
