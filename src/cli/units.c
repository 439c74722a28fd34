/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/units.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/util.h"
#include "base/suggest.h"

/* A limit that is added to retort.h without a name here does not compile. */
#define NAME_wall_ms "wall"
#define NAME_cpu_ms "cpu"
#define NAME_memory_bytes "memory"
#define NAME_processes "processes"
#define NAME_output_bytes "output"
#define NAME_file_bytes "file"
#define NAME_open_files "files"
#define NAME_disk_bytes "disk"

const struct rt_limit rt_limits[RT_N_LIMITS] = {
#define X(member, unit, dflt, floor, ceiling, text)                                                         \
        { NAME_##member, #member, unit, offsetof(struct retort_limits, member), dflt, floor, ceiling, text },
        RETORT_LIMITS(X)
#undef X
};

struct unit {
        const char *name;
        uint64_t factor;
};

static const struct unit times[] = {
        { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "min", 60000 }, { "h", 3600000 }, { NULL, 0 },
};
static const struct unit sizes[] = {
        { "B", 1 },
        { "K", 1ull << 10 }, { "KiB", 1ull << 10 }, { "kB", 1000 },
        { "M", 1ull << 20 }, { "MiB", 1ull << 20 }, { "MB", 1000000 },
        { "G", 1ull << 30 }, { "GiB", 1ull << 30 }, { "GB", 1000000000 },
        { "T", 1ull << 40 }, { "TiB", 1ull << 40 }, { "TB", 1000000000000 },
        { NULL, 0 },
};
static const struct unit counts[] = { { NULL, 0 } };

struct kind {
        const char *unit; /* as in RETORT_LIMITS */
        const struct unit *units;
        const char *what;
        const char *allowed;
};

static const struct kind kinds[] = {
        { "ms", times, "time", "use ms, s, m or h" },
        { "bytes", sizes, "size", "use B, K, M, G, T, KiB, MiB, GiB, TiB, kB, MB, GB or TB" },
        { "count", counts, "count", "it is a plain number" },
};

static const struct kind *kind_of(const struct rt_limit *limit) {
        for (size_t i = 0; i < RT_LEN(kinds); i++)
                if (strcmp(kinds[i].unit, limit->unit) == 0)
                        return &kinds[i];
        return &kinds[RT_LEN(kinds) - 1];
}

const struct rt_limit *rt_limit_find(const char *name, size_t size) {
        for (size_t i = 0; i < RT_N_LIMITS; i++) {
                const char *both[] = { rt_limits[i].name, rt_limits[i].member };
                for (size_t k = 0; k < 2; k++)
                        if (strlen(both[k]) == size && strncmp(both[k], name, size) == 0)
                                return &rt_limits[i];
        }
        return NULL;
}

static int unknown_limit(const char *name, size_t size, struct retort_error *err) {
        char word[64];
        const char *names[2 * RT_N_LIMITS];
        size_t n = size < sizeof word ? size : sizeof word - 1;
        memcpy(word, name, n);
        word[n] = 0;
        for (size_t i = 0; i < RT_N_LIMITS; i++) {
                names[i] = rt_limits[i].name;
                names[RT_N_LIMITS + i] = rt_limits[i].member;
        }
        const char *near = rt_suggest(word, names, RT_LEN(names));
        rt_auto_buf struct rt_buf known = RT_BUF(512);
        for (size_t i = 0; i < RT_N_LIMITS; i++)
                (void)rt_buf_printf(&known, "%s%s", i ? ", " : "", rt_limits[i].name);
        return rt_fail(err, RETORT_E_INPUT, "unknown limit \"%s\"%s%s%s (the limits are %s)", word,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                       known.data ? known.data : "");
}

/* A decimal number in thousandths, so that 1.5s is exact. Returns what follows it, or NULL: none, or too large. */
static const char *read_milli(const char *text, uint64_t *ret_milli) {
        uint64_t milli = 0;
        const char *p = text;
        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(milli, 10, &milli) || __builtin_add_overflow(milli, *p - '0', &milli))
                        return NULL;
        if (p == text || __builtin_mul_overflow(milli, 1000, &milli))
                return NULL;
        if (*p == '.') {
                const char *dot = p++;
                for (uint64_t place = 100; *p >= '0' && *p <= '9'; p++, place /= 10)
                        milli += place * (uint64_t)(*p - '0');
                if (p == dot + 1)
                        return NULL;
        }
        *ret_milli = milli;
        return p;
}

/* The factor of a unit in this kind of limit; 0: it is none. */
static uint64_t factor_of(const struct kind *kind, const char *unit) {
        for (const struct unit *u = kind->units; u->name; u++)
                if (kind->units == sizes ? strcasecmp(u->name, unit) == 0 : strcmp(u->name, unit) == 0)
                        return u->factor;
        return 0;
}

static int out_of_range(const struct rt_limit *limit, const char *text, struct retort_error *err) {
        rt_auto_buf struct rt_buf range = RT_BUF(256);
        rt_print_limit(&range, limit, limit->floor, RT_ROUND);
        (void)rt_buf_add(&range, " to ", 4);
        rt_print_limit(&range, limit, limit->ceiling, RT_ROUND);
        return rt_fail(err, RETORT_E_INPUT, "limit %s: \"%s\" is out of range; it may be %s", limit->name, text,
                       range.data ? range.data : "");
}

static int read_value(const struct rt_limit *limit, bool by_member, const char *text, uint64_t *ret_value,
                      struct retort_error *err) {
        const struct kind *kind = kind_of(limit);
        if (*text == '-')
                return rt_fail(err, RETORT_E_INPUT, "limit %s: \"%s\" is negative", limit->name, text);
        if (*text < '0' || *text > '9')
                return rt_fail(err, RETORT_E_INPUT, "limit %s: \"%s\" is no %s; %s", limit->name, text,
                               kind->what, kind->allowed);
        uint64_t milli = 0;
        const char *unit = read_milli(text, &milli);
        if (!unit)
                return out_of_range(limit, text, err);
        if (!*unit && kind->units == times && !by_member && milli > 0)
                return rt_fail(err, RETORT_E_INPUT, "limit %s: \"%s\" has no unit; use %sms, %ss, %sm or %sh",
                               limit->name, text, text, text, text, text);
        uint64_t factor = *unit ? factor_of(kind, unit) : 1;
        if (factor == 0)
                return rt_fail(err, RETORT_E_INPUT, "limit %s: \"%s\" is no unit of %s; %s", limit->name, unit,
                               kind->what, kind->allowed);
        if (milli == 0)
                return rt_fail(err, RETORT_E_INPUT, "limit %s: zero is not a limit; leave it out for the default",
                               limit->name);
        if ((unsigned __int128)milli * factor / 1000 > UINT64_MAX)
                return out_of_range(limit, text, err);
        if (factor == 1 && milli % 1000)
                return rt_fail(err, RETORT_E_INPUT, "limit %s: \"%s\" is not a whole number", limit->name, text);
        *ret_value = (uint64_t)((unsigned __int128)milli * factor / 1000);
        return 0;
}

int rt_limit_parse(const char *spec, struct retort_limits *limits, struct retort_error *err) {
        size_t size = strcspn(spec, "=");
        if (!spec[size])
                return rt_fail(err, RETORT_E_INPUT, "a limit is NAME=VALUE, as in memory=256M, not \"%s\"", spec);
        const struct rt_limit *limit = rt_limit_find(spec, size);
        if (!limit)
                return unknown_limit(spec, size, err);
        uint64_t value = 0;
        bool by_member = strncmp(limit->name, spec, size) != 0 || strlen(limit->name) != size;
        int r = read_value(limit, by_member, spec + size + 1, &value, err);
        if (r < 0)
                return r;
        if (value < limit->floor || value > limit->ceiling)
                return out_of_range(limit, spec + size + 1, err);
        memcpy((char *)limits + limit->offset, &value, sizeof value);
        return 0;
}

void rt_print_ns(struct rt_buf *out, uint64_t ns) {
        double ms = (double)ns / 1e6;
        if (ms < 1)
                (void)rt_buf_printf(out, "%.2f ms", ms);
        else if (ms < 1000)
                (void)rt_buf_printf(out, "%.1f ms", ms);
        else
                (void)rt_buf_printf(out, "%.2f s", ms / 1000);
}

void rt_print_size(struct rt_buf *out, uint64_t bytes, enum rt_precision precision) {
        static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
        size_t k = 0;
        while (k + 1 < RT_LEN(names) && bytes >> (10 * (k + 1)))
                k++;
        uint64_t unit = 1ull << (10 * k);
        if (k == 0 || (precision == RT_ROUND && bytes % unit == 0))
                (void)rt_buf_printf(out, "%" PRIu64 " %s", bytes / unit, names[k]);
        else
                (void)rt_buf_printf(out, "%.1f %s", (double)bytes / (double)unit, names[k]);
}

void rt_print_limit(struct rt_buf *out, const struct rt_limit *limit, uint64_t value,
                    enum rt_precision precision) {
        const struct kind *kind = kind_of(limit);
        if (kind->units == sizes)
                rt_print_size(out, value, precision);
        else if (kind->units == times && value >= 3600000 && value % 3600000 == 0)
                (void)rt_buf_printf(out, "%" PRIu64 " h", value / 3600000);
        else if (kind->units == times && value >= 1000 && value % 1000 == 0)
                (void)rt_buf_printf(out, "%" PRIu64 " s", value / 1000);
        else if (kind->units == times && value >= 1000)
                (void)rt_buf_printf(out, "%.2f s", (double)value / 1000);
        else
                (void)rt_buf_printf(out, "%" PRIu64 "%s", value, kind->units == times ? " ms" : "");
}
