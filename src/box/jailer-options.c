/* SPDX-License-Identifier: Apache-2.0
 *
 * The jailer's command line: --name=value only; whoever starts a jailer is libretort.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "box/jailer.h"

static bool read_ceilings(const char *text, struct retort_limits *limits) {
        char *end = (char *)(uintptr_t)text;
#define X(member, unit, dflt, floor, ceiling, words)                                                                   \
        limits->member = strtoull(end, &end, 10);                                                                      \
        end += *end == ',';
        RETORT_LIMITS(X)
#undef X
        bool good = *end == 0;
#define X(member, unit, dflt, floor, ceiling, words) good = good && limits->member > 0 && limits->member <= (ceiling);
        RETORT_LIMITS(X)
#undef X
        return good;
}

int rt_jailer_read_options(struct rt_jailer_options *o, int argc, char **argv, struct retort_error *err) {
        *o = (struct rt_jailer_options){ .scratch = "/tmp", .lacking_why = "" };
        for (int i = 1; i < argc; i++) {
                const char *value = strchr(argv[i], '=');
                size_t n = value ? (size_t)(value++ - argv[i]) : 0;
                if (n == 10 && memcmp(argv[i], "--runtimes", n) == 0)
                        o->runtimes = value;
                else if (n == 6 && memcmp(argv[i], "--init", n) == 0)
                        o->init = value;
                else if (n == 12 && memcmp(argv[i], "--forkserver", n) == 0)
                        o->forkserver = value;
                else if (n == 9 && memcmp(argv[i], "--scratch", n) == 0)
                        o->scratch = value;
                else if (n == 9 && memcmp(argv[i], "--disable", n) == 0)
                        o->disable = (uint32_t)strtoul(value, NULL, 0);
                else if (n == 9 && memcmp(argv[i], "--lacking", n) == 0)
                        o->lacking = (uint32_t)strtoul(value, NULL, 0);
                else if (n == 5 && memcmp(argv[i], "--why", n) == 0)
                        o->lacking_why = value;
                else if (n != 10 || memcmp(argv[i], "--ceilings", n) != 0 || !read_ceilings(value, &o->ceilings))
                        return rt_fail(err, RETORT_E_INPUT, "%s: not an option of retort-jailer", argv[i]);
        }
        return o->runtimes && o->init && o->ceilings.wall_ms
                       ? 0
                       : rt_fail(err, RETORT_E_INPUT, "--runtimes, --init and --ceilings are needed");
}
