/* SPDX-License-Identifier: Apache-2.0
 *
 * A request target, a Host and an Origin, one a line. What is taken has no way out: no NUL, no control character, no
 * segment "." or ".." in a path; a host's name reads as itself.
 */
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "fuzz.h"
#include "http/parse.h"

static void check_path(const char *path) {
        CHECK(*path == '/' || strcmp(path, "*") == 0);
        CHECK(rt_text_is_utf8(path, strlen(path)));
        for (const char *p = path; *p; p++) {
                CHECK((unsigned char)*p >= 0x20 && *p != 0x7f && *p != '\\');
                if (*p == '/' && p[1] == '.')
                        CHECK(p[2] && p[2] != '/' && (p[2] != '.' || (p[3] && p[3] != '/')));
        }
}

static void target(const char *text) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_http_target parsed;
        const char *why = NULL;
        if (rt_http_target_parse(&arena, text, &parsed, &why) < 0) {
                CHECK(why && *why);
                return;
        }
        check_path(parsed.path);
        for (const struct rt_http_header *q = parsed.query; q->name; q++)
                CHECK(rt_text_is_utf8(q->name, strlen(q->name)) && (!q->value || strlen(q->value) <= strlen(text)));
}

static void host(const char *text, const char *origin) {
        char name[RT_HTTP_HOST_MAX];
        char again[RT_HTTP_HOST_MAX];
        (void)rt_http_origin_is_host(origin, text);
        (void)rt_http_has_token(text, "upgrade");
        (void)rt_http_header_is_fit(text, origin);
        if (rt_http_key_is_right(text)) {
                char accept[32];
                CHECK(rt_http_accept_key(text, accept) == 0 && strlen(accept) == 28);
        }
        if (rt_http_host_name(text, name) < 0)
                return;
        CHECK(*name && strlen(name) < RT_HTTP_HOST_MAX);
        (void)rt_http_name_is_loopback(name);
        if (*text != '[' && name[strlen(name) - 1] != '.')
                CHECK(rt_http_host_name(name, again) == 0 && strcmp(name, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        rt_auto_free char *text = malloc(size + 3);
        CHECK(text);
        if (size)
                memcpy(text, data, size);
        memset(text + size, 0, 3);
        char *second = text + strcspn(text, "\n");
        second += *second != 0;
        if (second > text && second[-1] == '\n')
                second[-1] = 0;
        char *third = second + strcspn(second, "\n");
        if (*third)
                *third++ = 0;
        target(text);
        host(second, third);
        return 0;
}
