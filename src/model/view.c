/* SPDX-License-Identifier: Apache-2.0 */
#include "model/view.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "model/agentbay.h"
#include "model/runtime_api.h"
#include "base/text.h"

const struct retort_step *rt_view_compile_step(const struct retort_outcome *outcome) {
        for (size_t i = 0; i < outcome->n_steps; i++)
                if (outcome->steps[i].name && strcmp(outcome->steps[i].name, "compile") == 0)
                        return &outcome->steps[i];
        return NULL;
}

static size_t pieces_of(const struct retort_bytes *compile, struct retort_bytes run,
                        struct retort_bytes ret_pieces[2]) {
        size_t n = 0;
        if (compile && compile->size)
                ret_pieces[n++] = *compile;
        if (run.size)
                ret_pieces[n++] = run;
        return n;
}

size_t rt_view_stdout(const struct retort_outcome *outcome, struct retort_bytes ret_pieces[2]) {
        const struct retort_step *compile = rt_view_compile_step(outcome);
        return pieces_of(compile ? &compile->stdout_data : NULL, outcome->stdout_data, ret_pieces);
}

size_t rt_view_stderr(const struct retort_outcome *outcome, struct retort_bytes ret_pieces[2]) {
        const struct retort_step *compile = rt_view_compile_step(outcome);
        return pieces_of(compile ? &compile->stderr_data : NULL, outcome->stderr_data, ret_pieces);
}

struct retort_bytes rt_view_join(const struct retort_bytes *pieces, size_t n, struct rt_arena *arena) {
        size_t size = 0;
        for (size_t i = 0; i < n; i++)
                size += pieces[i].size;
        char *data = rt_arena_alloc(arena, size + 1);
        size_t at = 0;
        for (size_t i = 0; data && i < n; at += pieces[i++].size)
                if (pieces[i].size)
                        memcpy(data + at, pieces[i].data, pieces[i].size);
        return (struct retort_bytes){ data, size };
}

const char *rt_view_text(const struct retort_bytes *pieces, size_t n, struct rt_arena *arena) {
        struct retort_bytes all = rt_view_join(pieces, n, arena);
        if (!all.data || !memchr(all.data, 0, all.size))
                return all.data;
        size_t nuls = 0;
        for (size_t i = 0; i < all.size; i++)
                nuls += all.data[i] == 0;
        char *text = rt_arena_alloc(arena, all.size + nuls * 2 + 1);
        if (!text)
                return NULL;
        char *to = text;
        for (size_t i = 0; i < all.size; i++) {
                size_t size = all.data[i] ? 1 : strlen(RT_TEXT_REPLACEMENT);
                memcpy(to, all.data[i] ? &all.data[i] : RT_TEXT_REPLACEMENT, size);
                to += size;
        }
        return text;
}

static const char *const reasons[] = {
#define X(name, wire, text) [RETORT_##name] = (text),
        RETORT_STATUSES(X)
#undef X
};

const char *rt_view_reason(const struct retort_outcome *outcome, struct rt_arena *arena) {
        const char *reason = (unsigned)outcome->status < RT_LEN(reasons) ? reasons[outcome->status] : "";
        if (outcome->status == RETORT_INTERNAL && outcome->message)
                return outcome->message;
        if (outcome->status == RETORT_NONZERO)
                return rt_arena_printf(arena, "ended with exit code %d", outcome->exit_code);
        if (outcome->status == RETORT_SIGNAL)
                return rt_arena_printf(arena, "ended by signal %d", outcome->signal);
        if (outcome->limit.name && outcome->limit.value)
                return rt_arena_printf(arena, "%s (%s is %" PRIu64 ")", reason, outcome->limit.name,
                                       outcome->limit.value);
        return reason;
}

/* ---- the views by name -------------------------------------------------------------------------- */

static int agentbay(const struct retort_outcome *outcome, struct rt_arena *arena, char **ret_text,
                    struct retort_error *err) {
        struct rt_agentbay_result result;
        int r = rt_agentbay_result_of(outcome, arena, &result, err);
        return r < 0 ? r : rt_agentbay_wire(&result, ret_text, err);
}

static int agentbay_rich(const struct retort_outcome *outcome, struct rt_arena *arena, char **ret_text,
                         struct retort_error *err) {
        struct rt_agentbay_result result;
        int r = rt_agentbay_result_of(outcome, arena, &result, err);
        return r < 0 ? r : rt_agentbay_wire_rich(&result, ret_text, err);
}

static int runtime_docs(const struct retort_outcome *outcome, struct rt_arena *arena, char **ret_text,
                        struct retort_error *err) {
        struct rt_runtime_docs_response response;
        int r = rt_runtime_docs_of(outcome, RT_RUNTIME_EXIT_REAL, arena, &response, err);
        return r < 0 ? r : rt_shape_json(&rt_runtime_docs_response_shape, &response, ret_text, err);
}

static int runtime_head(const struct retort_outcome *outcome, struct rt_arena *arena, char **ret_text,
                        struct retort_error *err) {
        struct rt_runtime_head_response response;
        int r = rt_runtime_head_of(outcome, arena, &response, err);
        return r < 0 ? r : rt_shape_json(&rt_runtime_head_response_shape, &response, ret_text, err);
}

static const struct {
        const char *name;
        int (*write)(const struct retort_outcome *outcome, struct rt_arena *arena, char **ret_text,
                     struct retort_error *err);
} views[] = {
        { "agentbay", agentbay },
        { "agentbay-rich", agentbay_rich },
        { "runtime", runtime_docs },
        { "runtime-head", runtime_head },
};

int retort_outcome_view(const struct retort_outcome *outcome, const char *view, char **ret_json,
                        struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        for (size_t i = 0; i < RT_LEN(views); i++)
                if (strcmp(views[i].name, view) == 0)
                        return views[i].write(outcome, &arena, ret_json, err);
        rt_auto_buf struct rt_buf known = RT_BUF(200);
        for (size_t i = 0; i < RT_LEN(views); i++)
                (void)rt_buf_printf(&known, "%s%s", i ? ", " : "", views[i].name);
        return rt_fail(err, RETORT_E_INPUT, "no such view; there are %s", known.data ? known.data : "");
}
