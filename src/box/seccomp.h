/* SPDX-License-Identifier: Apache-2.0
 *
 * The system call policy (box/seccomp.def) as a filter for the kernel. Refused calls are answered by the filter;
 * denied ones go to a listener, so that the outcome can name them, or kill where the kernel has no listeners.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

enum { RT_SECCOMP_MAX = 1024 }; /* instructions; BPF_MAXINSNS of linux/bpf_common.h is 4096 */

/* Writes the filter; denied_action is SECCOMP_RET_USER_NOTIF or SECCOMP_RET_KILL_PROCESS, marked_action
 * SECCOMP_RET_USER_NOTIF or SECCOMP_RET_ALLOW. Returns the number of instructions, or 0 if they are more than
 * RT_SECCOMP_MAX. */
unsigned rt_seccomp_build(struct sock_filter filter[RT_SECCOMP_MAX], uint32_t denied_action, uint32_t marked_action);
/* Which calls the listener is told of. */
enum rt_seccomp_told { RT_SECCOMP_NOTHING, RT_SECCOMP_DENIED, RT_SECCOMP_MARKED_TOO };
/* Puts the calling thread under the policy for good (no_new_privs must be set). *ret_listener is a descriptor for
 * notifications, if anything is told. 0, or -1 with errno. */
int rt_seccomp_enter(enum rt_seccomp_told told, int *ret_listener);
/* Allowed, and told to the listener that wants to hear of it. */
bool rt_seccomp_marked(int call);
/* "ptrace", or NULL for a number the policy does not name. */
const char *rt_seccomp_name(int call);
/* A number above every one this build knows: the answer is ENOSYS, not an end. */
bool rt_seccomp_unheard_of(int call);
