/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cancel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/util.h"

static _Atomic(retort_run *) watched;
static atomic_int touching; /* how many are between reading `watched` and being done with it */
static atomic_bool asked;

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

void rt_cancel_now(void) {
        atomic_store(&asked, true);
        atomic_fetch_add(&touching, 1);
        retort_run *run = atomic_load(&watched);
        if (run)
                retort_cancel(run);
        atomic_fetch_sub(&touching, 1);
}

bool rt_cancel_asked(void) {
        return atomic_load(&asked);
}

static void on_signal(int number) {
        int kept = errno;
        struct sigaction hard = { .sa_handler = SIG_DFL };
        (void)sigaction(number, &hard, NULL); /* the next one of this kind is not ours any more */
        rt_cancel_now();
        errno = kept;
}

static void on_pipe(int number) {
        (void)number;
}

void rt_cancel_install(void) {
        struct sigaction soft = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
        struct sigaction quiet = { .sa_handler = on_pipe, .sa_flags = SA_RESTART };
        (void)sigaction(SIGPIPE, &quiet, NULL);
        for (size_t i = 0; i < RT_LEN(signals); i++) {
                struct sigaction old;
                if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup stays nohup */
                        (void)sigaction(signals[i], &soft, NULL);
        }
}

void rt_cancel_watch(retort_run *run) {
        atomic_store(&watched, run);
        if (run && rt_cancel_asked())
                retort_cancel(run);
        while (!run && atomic_load(&touching) > 0)
                (void)sched_yield();
}
