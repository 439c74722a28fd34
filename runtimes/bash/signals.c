/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGINT. It is sent to the runner's process alone, but must do what Ctrl-C does at a prompt: end the command that runs, too.
 * While Bash waits for a command it has a handler that does nothing but remember, or blocks the signal; so this library, which is
 * loaded before the C library, takes over sigaction and sigprocmask: Bash's handler is called by ours, when Bash wants to hear of it, and
 * first the signal is passed on to the others of the process group. Background jobs do not care: Bash starts them with SIGINT ignored.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

typedef int action_function(int, const struct sigaction *, struct sigaction *);
typedef int mask_function(int, const sigset_t *, sigset_t *);

static struct sigaction wished; /* what Bash believes to have installed */
static bool armed;
static volatile sig_atomic_t blocked; /* so Bash believes */
static volatile sig_atomic_t pending;

static action_function *real(void) {
        static action_function *found;
        if (!found)
                found = (action_function *)dlsym(RTLD_NEXT, "sigaction");
        return found;
}

static mask_function *real_mask(void) {
        static mask_function *found;
        if (!found)
                found = (mask_function *)dlsym(RTLD_NEXT, "sigprocmask");
        return found;
}

static bool is_ours(void) {
        return armed && getpid() == runner.owner;
}

/* To all but ourselves: what comes back is taken here, where the signal is blocked. */
static void pass_on(void) {
        sigset_t sigint;
        sigemptyset(&sigint);
        sigaddset(&sigint, SIGINT);
        if (getpgrp() == runner.owner && kill(0, SIGINT) == 0)
                (void)sigtimedwait(&sigint, NULL, &(struct timespec){ 0 });
        /* Under `set -m` each command has a group of its own. */
        pid_t group = job_control && last_made_pid > 0 && last_made_pid != last_asynchronous_pid ? getpgid(last_made_pid) : -1;
        if (group > 1 && group != getpgrp())
                (void)kill(-group, SIGINT);
}

static void on_sigint(int number) {
        int saved = errno;
        if (getpid() != runner.owner) { /* a child that has not come to its own handlers yet */
                const struct sigaction plain = { .sa_handler = SIG_DFL };
                (void)real()(number, &plain, NULL);
                (void)raise(number);
        } else if (runner.running) {
                runner.asked++;
                pass_on();
                if (blocked)
                        pending = 1;
                else
                        wished.sa_handler(number);
        }
        errno = saved;
}

static int install(void) {
        struct sigaction ours = wished;
        if (ours.sa_handler != SIG_IGN)
                ours.sa_handler = on_sigint;
        return real()(SIGINT, &ours, NULL);
}

EXPORT int sigaction(int number, const struct sigaction *act, struct sigaction *old) {
        if (number != SIGINT || !is_ours())
                return real()(number, act, old);
        if (old)
                *old = wished;
        if (!act)
                return 0;
        wished = *act;
        if (act->sa_handler == SIG_DFL || act->sa_handler == termsig_sighandler) /* the end of a script, but not of a prompt */
                wished.sa_handler = sigint_sighandler;
        return install();
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
        if (!is_ours())
                return real_mask()(how, set, old);
        bool was = blocked, named = set && sigismember(set, SIGINT) == 1;
        sigset_t others;
        if (set) {
                others = *set;
                sigdelset(&others, SIGINT);
        }
        int r = real_mask()(how, set ? &others : NULL, old);
        if (r < 0)
                return r;
        if (old && was)
                sigaddset(old, SIGINT);
        if (set)
                blocked = how == SIG_BLOCK ? was || named : how == SIG_UNBLOCK ? was && !named : named;
        if (!blocked && pending) {
                pending = 0;
                wished.sa_handler(SIGINT);
        }
        return 0;
}

void signals_arm(void) {
        wished = (struct sigaction){ .sa_handler = sigint_sighandler };
        armed = true;
        (void)install();
}

void signals_forget(void) {
        pending = 0;
}

/* Programs that cells start are not to be loaded with this. Bash has not looked at the environment yet. */
__attribute__((constructor)) static void leave_no_trace(void) {
        (void)unsetenv("LD_PRELOAD");
}
