/* SPDX-License-Identifier: Apache-2.0 */
#include "service/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "service/wait.h"

/* What a guest says may be JSON that is nested 2048 deep, and takes some 800 KiB of stack to read; only what is touched is memory. */
enum { STACK = 8 << 20, WAITING_MAX = 1024, IDLE_MS = 10000 };

/* One thread. */
struct rt_crew_hand {
        struct rt_crew *crew;
        struct rt_crew_hand *next;              /* of all */
        struct rt_crew_hand *next_idle;         /* the latest first: its memory is warm */
        pthread_t thread;
        pthread_cond_t wake;
        struct rt_task *task;                   /* NULL: idle */
        enum rt_crew_kind kind;                 /* of its task, which may be freed before it is done */
        int64_t owner;
        bool gone;                              /* to be joined */
};

struct line {
        struct rt_task *first, **last;
        unsigned waiting, running, most;
};

struct rt_crew {
        pthread_mutex_t lock;
        pthread_cond_t quiet;
        struct line lines[RT_CREW_KINDS];
        struct rt_crew_hand *all;
        struct rt_crew_hand *idle;
        size_t n_hands;
        size_t n_gone;
        bool closing;
};

/* ---- what is next; all with the lock held ---- */

static unsigned running_of(const struct rt_crew *crew, enum rt_crew_kind kind, int64_t owner) {
        unsigned n = 0;
        for (const struct rt_crew_hand *hand = crew->all; hand; hand = hand->next)
                n += hand->task && hand->kind == kind && hand->owner == owner;
        return n;
}

static bool may_begin(const struct rt_crew *crew, const struct line *line, const struct rt_task *task) {
        unsigned share = line->most - line->most / 4;
        return line->running < share || running_of(crew, task->kind, task->owner) < share;
}

/* Takes the first of a line that may begin. */
static struct rt_task *take_from(struct rt_crew *crew, struct line *line) {
        if (line->running >= line->most)
                return NULL;
        for (struct rt_task **at = &line->first; *at; at = &(*at)->next) {
                struct rt_task *task = *at;
                if (!may_begin(crew, line, task))
                        continue;
                *at = task->next;
                if (line->last == &task->next)
                        line->last = at;
                line->waiting--;
                return task;
        }
        return NULL;
}

static struct rt_task *take(struct rt_crew *crew) {
        for (int kind = 0; kind < RT_CREW_KINDS; kind++) {
                struct rt_task *task = crew->lines[kind].first ? take_from(crew, &crew->lines[kind]) : NULL;
                if (task)
                        return task;
        }
        return NULL;
}

static void assign(struct rt_crew_hand *hand, struct rt_task *task) {
        hand->task = task;
        hand->kind = task->kind;
        hand->owner = task->owner;
        task->hand = hand;
        hand->crew->lines[task->kind].running++;
}

static bool any_waiting(const struct rt_crew *crew) {
        for (int kind = 0; kind < RT_CREW_KINDS; kind++)
                if (crew->lines[kind].first)
                        return true;
        return false;
}

/* ---- threads ---- */

static void leave_idle(struct rt_crew *crew, const struct rt_crew_hand *hand) {
        struct rt_crew_hand **at = &crew->idle;
        while (*at != hand)
                at = &(*at)->next_idle;
        *at = hand->next_idle;
}

/* Until there is work for this thread; false: there is none for long, or never again. */
static bool await_task(struct rt_crew *crew, struct rt_crew_hand *hand) {
        struct timespec until = rt_deadline(IDLE_MS);
        hand->next_idle = crew->idle;
        crew->idle = hand;
        while (!hand->task && !crew->closing)
                if (pthread_cond_timedwait(&hand->wake, &crew->lock, &until) == ETIMEDOUT)
                        break;
        if (hand->task)
                return true;
        leave_idle(crew, hand);
        return false;
}

static void *work(void *argument) {
        struct rt_crew_hand *hand = argument;
        struct rt_crew *crew = hand->crew;
        (void)pthread_mutex_lock(&crew->lock);
        while (hand->task || await_task(crew, hand)) {
                struct rt_task *task = hand->task;
                (void)pthread_mutex_unlock(&crew->lock);
                task->perform(task);
                (void)pthread_mutex_lock(&crew->lock);
                crew->lines[hand->kind].running--;
                hand->task = NULL;
                struct rt_task *next = take(crew);
                if (next)
                        assign(hand, next);
                else if (crew->closing)
                        (void)pthread_cond_broadcast(&crew->quiet);
        }
        hand->gone = true;
        crew->n_gone++;
        (void)pthread_mutex_unlock(&crew->lock);
        return NULL;
}

/* Those that have left. */
static void join_gone(struct rt_crew *crew, bool all) {
        for (struct rt_crew_hand **at = &crew->all; *at;) {
                struct rt_crew_hand *hand = *at;
                if (!hand->gone && !all) {
                        at = &hand->next;
                        continue;
                }
                *at = hand->next;
                crew->n_hands--;
                crew->n_gone -= hand->gone;
                (void)pthread_mutex_unlock(&crew->lock);
                (void)pthread_join(hand->thread, NULL);
                (void)pthread_cond_destroy(&hand->wake);
                free(hand);
                (void)pthread_mutex_lock(&crew->lock);
                at = &crew->all; /* it may have changed */
        }
}

/* A new one, which has its task already: it is not on its way before the lock is let go of. */
static bool hire(struct rt_crew *crew, struct rt_task *task) {
        struct rt_crew_hand *hand = calloc(1, sizeof *hand);
        pthread_attr_t small;
        if (!hand)
                return false;
        hand->crew = crew;
        rt_cond_init(&hand->wake);
        (void)pthread_attr_init(&small);
        (void)pthread_attr_setstacksize(&small, STACK);
        int r = pthread_create(&hand->thread, &small, work, hand);
        (void)pthread_attr_destroy(&small);
        if (r != 0) {
                (void)pthread_cond_destroy(&hand->wake);
                free(hand);
                return false;
        }
        assign(hand, task);
        hand->next = crew->all;
        crew->all = hand;
        crew->n_hands++;
        return true;
}

static void put_back(struct line *line, struct rt_task *task) {
        task->next = line->first;
        line->first = task;
        if (!task->next)
                line->last = &task->next;
        line->waiting++;
}

/* As much as may begin does. */
static void begin_what_may(struct rt_crew *crew) {
        struct rt_task *task;
        while ((task = take(crew))) {
                struct rt_crew_hand *hand = crew->idle;
                if (hand) {
                        crew->idle = hand->next_idle;
                        assign(hand, task);
                        (void)pthread_cond_signal(&hand->wake);
                } else if (!hire(crew, task)) {
                        put_back(&crew->lines[task->kind], task); /* whoever is done next takes it */
                        return;
                }
        }
}

/* ---- from outside ---- */

int rt_crew_new(struct rt_crew **ret_crew, const unsigned most[RT_CREW_KINDS], struct retort_error *err) {
        struct rt_crew *crew = calloc(1, sizeof *crew);
        if (!crew)
                return rt_fail_nomem(err);
        (void)pthread_mutex_init(&crew->lock, NULL);
        (void)pthread_cond_init(&crew->quiet, NULL);
        for (int kind = 0; kind < RT_CREW_KINDS; kind++) {
                crew->lines[kind].most = most[kind];
                crew->lines[kind].last = &crew->lines[kind].first;
        }
        *ret_crew = crew;
        return 0;
}

static bool is_quiet(const struct rt_crew *crew) {
        for (int kind = 0; kind < RT_CREW_KINDS; kind++)
                if (crew->lines[kind].running > 0)
                        return false;
        return !any_waiting(crew);
}

void rt_crew_free(struct rt_crew *crew) {
        if (!crew)
                return;
        (void)pthread_mutex_lock(&crew->lock);
        crew->closing = true;
        while (!is_quiet(crew))
                (void)pthread_cond_wait(&crew->quiet, &crew->lock);
        for (struct rt_crew_hand *hand = crew->idle; hand; hand = hand->next_idle)
                (void)pthread_cond_signal(&hand->wake);
        join_gone(crew, true);
        (void)pthread_mutex_unlock(&crew->lock);
        (void)pthread_cond_destroy(&crew->quiet);
        (void)pthread_mutex_destroy(&crew->lock);
        free(crew);
}

static bool take_out(struct line *line, const struct rt_task *task) {
        for (struct rt_task **at = &line->first; *at; at = &(*at)->next)
                if (*at == task) {
                        *at = task->next;
                        if (line->last == &task->next)
                                line->last = at;
                        line->waiting--;
                        return true;
                }
        return false;
}

bool rt_crew_give(struct rt_crew *crew, struct rt_task *task) {
        struct line *line = &crew->lines[task->kind];
        task->next = NULL;
        (void)pthread_mutex_lock(&crew->lock);
        if (crew->n_gone)
                join_gone(crew, false);
        *line->last = task;
        line->last = &task->next;
        line->waiting++;
        begin_what_may(crew);
        bool given = (line->waiting <= WAITING_MAX && crew->n_hands > 0) || !take_out(line, task);
        (void)pthread_mutex_unlock(&crew->lock);
        return given;
}

bool rt_crew_becomes(struct rt_crew *crew, struct rt_task *task, enum rt_crew_kind kind) {
        struct rt_crew_hand *hand = task->hand;
        (void)pthread_mutex_lock(&crew->lock);
        struct line *line = &crew->lines[kind];
        unsigned share = line->most - line->most / 4;
        bool room = hand->kind == kind ||
                    (line->running < line->most && (line->running < share || running_of(crew, kind, hand->owner) < share));
        if (room) {
                crew->lines[hand->kind].running--;
                line->running++;
                hand->kind = kind;
                begin_what_may(crew);
        }
        (void)pthread_mutex_unlock(&crew->lock);
        return room;
}

size_t rt_crew_size(struct rt_crew *crew) {
        (void)pthread_mutex_lock(&crew->lock);
        size_t n = crew->n_hands;
        (void)pthread_mutex_unlock(&crew->lock);
        return n;
}
