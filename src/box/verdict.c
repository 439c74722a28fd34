/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened, in one word. The box reports facts; here they become a status. The order matters: what ended the step
 * comes before how its process happened to die of it.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "box/box.h"
#include "box/seccomp.h"

enum { NS_PER_MS = 1000000 };

static enum retort_status hit(struct retort_hit *ret, enum retort_status status, const char *name, uint64_t value,
                              uint64_t measured, const char *how) {
        *ret = (struct retort_hit){ .name = name, .value = value, .measured = measured, .how = how };
        return status;
}

static enum retort_status denied(const struct rt_box_report *r, struct retort_hit *ret) {
        const char *call = r->denied_arch_ok ? rt_seccomp_name(r->denied_call) : "a call of another architecture";
        return hit(ret, RETORT_DENIED, "syscall", 0, (uint32_t)r->denied_call, call ? call : "unknown");
}

/* Limits that leave the ending of the process to the process: they count only if it did not end well. */
static bool quiet_limit(const struct rt_box_report *r, const struct retort_limits *l, struct retort_hit *ret,
                        enum retort_status *ret_status) {
        int sig = WIFSIGNALED(r->wait_status) ? WTERMSIG(r->wait_status) : 0;
        if (r->wait_status == 0)
                return false;
        if (r->file_limit_hit || sig == SIGXFSZ)
                *ret_status = hit(ret, RETORT_FILE_LIMIT, "file_bytes", l->file_bytes,
                                  r->largest_file_bytes > l->file_bytes ? r->largest_file_bytes : l->file_bytes,
                                  sig == SIGXFSZ ? "SIGXFSZ" : "size of the largest file");
        else if (r->disk_full)
                *ret_status = hit(ret, RETORT_FILE_LIMIT, "disk_bytes", l->disk_bytes, r->disk_used_bytes, "statfs");
        else
                return false;
        return true;
}

enum retort_status rt_box_verdict(const struct rt_box_report *r, const struct retort_limits *l,
                                  const struct rt_box_isolation *isolation, int *ret_exit_code, int *ret_signal,
                                  struct retort_hit *ret_hit) {
        bool exited = r->ended_by == RT_END_EXIT && WIFEXITED(r->wait_status);
        int sig = r->ended_by == RT_END_EXIT && WIFSIGNALED(r->wait_status) ? WTERMSIG(r->wait_status) : 0;
        enum retort_status status;
        *ret_exit_code = exited ? WEXITSTATUS(r->wait_status) : -1;
        *ret_signal = sig;
        *ret_hit = (struct retort_hit){ 0 };
        switch ((enum rt_box_end)r->ended_by) {
        case RT_END_WALL:
                return hit(ret_hit, RETORT_WALL_LIMIT, "wall_ms", l->wall_ms, r->wall_ns / NS_PER_MS, "monotonic clock");
        case RT_END_CPU:
                return hit(ret_hit, RETORT_CPU_LIMIT, "cpu_ms", l->cpu_ms, r->cpu_ns / NS_PER_MS, isolation->cpu_how);
        case RT_END_PROCESSES:
                return hit(ret_hit, RETORT_PROCESS_LIMIT, "processes", l->processes, r->processes,
                           isolation->processes_how);
        case RT_END_DENIED:
                return denied(r, ret_hit);
        case RT_END_KILLED:
                return RETORT_CANCELLED;
        case RT_END_MEMORY:
        case RT_END_LOST:
        case RT_END_EXIT:
                break;
        default:
                return RETORT_INTERNAL; /* no keeper of ours says that */
        }
        if (r->ended_by == RT_END_MEMORY || r->oom_kills > 0)
                return hit(ret_hit, RETORT_MEMORY_LIMIT, "memory_bytes", l->memory_bytes, r->peak_memory_bytes,
                           isolation->memory_how);
        bool ended = exited || sig != 0;
        if (!ended || r->exec_errno != 0) /* lost, or a word of wait(2) that is no end */
                return RETORT_INTERNAL;
        if (r->refused_forks > 0)
                return hit(ret_hit, RETORT_PROCESS_LIMIT, "processes", l->processes, l->processes,
                           isolation->processes_how);
        if (sig == SIGXCPU && r->cpu_ns / NS_PER_MS >= l->cpu_ms) /* a guest can send it to itself */
                return hit(ret_hit, RETORT_CPU_LIMIT, "cpu_ms", l->cpu_ms, r->cpu_ns / NS_PER_MS, "SIGXCPU");
        if (sig == SIGSYS && r->filter_kills) /* no listener could name the call */
                return hit(ret_hit, RETORT_DENIED, "syscall", 0, 0, "SIGSYS");
        if (quiet_limit(r, l, ret_hit, &status))
                return status;
        if (sig)
                return RETORT_SIGNAL;
        return *ret_exit_code == 0 ? RETORT_OK : RETORT_NONZERO;
}
