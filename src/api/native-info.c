/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be asked of a server without running anything.
 */
#include <stdlib.h>
#include <string.h>

#include "api/native.h"
#include "api/openapi.h"

/* Both of the engine's descriptions are texts that it makes. */
static void reply_engine(struct rt_exchange *x, int (*describe)(retort_engine *, char **, struct retort_error *)) {
        char *json = NULL;
        struct retort_error err = { 0 };
        if (describe(rt_service_engine(x->service), &json, &err) < 0)
                rt_exchange_fail(x, &err);
        else
                rt_exchange_reply_json(x, 200, json);
}

void rt_native_languages(struct rt_exchange *x) {
        reply_engine(x, retort_engine_languages);
}

void rt_native_isolation(struct rt_exchange *x) {
        reply_engine(x, retort_engine_isolation);
}

void rt_native_status(struct rt_exchange *x) {
        char *json = NULL;
        struct retort_error err = { 0 };
        if (rt_service_status(x->service, &json, &err) < 0)
                rt_exchange_fail(x, &err);
        else
                rt_exchange_reply_json(x, 200, json);
}

void rt_native_health(struct rt_exchange *x) {
        static const char alive[] = "{\"status\":\"ok\",\"version\":\"" RETORT_VERSION "\"}";
        rt_exchange_reply(x, 200, "application/json", alive, sizeof alive - 1);
}

void rt_native_ready(struct rt_exchange *x) {
        static const char ready[] = "{\"status\":\"ready\"}";
        struct retort_error err = { 0 };
        if (rt_service_ready(x->service, &err) < 0)
                rt_exchange_refuse(x, 503, "not-ready", err.message);
        else
                rt_exchange_reply(x, 200, "application/json", ready, sizeof ready - 1);
}

/* Open to everybody only when the configuration says so. */
void rt_native_metrics(struct rt_exchange *x) {
        char *text = NULL;
        struct retort_error err = { 0 };
        if (rt_service_metrics(x->service, NULL, &text, &err) < 0) {
                rt_exchange_fail(x, &err);
                return;
        }
        rt_exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", text, strlen(text));
        free(text);
}

void rt_native_openapi(struct rt_exchange *x) {
        rt_exchange_reply(x, 200, "application/json", rt_openapi_json, rt_openapi_size);
}
