/* SPDX-License-Identifier: Apache-2.0 */
#include "box/warm-up.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/forkserver.h"
#include "box/plan.h"

int rt_warm_up_plan(const char *const *argv, const char *const *env, const char *const *first, size_t n_first,
                    struct retort_error *err) {
        enum { MAX_FIRST = 4, MAX_ENV = 64 };
        const char *entries[MAX_FIRST + MAX_ENV + 1] = { NULL };
        char preload[1024];
        size_t n = n_first;
        memcpy(entries, first, n_first * sizeof *first);
        for (; *env; env++) {
                if (n >= n_first + MAX_ENV)
                        return rt_fail(err, RETORT_E_INPUT, "more than %d variables for an interpreter to be frozen or started ahead", MAX_ENV);
                if (strncmp(*env, "LD_PRELOAD=", 11) != 0) {
                        entries[n++] = *env;
                        continue;
                }
                (void)snprintf(preload, sizeof preload, "%.900s:%s", *env, strchr(RT_FORKSERVER_PRELOAD, '=') + 1);
                entries[0] = preload;
        }
        return rt_plan_write(argv, entries, NULL, 0, err);
}

void rt_warm_up_words(int words, char text[256]) {
        off_t size = words < 0 ? 0 : lseek(words, 0, SEEK_END);
        ssize_t n = size > 0 ? pread(words, text, 255, size > 255 ? size - 255 : 0) : 0;
        text[n > 0 ? n : 0] = 0;
        for (char *p = text; *p; p++)
                if ((unsigned char)*p < ' ')
                        *p = ' ';
}

int rt_ahead_new(const char *const *argv, const char *const *env, struct rt_ahead **ret_ahead, struct retort_error *err) {
        static const char *const first[] = { RT_FORKSERVER_PRELOAD, RT_AHEAD_MARK "=1", "RETORT_PARK=" RT_FORKSERVER_PARK,
                                             "RETORT_GO=" RT_FORKSERVER_GO };
        rt_auto_close int plan = rt_warm_up_plan(argv, env, first, RT_LEN(first), err);
        struct rt_ahead *ahead = plan < 0 ? NULL : malloc(sizeof *ahead);
        if (!ahead)
                return plan >= 0 ? rt_fail_nomem(err) : plan == -1 && err ? err->code : plan;
        ahead->plan = rt_take_fd(&plan);
        *ret_ahead = ahead;
        return 0;
}

struct rt_ahead *rt_ahead_free(struct rt_ahead *ahead) {
        if (ahead)
                (void)rt_close(ahead->plan);
        free(ahead);
        return NULL;
}
