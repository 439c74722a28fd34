/* SPDX-License-Identifier: Apache-2.0
 *
 * An interpreter with threads becomes two: a supervisor and its child, the interpreter. One with a single thread can do
 * that by itself (runtimes/python/context.py); where there are more, fork(2) would lose them.
 */
#pragma once

/* In a fork that has its program: if it has threads and RETORT_SUPERVISOR says which program is to be the supervisor, this process becomes
 * that, by execve with the child's process id as its only argument, descriptor 0 and the environment; and it returns in the child, with
 * all threads, /dev/null as descriptor 0 and a process group of its own. Open files are the child's alone from then on. Else it
 * returns at once. What cannot be done ends both. */
void rt_pool_divide(void);
