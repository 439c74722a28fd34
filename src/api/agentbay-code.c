/* SPDX-License-Identifier: Apache-2.0
 *
 * The tools that run something: run_code and shell; and what a session is asked about itself.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/agentbay.h"
#include "base/err.h"
#include "base/text.h"
#include "base/util.h"
#include "model/agentbay.h"
#include "model/json.h"
#include "model/view.h"

enum { CODE_DEFAULT_S = 60, SHELL_DEFAULT_MS = 50000, NAME_MAX_BYTES = 64 };

/* A number of milliseconds among the arguments, at most the ceiling. False: op says what is wrong. */
static bool read_time(struct rt_ab_op *op, const char *name, double unit_ms, double dflt, uint64_t *ret_ms) {
        json_t *value = json_object_get(op->args, name);
        double asked = value && !json_is_null(value) ? json_number_value(value) : dflt;
        if (value && !json_is_null(value) && !json_is_number(value))
                return rt_ab_op_fail(op, "%s: must be a number", name);
        double ms = (asked > 0 ? asked : dflt) * unit_ms;
        double most = (double)op->config->limits_wall;
        *ret_ms = ms < 1 ? 1 : ms < most ? (uint64_t)ms : op->config->limits_wall;
        return true;
}

static uint64_t least(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* ---- run_code ---- */

/* As the clients do: spaces around it, case and a few other names do not matter. */
static bool find_language(const char *given, enum rt_ab_place_name *ret) {
        static const char *const aliases[][2] = { { "py", "python" }, { "python3", "python" }, { "js", "javascript" },
                                                  { "node", "javascript" }, { "nodejs", "javascript" } };
        char name[NAME_MAX_BYTES];
        size_t size = 0;
        given += strspn(given, " \t\r\n\v\f");
        for (; *given && size < sizeof name - 1; given++)
                name[size++] = (char)tolower((unsigned char)*given);
        while (size && isspace((unsigned char)name[size - 1]))
                size--;
        name[size] = 0;
        const char *canonical = name;
        for (size_t i = 0; i < RT_LEN(aliases); i++)
                if (!*given && strcmp(name, aliases[i][0]) == 0)
                        canonical = aliases[i][1];
        for (size_t i = 0; i < RT_AB_LANGUAGES; i++)
                if (!*given && strcmp(canonical, rt_ab_languages[i]) == 0) {
                        *ret = (enum rt_ab_place_name)i;
                        return true;
                }
        return false;
}

static bool prepare_code(struct rt_ab_op *op) {
        json_t *code = json_object_get(op->args, "code");
        const char *language = NULL;
        const char *spelled = json_object_get(op->args, "timeoutS") ? "timeoutS" : "timeout_s";
        if (!json_is_string(code))
                return rt_ab_op_fail(op, "code: must be a text");
        if (!rt_ab_op_text(op, "language", true, &language) || !read_time(op, spelled, 1000, CODE_DEFAULT_S, &op->cell.wall_ms))
                return false;
        if (!find_language(language, &op->place))
                return rt_ab_op_fail(op, "Unsupported language: %s. Supported languages are 'python', 'javascript', 'r', and 'java'", language);
        op->cell.code = (struct retort_bytes){ json_string_value(code), json_string_length(code) };
        op->cell.cpu_ms = least(op->cell.wall_ms, op->config->limits_cpu);
        return true;
}

int rt_ab_result_of(const struct retort_outcome *outcome, struct rt_arena *arena, struct rt_agentbay_result *ret_result, struct retort_error *err) {
        int r = rt_agentbay_result_of(outcome, arena, ret_result, err);
        if (r < 0 || !outcome->limit.name || !outcome->error.name)
                return r;
        struct rt_agentbay_error *error = rt_arena_new(arena, struct rt_agentbay_error);
        const char *reason = rt_view_reason(outcome, arena);
        if (!error || !reason)
                return rt_fail_nomem(err);
        *error = (struct rt_agentbay_error){ retort_status_name(outcome->status), reason, ret_result->error->traceback };
        ret_result->error = error;
        return 0;
}

static void perform_code(struct rt_ab_op *op) {
        struct rt_agentbay_result result;
        rt_auto_free char *body = NULL;
        struct retort_error *err = &op->call.err;
        op->outcome = rt_call_cell(&op->call, &op->cell, op->on_event, op);
        if (!op->outcome || rt_ab_result_of(op->outcome, &op->arena, &result, err) < 0)
                return;
        int r = op->rich ? rt_agentbay_wire_rich(&result, &body, err) : rt_agentbay_wire(&result, &body, err);
        if (r == 0 && rt_buf_add(&op->text, body, strlen(body)) != RT_BUF_OK)
                (void)rt_ab_op_fail(op, "the result is larger than %d bytes", RT_AB_TEXT_MAX);
}

/* ---- shell ---- */

static bool read_envs(struct rt_ab_op *op) {
        json_t *envs = json_object_get(op->args, "envs");
        const char *name;
        json_t *value;
        if (!envs || json_is_null(envs))
                return true;
        if (!json_is_object(envs) || json_object_size(envs) > RETORT_MAX_ARGS)
                return rt_ab_op_fail(op, "envs: must be an object of at most %d texts", RETORT_MAX_ARGS);
        const char **list = rt_arena_array(&op->arena, json_object_size(envs) + 1, sizeof *list);
        size_t n = 0;
        json_object_foreach(envs, name, value) {
                const char *text = json_string_value(value);
                if (!text || strlen(text) != json_string_length(value) || !*name || strchr(name, '='))
                        return rt_ab_op_fail(op, "envs: names and values must be texts, names without '='");
                if (!list || !(list[n++] = rt_arena_printf(&op->arena, "%s=%s", name, text)))
                        return rt_ab_op_fail(op, "out of memory");
        }
        op->command.env = list;
        op->command.n_env = n;
        return true;
}

static bool prepare_shell(struct rt_ab_op *op) {
        return rt_ab_op_text(op, "command", true, &op->command.shell) && rt_ab_op_text(op, "cwd", false, &op->command.cwd) &&
               read_time(op, "timeout_ms", 1, SHELL_DEFAULT_MS, &op->command.wall_ms) && read_envs(op);
}

static int exit_code_of(const struct retort_outcome *o) {
        return o->signal ? 128 + o->signal : o->exit_code >= 0 ? o->exit_code : o->status == RETORT_OK ? 0 : 1;
}

static void perform_shell(struct rt_ab_op *op) {
        struct retort_outcome *o = op->outcome = rt_call_command(&op->call, &op->command, op->on_event, op);
        rt_auto_json struct rt_json json = RT_JSON();
        rt_auto_free char *body = NULL;
        if (!o)
                return;
        if (o->status == RETORT_WALL_LIMIT) {
                (void)rt_ab_op_fail(op, "Execution failed. Error code:-1 Error message: [timeout] the command did not end within %llu ms",
                                    (unsigned long long)op->command.wall_ms);
                return;
        }
        rt_json_open(&json, '{');
        rt_json_key(&json, "stdout");
        rt_json_text(&json, o->stdout_data.data, o->stdout_data.size);
        rt_json_key(&json, "stderr");
        rt_json_text(&json, o->stderr_data.data, o->stderr_data.size);
        rt_json_key(&json, "exit_code");
        rt_json_int(&json, exit_code_of(o));
        rt_json_key(&json, "errorCode");
        rt_json_int(&json, exit_code_of(o));
        rt_json_key(&json, "traceId");
        rt_json_text(&json, o->id ? o->id : "", o->id ? strlen(o->id) : 0);
        rt_json_close(&json, '}');
        op->is_error = o->status != RETORT_OK;
        if (rt_json_take(&json, &body, &op->call.err) == 0 && rt_buf_add(&op->text, body, strlen(body)) != RT_BUF_OK)
                (void)rt_ab_op_fail(op, "the output is larger than %d bytes", RT_AB_TEXT_MAX);
}

const struct rt_ab_tool rt_ab_code_tools[] = {
        { "run_code", "wuying_codespace", "Runs a program in the session's interpreter of its language, which keeps its state.",
          "{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\"},\"language\":{\"type\":\"string\"},"
          "\"timeout_s\":{\"type\":\"number\",\"default\":60}},\"required\":[\"code\",\"language\"]}",
          RT_CREW_CELL, true, prepare_code, perform_code },
        { "shell", "wuying_shell", "Runs a command in the session's box.",
          "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\"},\"timeout_ms\":{\"type\":\"number\",\"default\":50000},"
          "\"cwd\":{\"type\":\"string\"},\"envs\":{\"type\":\"object\"}},\"required\":[\"command\"]}",
          RT_CREW_LONG, true, prepare_shell, perform_shell },
        { 0 },
};
