/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever a tool answers is understood, as a failure at worst, and every body made of it is JSON.
 */
#include <jansson.h>
#include <string.h>

#include "base/util.h"
#include "fuzz.h"
#include "model/agentbay.h"

static void check_json(char *text) {
        rt_auto_free char *owned = text;
        json_t *value = json_loads(owned, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
        CHECK(value);
        json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_agentbay_result result;
        CHECK(rt_agentbay_parse((const char *)data, size, &arena, &result, NULL) == 0);
        CHECK(rt_agentbay_result_text(&result, &arena));
        char *text = NULL;
        CHECK(rt_agentbay_wire(&result, &text, NULL) == 0);
        check_json(text);
        CHECK(rt_agentbay_wire_rich(&result, &text, NULL) == 0);
        check_json(text);
        CHECK(rt_shape_json(&rt_agentbay_result_shape, &result, &text, NULL) == 0);
        check_json(text);
        return 0;
}
