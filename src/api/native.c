/* SPDX-License-Identifier: Apache-2.0
 *
 * The native face: everything, strict. What it promises stands in openapi.json, and a test holds it to that.
 */
#include "api/native.h"

static const struct rt_route routes[] = {
        { "POST", "/v1/runs", rt_native_run, RT_SCOPE_RUN },
        { "POST", "/v1/jobs", rt_native_job_accept, RT_SCOPE_JOBS, true },
        { "GET", "/v1/jobs", rt_native_job_list, RT_SCOPE_JOBS },
        { "GET", "/v1/jobs/{id}", rt_native_job_get, RT_SCOPE_JOBS },
        { "GET", "/v1/jobs/{id}/events", rt_native_job_events, RT_SCOPE_JOBS },
        { "DELETE", "/v1/jobs/{id}", rt_native_job_cancel, RT_SCOPE_JOBS, true },
        { "GET", "/v1/attach", rt_native_attach, RT_SCOPE_RUN },
        { "POST", "/v1/contexts", rt_native_context_open, RT_SCOPE_CONTEXTS },
        { "GET", "/v1/contexts", rt_native_context_list, RT_SCOPE_CONTEXTS },
        { "GET", "/v1/contexts/{id}", rt_native_context_get, RT_SCOPE_CONTEXTS },
        { "DELETE", "/v1/contexts/{id}", rt_native_context_close, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/cells", rt_native_context_cell, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/commands", rt_native_context_command, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/interrupt", rt_native_context_interrupt, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/restart", rt_native_context_restart, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/fork", rt_native_context_fork, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/pause", rt_native_context_pause, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/resume", rt_native_context_resume, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/complete", rt_native_context_complete, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/inspect", rt_native_context_inspect, RT_SCOPE_CONTEXTS },
        { "GET", "/v1/contexts/{id}/files", rt_native_file_read, RT_SCOPE_CONTEXTS },
        { "PUT", "/v1/contexts/{id}/files", rt_native_file_write, RT_SCOPE_CONTEXTS },
        { "DELETE", "/v1/contexts/{id}/files", rt_native_file_remove, RT_SCOPE_CONTEXTS },
        { "GET", "/v1/contexts/{id}/files/list", rt_native_file_list, RT_SCOPE_CONTEXTS },
        { "GET", "/v1/contexts/{id}/files/stat", rt_native_file_stat, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/files/move", rt_native_file_move, RT_SCOPE_CONTEXTS },
        { "POST", "/v1/contexts/{id}/files/directory", rt_native_file_directory, RT_SCOPE_CONTEXTS },
        { "GET", "/v1/contexts/{id}/files/watch", rt_native_file_watch, RT_SCOPE_CONTEXTS },
        { "GET", "/v1/languages", rt_native_languages, RT_SCOPE_RUN, true },
        { "GET", "/v1/isolation", rt_native_isolation, RT_SCOPE_RUN },
        { "GET", "/v1/status", rt_native_status, RT_SCOPE_ADMIN },
        { "GET", "/metrics", rt_native_metrics, RT_SCOPE_METRICS },
        { "GET", "/healthz", rt_native_health, RT_ROUTE_OPEN },
        { "GET", "/readyz", rt_native_ready, RT_ROUTE_OPEN },
        { "GET", "/openapi.json", rt_native_openapi, RT_ROUTE_OPEN },
        { 0 },
};

const struct rt_face rt_face_native = { .prefix = "/v1", .routes = routes };
