/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of the native face, by file.
 */
#pragma once

#include "api/api.h"

/* api/native-runs.c */
void rt_native_run(struct rt_exchange *x); /* POST /v1/runs */

/* api/native-jobs.c */
void rt_native_job_accept(struct rt_exchange *x); /* POST /v1/jobs */
void rt_native_job_get(struct rt_exchange *x);    /* GET /v1/jobs/{id} */
void rt_native_job_list(struct rt_exchange *x);   /* GET /v1/jobs */
void rt_native_job_cancel(struct rt_exchange *x); /* DELETE /v1/jobs/{id} */

/* api/native-events.c */
void rt_native_job_events(struct rt_exchange *x); /* GET /v1/jobs/{id}/events */

/* api/native-attach.c */
void rt_native_attach(struct rt_exchange *x); /* GET /v1/attach, a WebSocket */

/* api/native-contexts.c */
void rt_native_context_open(struct rt_exchange *x); /* POST /v1/contexts */
void rt_native_context_list(struct rt_exchange *x); /* GET /v1/contexts */
void rt_native_context_get(struct rt_exchange *x);  /* GET /v1/contexts/{id} */
void rt_native_context_close(struct rt_exchange *x); /* DELETE /v1/contexts/{id} */
void rt_native_context_interrupt(struct rt_exchange *x); /* POST /v1/contexts/{id}/interrupt, and so on */
void rt_native_context_restart(struct rt_exchange *x);
void rt_native_context_fork(struct rt_exchange *x);
void rt_native_context_pause(struct rt_exchange *x);
void rt_native_context_resume(struct rt_exchange *x);
void rt_native_context_complete(struct rt_exchange *x);
void rt_native_context_inspect(struct rt_exchange *x);

/* api/native-cells.c */
void rt_native_context_cell(struct rt_exchange *x);    /* POST /v1/contexts/{id}/cells */
void rt_native_context_command(struct rt_exchange *x); /* POST /v1/contexts/{id}/commands */

/* api/native-files.c */
void rt_native_file_read(struct rt_exchange *x);      /* GET /v1/contexts/{id}/files */
void rt_native_file_write(struct rt_exchange *x);     /* PUT */
void rt_native_file_remove(struct rt_exchange *x);    /* DELETE */
void rt_native_file_list(struct rt_exchange *x);      /* GET /v1/contexts/{id}/files/list, and so on */
void rt_native_file_stat(struct rt_exchange *x);
void rt_native_file_move(struct rt_exchange *x);
void rt_native_file_directory(struct rt_exchange *x);
void rt_native_file_watch(struct rt_exchange *x);

/* api/native-info.c */
void rt_native_languages(struct rt_exchange *x);
void rt_native_isolation(struct rt_exchange *x);
void rt_native_status(struct rt_exchange *x);
void rt_native_health(struct rt_exchange *x);
void rt_native_ready(struct rt_exchange *x);
void rt_native_metrics(struct rt_exchange *x);
void rt_native_openapi(struct rt_exchange *x);

/* api/event-stream.c: an answer that goes on, as NDJSON or Server-Sent Events. */
enum rt_stream_form { RT_STREAM_NONE, RT_STREAM_NDJSON, RT_STREAM_SSE };
/* What the Accept header asks for; NONE: one answer at the end. */
enum rt_stream_form rt_stream_form_of(const struct rt_http_request *http);
/* NULL: the client has gone. */
struct rt_http_stream *rt_event_stream_open(struct rt_exchange *x, enum rt_stream_form form);
/* One event; json is one line. 0, or -1 when the client has gone or timeout_ms is over (-1: none). Blocks while the client is slow. */
int rt_event_stream_write(struct rt_http_stream *stream, enum rt_stream_form form, const char *json, size_t size, int timeout_ms);
