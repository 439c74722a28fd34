/* SPDX-License-Identifier: Apache-2.0
 *
 * The Runtime face (CONTRACTS B): the routes, bodies and texts that its unmodified front end knows. Where it did badly
 * (B10) this does well, unless runtime_face.strict asks for the quirks: then every handled answer is HTTP 200, and the
 * documented generation's exit code is 0.
 */
#pragma once

#include <jansson.h>

#include "api/api.h"

/* Answers {"success", "message", "data"}; data is JSON text, NULL: null. */
void rt_runtime_reply(struct rt_exchange *x, int status, bool success, const char *message, const char *data_json);
/* The body as a JSON object (json_t), or answers 400 and gives NULL. The caller's to let go of. */
json_t *rt_runtime_body(struct rt_exchange *x);

/* The user behind x->caller.user_id, or RETORT_E_INPUT. Lives in the exchange's arena. */
int rt_runtime_user(struct rt_exchange *x, struct rt_store_user *ret_user, struct retort_error *err);
/* "docs" or "head": ?generation=, else the configuration. */
bool rt_runtime_docs(const struct rt_exchange *x);

/* api/runtime-auth.c */
void rt_runtime_register(struct rt_exchange *x);
void rt_runtime_login(struct rt_exchange *x);
void rt_runtime_guest(struct rt_exchange *x);

/* api/runtime-execute.c */
void rt_runtime_execute(struct rt_exchange *x);
void rt_runtime_result(struct rt_exchange *x);

/* api/runtime-codes.c */
void rt_runtime_codes_list(struct rt_exchange *x);
void rt_runtime_codes_get(struct rt_exchange *x);
void rt_runtime_codes_add(struct rt_exchange *x);
void rt_runtime_codes_change(struct rt_exchange *x);
void rt_runtime_codes_delete(struct rt_exchange *x);
void rt_runtime_submissions(struct rt_exchange *x);

/* api/runtime-socket.c */
void rt_runtime_socket(struct rt_exchange *x);

/* One finished run into the user's history; nothing when there is no user. */
void rt_runtime_remember(struct rt_service *service, const struct rt_caller *caller, int64_t code_id,
                         const char *language, const char *code, const struct retort_outcome *outcome);
/* A request as the front end means it: ten seconds, as ever. Texts are not copied. */
struct retort_request rt_runtime_request(const char *language, const char *code, const char *stdin_text);
