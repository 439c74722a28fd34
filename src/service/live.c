/* SPDX-License-Identifier: Apache-2.0 */
#include "service/live.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "service/wait.h"

enum { STUB = 96 };
#define FIRST_STUB "{\"seq\":0,\"at_ms\":0,\"type\":\"end\"}"

struct rt_live {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        atomic_uint holders;
        struct rt_buf lines; /* each with its newline */
        bool full;           /* one was left out: so are all after it */
        bool over;
        char stub[STUB];     /* the last line without its outcome */
        char *outcome_json;
};

struct rt_live *rt_live_new(size_t cap) {
        struct rt_live *live = calloc(1, sizeof *live);
        if (!live)
                return NULL;
        (void)pthread_mutex_init(&live->lock, NULL);
        rt_cond_init(&live->changed);
        atomic_init(&live->holders, 1);
        live->lines = RT_BUF(cap);
        (void)snprintf(live->stub, sizeof live->stub, "%s", FIRST_STUB);
        return live;
}

struct rt_live *rt_live_hold(struct rt_live *live) {
        atomic_fetch_add(&live->holders, 1);
        return live;
}

void rt_live_let_go(struct rt_live *live) {
        if (!live || atomic_fetch_sub(&live->holders, 1) != 1)
                return;
        rt_buf_clear(&live->lines);
        free(live->outcome_json);
        (void)pthread_cond_destroy(&live->changed);
        (void)pthread_mutex_destroy(&live->lock);
        free(live);
}

/* ---- writing ---- */

static void add_line(struct rt_live *live, const char *json) {
        size_t before = live->lines.size;
        bool good = !live->full && rt_buf_add(&live->lines, json, strlen(json)) == RT_BUF_OK &&
                    rt_buf_add(&live->lines, "\n", 1) == RT_BUF_OK;
        if (good || live->full)
                return;
        live->full = true; /* half a line is no line */
        live->lines.size = before;
        if (live->lines.data)
                live->lines.data[before] = 0;
}

void rt_live_add(struct rt_live *live, const struct retort_event *event) {
        rt_auto_free char *json = NULL;
        if (event->type != RETORT_EVENT_END && retort_event_json(event, &json, NULL) < 0)
                json = NULL;
        (void)pthread_mutex_lock(&live->lock);
        if (event->type == RETORT_EVENT_END)
                (void)snprintf(live->stub, sizeof live->stub, "{\"seq\":%" PRIu64 ",\"at_ms\":%.6f,\"type\":\"end\"}",
                               event->seq, (double)event->at_ns / 1e6);
        else if (json)
                add_line(live, json);
        else
                live->full = true;
        (void)pthread_cond_broadcast(&live->changed);
        (void)pthread_mutex_unlock(&live->lock);
}

void rt_live_end(struct rt_live *live, const char *outcome_json) {
        (void)pthread_mutex_lock(&live->lock);
        if (outcome_json && !live->outcome_json)
                live->outcome_json = strdup(outcome_json);
        live->over = true;
        (void)pthread_cond_broadcast(&live->changed);
        (void)pthread_mutex_unlock(&live->lock);
}

char *rt_live_text(struct rt_live *live) {
        char *text = NULL;
        (void)pthread_mutex_lock(&live->lock);
        if (asprintf(&text, "%s%s\n", live->lines.data ? live->lines.data : "", live->stub) < 0)
                text = NULL;
        (void)pthread_mutex_unlock(&live->lock);
        return text;
}

/* ---- reading ---- */

static uint64_t seq_of(const char *stub) {
        return strncmp(stub, "{\"seq\":", 7) == 0 ? strtoull(stub + 7, NULL, 10) : 0;
}

/* The last line whole: the stub's closing brace makes way for the outcome. */
static char *whole_end(const char *stub, size_t size, const char *outcome_json, size_t *ret_size) {
        char *line = NULL;
        int n = asprintf(&line, "%.*s,\"outcome\":%s}", (int)(size - 1), stub, outcome_json);
        if (n < 0)
                return NULL;
        *ret_size = (size_t)n;
        return line;
}

/* The next line that is wanted, copied; NULL: none is there. */
static char *take_line(struct rt_live *live, struct rt_live_at *at, size_t *ret_size) {
        while (at->offset < live->lines.size) {
                const char *line = live->lines.data + at->offset;
                const char *newline = memchr(line, '\n', live->lines.size - at->offset);
                size_t size = (size_t)(newline - line);
                char *copy = at->line >= at->from ? strndup(line, size) : NULL;
                if (at->line >= at->from && !copy)
                        return NULL;
                at->offset += size + 1;
                at->line++;
                *ret_size = size;
                if (copy)
                        return copy;
        }
        if (!live->over || at->ended || !live->outcome_json)
                return NULL;
        at->ended = true;
        return seq_of(live->stub) >= at->from ? whole_end(live->stub, strlen(live->stub), live->outcome_json, ret_size) : NULL;
}

int rt_live_next(struct rt_live *live, struct rt_live_at *at, int timeout_ms, char **ret_line, size_t *ret_size) {
        struct timespec until = rt_deadline((uint64_t)timeout_ms);
        (void)pthread_mutex_lock(&live->lock);
        char *line = take_line(live, at, ret_size);
        if (!line && !live->over) {
                (void)pthread_cond_timedwait(&live->changed, &live->lock, &until);
                line = take_line(live, at, ret_size);
        }
        bool over = live->over;
        (void)pthread_mutex_unlock(&live->lock);
        *ret_line = line;
        return line ? 1 : over ? -1 : 0;
}

void rt_live_wake(struct rt_live *live) {
        (void)pthread_mutex_lock(&live->lock);
        (void)pthread_cond_broadcast(&live->changed);
        (void)pthread_mutex_unlock(&live->lock);
}

static bool is_stub(const char *line, size_t size) {
        static const char end[] = "\"type\":\"end\"}";
        return size > sizeof end && memcmp(line + size - (sizeof end - 1), end, sizeof end - 1) == 0;
}

int rt_live_replay(const char *events_ndjson, const char *outcome_json, uint64_t from,
                   bool (*on_line)(const char *json, size_t size, void *userdata), void *userdata, struct retort_error *err) {
        const char *p = events_ndjson && *events_ndjson ? events_ndjson : FIRST_STUB "\n";
        while (*p) {
                size_t size = strcspn(p, "\n");
                bool last = is_stub(p, size);
                size_t whole_size = size;
                rt_auto_free char *whole = last ? whole_end(p, size, outcome_json, &whole_size) : NULL;
                if (last && !whole)
                        return rt_fail_nomem(err);
                if (seq_of(p) >= from && !on_line(whole ? whole : p, whole_size, userdata))
                        return 0;
                p += size + (p[size] == '\n');
        }
        return 0;
}
