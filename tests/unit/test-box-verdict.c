/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports and what they mean, one row each. What a hostile keeper could say is there too.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "base/util.h"
#include "box/box.h"

#define EXIT(code) ((code) << 8)
static const struct retort_limits limits = { .wall_ms = 1000, .cpu_ms = 500, .memory_bytes = 64 << 20, .processes = 16,
                                             .output_bytes = 1000, .file_bytes = 4096, .open_files = 64,
                                             .disk_bytes = 1 << 20 };
static const struct rt_box_isolation isolation = { .memory_how = "memory how", .cpu_how = "cpu how",
                                                   .processes_how = "processes how" };

static const struct row {
        const char *what;
        struct rt_box_report report;
        enum retort_status status;
        int exit_code;
        int sig;
        struct retort_hit hit;
} rows[] = {
        { "well", { .wait_status = EXIT(0) }, RETORT_OK, 0, 0, { 0 } },
        { "exit code", { .wait_status = EXIT(7) }, RETORT_NONZERO, 7, 0, { 0 } },
        { "highest exit code", { .wait_status = EXIT(255) }, RETORT_NONZERO, 255, 0, { 0 } },
        { "signal", { .wait_status = SIGSEGV }, RETORT_SIGNAL, -1, SIGSEGV, { 0 } },
        { "signal with a core", { .wait_status = SIGABRT | 0x80 }, RETORT_SIGNAL, -1, SIGABRT, { 0 } },
        { "wall", { .ended_by = RT_END_WALL, .wall_ns = 1002000000, .wait_status = EXIT(0) }, RETORT_WALL_LIMIT, -1, 0,
          { "wall_ms", 1000, 1002, "monotonic clock" } },
        { "cpu", { .ended_by = RT_END_CPU, .cpu_ns = 501000000 }, RETORT_CPU_LIMIT, -1, 0, { "cpu_ms", 500, 501, "cpu how" } },
        { "cpu by signal", { .wait_status = SIGXCPU, .cpu_ns = 2000000000 }, RETORT_CPU_LIMIT, -1, SIGXCPU,
          { "cpu_ms", 500, 2000, "SIGXCPU" } },
        { "memory", { .ended_by = RT_END_MEMORY, .peak_memory_bytes = 99 }, RETORT_MEMORY_LIMIT, -1, 0,
          { "memory_bytes", 64 << 20, 99, "memory how" } },
        { "memory, killed", { .wait_status = SIGKILL, .oom_kills = 1, .peak_memory_bytes = 98 }, RETORT_MEMORY_LIMIT, -1,
          SIGKILL, { "memory_bytes", 64 << 20, 98, "memory how" } },
        { "memory before lost", { .ended_by = RT_END_LOST, .oom_kills = 1 }, RETORT_MEMORY_LIMIT, -1, 0,
          { "memory_bytes", 64 << 20, 0, "memory how" } },
        { "processes", { .ended_by = RT_END_PROCESSES, .processes = 17 }, RETORT_PROCESS_LIMIT, -1, 0,
          { "processes", 16, 17, "processes how" } },
        { "forks refused", { .wait_status = EXIT(1), .refused_forks = 1 }, RETORT_PROCESS_LIMIT, 1, 0,
          { "processes", 16, 16, "processes how" } },
        { "denied", { .ended_by = RT_END_DENIED, .denied_call = __NR_mount, .denied_arch_ok = 1 }, RETORT_DENIED, -1, 0,
          { "syscall", 0, __NR_mount, "mount" } },
        { "denied, no name", { .ended_by = RT_END_DENIED, .denied_call = 335, .denied_arch_ok = 1 }, RETORT_DENIED, -1, 0,
          { "syscall", 0, 335, "unknown" } },
        { "denied, negative", { .ended_by = RT_END_DENIED, .denied_call = -1 }, RETORT_DENIED, -1, 0,
          { "syscall", 0, 0xffffffff, "a call of another architecture" } },
        { "denied by the filter alone", { .wait_status = SIGSYS, .filter_kills = 1 }, RETORT_DENIED, -1, SIGSYS, { "syscall", 0, 0, "SIGSYS" } },
        { "cancelled", { .ended_by = RT_END_KILLED, .wait_status = SIGKILL }, RETORT_CANCELLED, -1, 0, { 0 } },
        { "lost", { .ended_by = RT_END_LOST }, RETORT_INTERNAL, -1, 0, { 0 } },
        { "no program", { .wait_status = EXIT(127), .exec_errno = 2 }, RETORT_INTERNAL, 127, 0, { 0 } },
        { "file", { .wait_status = SIGXFSZ, .largest_file_bytes = 4096 }, RETORT_FILE_LIMIT, -1, SIGXFSZ,
          { "file_bytes", 4096, 4096, "SIGXFSZ" } },
        { "file, found large", { .wait_status = EXIT(1), .file_limit_hit = 1, .largest_file_bytes = 5000 },
          RETORT_FILE_LIMIT, 1, 0, { "file_bytes", 4096, 5000, "size of the largest file" } },
        { "file, but all went well", { .wait_status = EXIT(0), .file_limit_hit = 1 }, RETORT_OK, 0, 0, { 0 } },
        { "disk", { .wait_status = EXIT(1), .disk_full = 1, .disk_used_bytes = 1 << 20 }, RETORT_FILE_LIMIT, 1, 0,
          { "disk_bytes", 1 << 20, 1 << 20, "statfs" } },
        /* what no keeper of ours says */
        { "unknown end", { .ended_by = 99, .wait_status = EXIT(0) }, RETORT_INTERNAL, -1, 0, { 0 } },
        { "largest end", { .ended_by = UINT32_MAX }, RETORT_INTERNAL, -1, 0, { 0 } },
        { "stopped, not ended", { .wait_status = 0x137f }, RETORT_INTERNAL, -1, 0, { 0 } },
        { "continued, not ended", { .wait_status = 0xffff }, RETORT_INTERNAL, -1, 0, { 0 } },
};

static void every_report_has_its_verdict(void **state) {
        (void)state;
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                const struct row *row = &rows[i];
                int exit_code = 1234, sig = 1234;
                struct retort_hit hit;
                memset(&hit, 0x5a, sizeof hit);
                enum retort_status status = rt_box_verdict(&row->report, &limits, &isolation, &exit_code, &sig, &hit);
                if (status != row->status)
                        fail_msg("%s: %s, not %s", row->what, retort_status_name(status), retort_status_name(row->status));
                if (exit_code != row->exit_code || sig != row->sig)
                        fail_msg("%s: exit code %d, signal %d", row->what, exit_code, sig);
                if (!hit.name != !row->hit.name || (hit.name && strcmp(hit.name, row->hit.name) != 0) ||
                    (hit.how && strcmp(hit.how, row->hit.how) != 0) || hit.value != row->hit.value ||
                    hit.measured != row->hit.measured)
                        fail_msg("%s: %s %lu, measured %lu, %s", row->what, hit.name, hit.value, hit.measured, hit.how);
        }
}

/* Whatever the numbers, the answer is one of the closed set and names only what exists. */
static void no_report_is_out_of_bounds(void **state) {
        (void)state;
        static const int32_t numbers[] = { 0, 1, 7, 9, 0x7f, 0x80, 0xff, 0x100, 0x137f, 0xffff, -1, INT32_MIN, INT32_MAX };
        for (uint32_t end = 0; end < 12; end++)
                for (size_t i = 0; i < RT_LEN(numbers); i++)
                        for (unsigned flags = 0; flags < 64; flags++) {
                                const struct rt_box_report report = {
                                        .ended_by = end, .wait_status = numbers[i], .denied_call = numbers[i],
                                        .denied_arch_ok = flags & 1, .file_limit_hit = flags & 2, .disk_full = flags & 4,
                                        .oom_kills = flags & 8, .refused_forks = flags & 16,
                                        .exec_errno = flags & 32 ? numbers[i] : 0 };
                                int exit_code, sig;
                                struct retort_hit hit;
                                enum retort_status s = rt_box_verdict(&report, &limits, &isolation, &exit_code, &sig, &hit);
                                assert_non_null(retort_status_name(s));
                                assert_in_range(exit_code + 1, 0, 256);
                                assert_in_range(sig, 0, 127);
                                assert_true(!hit.name || hit.how);
                                if (s == RETORT_OK)
                                        assert_true(exit_code == 0 && sig == 0 && end == RT_END_EXIT);
                        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_report_has_its_verdict),
                cmocka_unit_test(no_report_is_out_of_bounds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
