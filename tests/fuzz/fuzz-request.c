/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be read as a request is written as JSON that reads back, and is then written the same.
 */
#include <string.h>

#include "base/util.h"
#include "fuzz.h"
#include "retort.h"

static char *rewrite(const char *text, size_t size) {
        struct retort_error err = { 0 };
        struct retort_request *request = NULL;
        char *json = NULL;
        if (retort_request_parse(text, size, &request, &err) < 0) {
                CHECK(err.code == RETORT_E_INPUT && err.message[0]);
                return NULL;
        }
        CHECK(retort_request_json(request, &json, &err) == 0);
        retort_request_free(request);
        return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        rt_auto_free char *first = rewrite((const char *)data, size);
        if (!first)
                return 0;
        rt_auto_free char *second = rewrite(first, strlen(first));
        CHECK(second && strcmp(first, second) == 0);
        return 0;
}
