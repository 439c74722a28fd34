/* SPDX-License-Identifier: Apache-2.0
 *
 * Forks that keep all threads. fork(2) copies the memory of all threads but only one of them; here the others are first
 * *held*, each in a signal handler on its own stack, and every child makes them again: a new kernel thread on the old
 * stack with the old thread-local storage, which returns from the signal. To such a thread it is as if a signal had come:
 * a system call is restarted, or gives EINTR where signals do that (poll, nanosleep, epoll_wait, ...).
 *
 * What a held thread keeps: all registers, signal mask, alternate signal stack, robust mutexes, rseq, its name. What it does
 * not: its thread id (the C library's copy is set right), CPU time, scheduling class and affinity, pending signals. Timers
 * of the process (timer_create, setitimer) do not pass to children, as with fork. Handlers of pthread_atfork do not run.
 *
 * A held thread may hold any lock, malloc's as well: between holding and releasing, the caller must not use what could
 * wait for one. Nothing here does.
 *
 * x86-64 with glibc; elsewhere rt_pool_threads_hold says so where there are threads to hold.
 */
#pragma once

#include <sys/types.h>

#include "pool/freeze.h"

/* Holds every thread but the caller. 0, or -1 and why; the threads then run as before. */
int rt_pool_threads_hold(unsigned deadline_ms, char why[RT_POOL_WHY]);

/* How many are held. */
unsigned rt_pool_threads_count(void);

/* Lets the held threads of this process go on, as if it had not been. */
void rt_pool_threads_release(void);

/* clone(2) with SIGCHLD and these namespace flags (CLONE_NEW*), made so that the C library knows the child's one thread.
 * (It
 * does once rt_pool_threads_hold has been here.) The child's other threads come back with rt_pool_threads_resume. As fork(2): -1 with errno. */
pid_t rt_pool_threads_fork(unsigned long namespaces);

/* In a child, when all else is as it shall be: makes the held threads again. They run at once. 0, or -1 and why: then
 * some may run and some not, and all that is left to do is to end. Needs clone(2) with thread flags, set_robust_list, rseq,
 * prctl, futex and rt_sigreturn. */
int rt_pool_threads_resume(char why[RT_POOL_WHY]);

/* Proves with one fork that the held threads come back: each runs on its own stack and storage until it is held once more.
 * `ready` (may be NULL) is called in the child before they are made. 0, or -1 and why. */
int rt_pool_threads_prove(unsigned deadline_ms, int (*ready)(char why[RT_POOL_WHY]), char why[RT_POOL_WHY]);
