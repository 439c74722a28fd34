/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and their JSON. What only a runtime can judge (paths, entry, code or files, sums of sizes) is
 * left to src/lang; here are names, types and the ranges that hold for everybody.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "model/model.h"
#include "model/shapes.h"

struct owned {
        struct retort_request pub;
        struct rt_arena arena;
};

static const struct rt_field limits_fields[] = {
#define X(member, unit, dflt, floor, ceiling, text)                                                          \
        RT_FIELD(#member, struct retort_limits, member, RT_UINT64, .flags = RT_OPTIONAL, .low = (floor),     \
                 .high = (ceiling)),
        RETORT_LIMITS(X)
#undef X
};
const struct rt_shape rt_shape_limits = RT_SHAPE(struct retort_limits, limits_fields);

static const struct rt_field file_fields[] = {
        RT_FIELD("path", struct retort_file, path, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("content", struct retort_file, content, RT_BYTES, .flags = RT_REQUIRED,
                 .encoding_key = "encoding"),
};
const struct rt_shape rt_shape_file = RT_SHAPE(struct retort_file, file_fields);

static const struct rt_field compile_fields[] = {
        RT_FIELD("args", struct retort_request, compile_args, RT_STRINGS, .flags = RT_OPTIONAL,
                 .count_at = offsetof(struct retort_request, n_compile_args), .high = RETORT_MAX_ARGS),
        RT_FIELD("limits", struct retort_request, compile_limits, RT_OBJECT, .flags = RT_OPTIONAL,
                 .shape = &rt_shape_limits),
        RT_FIELD("fresh", struct retort_request, compile_fresh, RT_BOOL, .flags = RT_OPTIONAL),
};
static const struct rt_shape compile_shape = RT_SHAPE(struct retort_request, compile_fields);

/* No option is defined yet: {} is accepted, anything in it is refused. */
static const struct rt_shape options_shape = { .size = sizeof(struct retort_request) };

static const struct rt_field request_fields[] = {
        RT_FIELD("language", struct retort_request, language, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("version", struct retort_request, version, RT_STRING),
        RT_FIELD("code", struct retort_request, code, RT_BYTES, .flags = RT_OPTIONAL,
                 .encoding_key = "code_encoding"),
        RT_FIELD("files", struct retort_request, files, RT_LIST, .flags = RT_OPTIONAL, .shape = &rt_shape_file,
                 .count_at = offsetof(struct retort_request, n_files), .high = RETORT_MAX_FILES),
        RT_FIELD("entry", struct retort_request, entry, RT_STRING),
        RT_FIELD("stdin", struct retort_request, stdin_data, RT_BYTES, .flags = RT_OPTIONAL,
                 .encoding_key = "stdin_encoding"),
        RT_FIELD("args", struct retort_request, args, RT_STRINGS, .flags = RT_OPTIONAL,
                 .count_at = offsetof(struct retort_request, n_args), .high = RETORT_MAX_ARGS),
        RT_FIELD("env", struct retort_request, env, RT_ENV, .flags = RT_OPTIONAL,
                 .count_at = offsetof(struct retort_request, n_env), .high = RETORT_MAX_ARGS),
        RT_FIELD("limits", struct retort_request, limits, RT_OBJECT, .flags = RT_OPTIONAL,
                 .shape = &rt_shape_limits),
        RT_GROUP("compile", &compile_shape, .flags = RT_OPTIONAL),
        RT_GROUP("options", &options_shape, .flags = RT_OPTIONAL),
};
const struct rt_shape rt_shape_request = RT_SHAPE(struct retort_request, request_fields);

void retort_request_free(struct retort_request *request) {
        if (!request)
                return;
        struct owned *owned = rt_container_of(request, struct owned, pub);
        rt_arena_clear(&owned->arena);
        free(owned);
}

int retort_request_parse(const char *json, size_t size, struct retort_request **ret_request,
                         struct retort_error *err) {
        struct owned *owned = calloc(1, sizeof *owned);
        if (!owned)
                return rt_fail_nomem(err);
        int r = rt_shape_parse(&rt_shape_request, "request", json, size, RT_STRICT, &owned->arena,
                               &owned->pub, err);
        if (r < 0) {
                retort_request_free(&owned->pub);
                return r;
        }
        *ret_request = &owned->pub;
        return 0;
}

int retort_request_json(const struct retort_request *request, char **ret_json, struct retort_error *err) {
        rt_auto_json struct rt_json json = RT_JSON();
        json.strict_text = true; /* a program that is run again must be the same program */
        rt_shape_write(&rt_shape_request, request, &json);
        int r = rt_json_take(&json, ret_json, err);
        return r < 0 ? rt_wrap(err, r, "request") : 0;
}

int rt_model_request_copy(const struct retort_request *request, struct retort_request **ret_request,
                          struct retort_error *err) {
        struct owned *owned = calloc(1, sizeof *owned);
        if (!owned)
                return rt_fail_nomem(err);
        owned->pub = *request;
        int r = rt_shape_copy(&rt_shape_request, &owned->pub, &owned->arena, err);
        if (r < 0) {
                retort_request_free(&owned->pub);
                return r;
        }
        *ret_request = &owned->pub;
        return 0;
}
