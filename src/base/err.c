/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void set(struct retort_error *err, int code, const char *format, va_list args) {
        if (!err)
                return;
        err->code = code;
        (void)vsnprintf(err->message, sizeof err->message, format, args);
}

int rt_fail(struct retort_error *err, int code, const char *format, ...) {
        va_list args;
        va_start(args, format);
        set(err, code, format, args);
        va_end(args);
        return code;
}

int rt_fail_errno(struct retort_error *err, const char *format, ...) {
        int cause = errno;
        int code = cause == ENOMEM ? RETORT_E_NOMEM : RETORT_E_SYSTEM;
        va_list args;
        va_start(args, format);
        set(err, code, format, args);
        va_end(args);
        if (err) {
                char words[128];
                size_t used = strlen(err->message);
                (void)snprintf(err->message + used, sizeof err->message - used, ": %s",
                               strerror_r(cause, words, sizeof words));
        }
        return code;
}

int rt_wrap(struct retort_error *err, int code, const char *format, ...) {
        if (!err)
                return code;
        char before[sizeof err->message];
        va_list args;
        va_start(args, format);
        int n = vsnprintf(before, sizeof before, format, args);
        va_end(args);
        size_t used = n < 0 ? 0 : (size_t)n < sizeof before ? (size_t)n : sizeof before - 1;
        size_t room = sizeof before - used;
        (void)snprintf(before + used, room, ": %.*s", (int)room, err->message);
        memcpy(err->message, before, sizeof before);
        err->code = code;
        return code;
}

int rt_fail_nomem(struct retort_error *err) {
        return rt_fail(err, RETORT_E_NOMEM, "out of memory");
}
