/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of the mechanisms and levels, from the one table.
 */
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "box/box.h"

static const char *const names[] = {
#define RT_MECHANISM(id, name, reduced, text) name,
#include "box/mechanisms.def"
#undef RT_MECHANISM
};

static const char *const texts[] = {
#define RT_MECHANISM(id, name, reduced, text) text,
#include "box/mechanisms.def"
#undef RT_MECHANISM
};

const char *rt_mechanism_name(enum rt_mechanism mechanism) {
        return names[mechanism];
}

const char *rt_mechanism_text(enum rt_mechanism mechanism) {
        return texts[mechanism];
}

const char *rt_isolation_name(enum retort_isolation level) {
        static const char *const levels[] = { "minimal", "reduced", "strong" };
        return levels[level];
}

int rt_mechanism_mask(const char *list, uint32_t *ret_mask, struct retort_error *err) {
        uint32_t mask = 0;
        for (const char *p = list ? list : ""; *p;) {
                size_t n = strcspn(p, ",");
                size_t m = 0;
                while (m < RT_LEN(names) && !(strlen(names[m]) == n && memcmp(names[m], p, n) == 0))
                        m++;
                if (m == RT_LEN(names))
                        return rt_fail(err, RETORT_E_INPUT, "'%.*s' is no isolation mechanism; see retort doctor", (int)n, p);
                mask |= 1u << m;
                p += n + (p[n] == ',');
        }
        *ret_mask = mask;
        return 0;
}
