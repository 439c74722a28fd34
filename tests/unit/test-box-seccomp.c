/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter is run by an interpreter of its own and compared with the table, for every number and many arguments; the
 * table is compared with what must hold whatever it says.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "base/util.h"
#include "box/seccomp.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

enum { DENIED = SECCOMP_RET_USER_NOTIF, HIGHEST = 450 };

/* ---- the kernel's side: classic BPF as seccomp(2) allows it ---- */

static uint32_t run_filter(const struct sock_filter *code, unsigned n, const struct seccomp_data *data) {
        uint32_t a = 0;
        for (unsigned pc = 0;;) {
                assert_in_range(pc, 0, n - 1);
                const struct sock_filter *i = &code[pc++];
                switch (i->code) {
                case BPF_LD | BPF_W | BPF_ABS:
                        assert_int_equal(i->k % 4, 0);
                        assert_in_range(i->k, 0, sizeof *data - 4);
                        memcpy(&a, (const char *)data + i->k, sizeof a);
                        break;
                case BPF_ALU | BPF_AND | BPF_K:
                        a &= i->k;
                        break;
                case BPF_JMP | BPF_JA:
                        assert_in_range(i->k, 0, n);
                        pc += i->k;
                        break;
                case BPF_JMP | BPF_JEQ | BPF_K:
                        pc += a == i->k ? i->jt : i->jf;
                        break;
                case BPF_JMP | BPF_JGE | BPF_K:
                        pc += a >= i->k ? i->jt : i->jf;
                        break;
                case BPF_RET | BPF_K:
                        return i->k;
                default:
                        fail_msg("instruction %#x at %u", i->code, pc - 1);
                }
        }
}

/* ---- the table, read a second time ---- */

#define RT_NEW_NAMESPACES 0x7e020000u
#define RT_DO_ALLOW SECCOMP_RET_ALLOW
#define RT_DO_DENY DENIED
#define RT_ARG(number, bits, want) { (bits), (want), (number), 0 }
#define RT_ARG_HIGH(number, bits, want) { (bits), (want), (number), 32 }
#define RT_ANY { 0, 0, 0, 0 }

enum kind { PLAIN, WHEN, ELSE };
static const struct row {
        const char *name;
        unsigned call;
        enum kind kind;
        struct {
                uint32_t mask, value;
                unsigned arg, shift;
        } conditions[3];
        uint32_t action; /* an errno, or one of SECCOMP_RET_* */
} rows[] = {
#define RT_ALLOW(call) { #call, __NR_##call, PLAIN, { { 0 } }, SECCOMP_RET_ALLOW },
#define RT_MARK(call) { #call, __NR_##call, PLAIN, { { 0 } }, SECCOMP_RET_ALLOW },
#define RT_REFUSE(call, error) { #call, __NR_##call, PLAIN, { { 0 } }, (error) },
#define RT_DENY(call) { #call, __NR_##call, PLAIN, { { 0 } }, DENIED },
#define RT_WHEN(call, c1, c2, c3, act) { #call, __NR_##call, WHEN, { c1, c2, c3 }, (act) },
#define RT_ELSE(call, act) { #call, __NR_##call, ELSE, { { 0 } }, (act) },
#include "box/seccomp.def"
};

static uint32_t by_table(const struct seccomp_data *data) {
        uint32_t nr = (uint32_t)data->nr;
        if (data->arch != ARCH || (nr >= 0x40000000 && nr < 0x80000000))
                return DENIED;
        if (nr > HIGHEST) /* also what is below 0 as a signed number */
                return SECCOMP_RET_ERRNO | ENOSYS;
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                bool holds = rows[i].call == nr;
                for (size_t c = 0; c < 3; c++)
                        holds = holds && ((uint32_t)(data->args[rows[i].conditions[c].arg] >> rows[i].conditions[c].shift) &
                                          rows[i].conditions[c].mask) == rows[i].conditions[c].value;
                if (holds)
                        return rows[i].action < 0x1000 ? SECCOMP_RET_ERRNO | rows[i].action : rows[i].action;
        }
        return DENIED;
}

static struct sock_filter filter[RT_SECCOMP_MAX];
static unsigned n_filter;

static int build(void **state) {
        (void)state;
        n_filter = rt_seccomp_build(filter, DENIED, SECCOMP_RET_ALLOW);
        return n_filter > 0 ? 0 : -1;
}

static uint32_t ask(long nr, uint64_t a0, uint64_t a1, uint64_t a2) {
        const struct seccomp_data data = { .nr = (int)nr, .arch = ARCH, .args = { a0, a1, a2, 0, 0, 0 } };
        return run_filter(filter, n_filter, &data);
}

/* Values around everything that a condition compares with, with rubbish in the upper half and without. */
static const uint64_t values[] = { 0, 1, 2, 3, 4, 5, 6, 10, 16, 17, 0x11, 0x5412, 0x541c, 0x40000, 0x80801, 0x80802, 0x20000,
                                   0x02000000, 0x10000000, 0x7e020000, 0xffffffff, 0x100000000, 0x100000001,
                                   0x100000002, 0xffffffff00000004, 0xffffffff10000000, UINT64_MAX };

static void compare_all(long nr, size_t stride) {
        for (size_t i = 0; i < RT_LEN(values); i += stride)
                for (size_t j = 0; j < RT_LEN(values); j += stride)
                        for (size_t k = 0; k < RT_LEN(values); k += stride) {
                                const struct seccomp_data data = { .nr = (int)nr, .arch = ARCH,
                                                                   .args = { values[i], values[j], values[k] } };
                                uint32_t got = run_filter(filter, n_filter, &data);
                                if (got != by_table(&data))
                                        fail_msg("call %ld (%#lx, %#lx, %#lx): %#x, by the table %#x", nr, values[i],
                                                 values[j], values[k], got, by_table(&data));
                        }
}

static void every_number_gets_what_the_table_says(void **state) {
        (void)state;
        for (long nr = 0; nr < 600; nr++) {
                bool conditions = false;
                for (size_t i = 0; i < RT_LEN(rows); i++)
                        conditions |= rows[i].call == (unsigned)nr && rows[i].kind != PLAIN;
                compare_all(nr, conditions ? 1 : 9);
        }
}

static void numbers_of_other_gates_are_denied(void **state) {
        (void)state;
        static const uint32_t denied[] = { 0x40000000, 0x40000001, 0x40000200, 0x7fffffff };
        static const uint32_t unheard_of[] = { 0x3fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
        for (size_t i = 0; i < RT_LEN(denied); i++)
                assert_int_equal(ask((int)denied[i], 0, 0, 0), DENIED);
        for (size_t i = 0; i < RT_LEN(unheard_of); i++)
                assert_int_equal(ask((int)unheard_of[i], 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
        for (uint32_t nr = 0; nr < 600; nr++)
                assert_int_equal(ask(0x40000000 | nr, 0, 0, 0), DENIED);
        const uint32_t arches[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_PPC64LE, 0, 0xffffffff };
        for (size_t i = 0; i < RT_LEN(arches); i++)
                for (int nr = 0; nr < 600; nr++) {
                        const struct seccomp_data data = { .nr = nr, .arch = arches[i] };
                        assert_int_equal(run_filter(filter, n_filter, &data), DENIED);
                }
}

static void the_killing_filter_differs_only_in_its_word(void **state) {
        (void)state;
        static struct sock_filter killing[RT_SECCOMP_MAX];
        assert_int_equal(rt_seccomp_build(killing, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW), n_filter);
        for (unsigned i = 0; i < n_filter; i++) {
                if (filter[i].code == (BPF_RET | BPF_K) && filter[i].k == DENIED)
                        assert_int_equal(killing[i].k, SECCOMP_RET_KILL_PROCESS);
                else
                        assert_memory_equal(&killing[i], &filter[i], sizeof filter[i]);
        }
}

/* A number stands in the table once, or as one unbroken run of WHENs that ends in an ELSE: the filter would otherwise run on
 * into the next call's rules. */
static void the_table_is_well_formed(void **state) {
        (void)state;
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                if (rows[i].kind == WHEN)
                        assert_int_equal(rows[i].call, rows[i + 1].call);
                for (size_t j = i + 1; j < RT_LEN(rows); j++)
                        if (rows[j].call == rows[i].call && (rows[i].kind != WHEN || rows[j - 1].call != rows[i].call))
                                fail_msg("%s stands in the table twice", rows[i].name);
                for (size_t c = 0; c < 3; c++) {
                        assert_in_range(rows[i].conditions[c].arg, 0, 2);
                        assert_int_equal(rows[i].conditions[c].value & ~rows[i].conditions[c].mask, 0);
                }
                assert_in_range(rows[i].call, 0, HIGHEST);
                assert_string_equal(rt_seccomp_name((int)rows[i].call), rows[i].name);
        }
        assert_null(rt_seccomp_name(-1));
        assert_null(rt_seccomp_name(HIGHEST + 1));
        assert_false(rt_seccomp_unheard_of(HIGHEST));
        assert_true(rt_seccomp_unheard_of(HIGHEST + 1));
}

/* Whatever the table says. */
static void nothing_dangerous_is_allowed(void **state) {
        (void)state;
        static const long never[] = {
                __NR_mount, __NR_umount2, __NR_pivot_root, __NR_chroot, __NR_unshare, __NR_setns, __NR_bpf, __NR_ptrace,
                __NR_keyctl, __NR_add_key, __NR_request_key, __NR_process_vm_readv, __NR_process_vm_writev,
                __NR_pidfd_getfd, __NR_kcmp, __NR_perf_event_open, __NR_userfaultfd, __NR_io_uring_setup,
                __NR_io_uring_enter, __NR_io_uring_register, __NR_open_by_handle_at, __NR_init_module, __NR_kexec_load,
                __NR_reboot, __NR_clone3, __NR_fanotify_init, __NR_syslog, __NR_acct, __NR_quotactl, __NR_move_mount,
                __NR_open_tree, __NR_fsopen, __NR_mount_setattr, __NR_sethostname, __NR_swapon, __NR_settimeofday };
        for (size_t i = 0; i < RT_LEN(never); i++)
                for (size_t j = 0; j < RT_LEN(values); j++)
                        assert_int_not_equal(ask(never[i], values[j], values[j], values[j]), SECCOMP_RET_ALLOW);
        for (unsigned bit = 0; bit < 32; bit++)
                if (0x7e020000u & (1u << bit)) {
                        assert_int_equal(ask(__NR_clone, (1u << bit) | 17, 0, 0), DENIED);
                        assert_int_equal(ask(__NR_clone, 0xffffffff00000000u | (1u << bit), 0, 0), DENIED);
                }
        assert_int_equal(ask(__NR_clone, 0x3d0f00, 0, 0), SECCOMP_RET_ALLOW); /* a thread of glibc's */
        for (uint64_t family = 0; family < 50; family++) {
                bool allowed = ask(__NR_socket, family, 1, 0) == SECCOMP_RET_ALLOW;
                assert_int_equal(allowed, family == 1 || family == 2 || family == 10 || family == 16);
        }
        for (uint64_t protocol = 1; protocol < 32; protocol++) /* netlink: the routing table only */
                assert_int_equal(ask(__NR_socket, 16, 3, protocol), SECCOMP_RET_ERRNO | EAFNOSUPPORT);
        assert_int_equal(ask(__NR_socket, 2, 3, 1), SECCOMP_RET_ERRNO | EAFNOSUPPORT); /* raw ICMP */
        assert_int_equal(ask(__NR_ioctl, 0, 0xffffffff00005412u, 0), SECCOMP_RET_ERRNO | EPERM);
}

static void core_limit_can_be_asked_for_but_not_set(void **state) {
        (void)state;
        assert_int_equal(ask(__NR_prlimit64, 0, 4, 0), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(__NR_prlimit64, 0, 4, 0x7ffe1000), SECCOMP_RET_ERRNO);
        assert_int_equal(ask(__NR_prlimit64, 0, 4, 0x100000000), SECCOMP_RET_ERRNO); /* low half empty, yet a pointer */
        assert_int_equal(ask(__NR_prlimit64, 0, 0xffffffff00000004u, 0x7ffe1000), SECCOMP_RET_ERRNO);
        assert_int_equal(ask(__NR_prlimit64, 0, 7, 0x7ffe1000), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(__NR_setrlimit, 4, 0x7ffe1000, 0), SECCOMP_RET_ERRNO);
        assert_int_equal(ask(__NR_setrlimit, 3, 0x7ffe1000, 0), SECCOMP_RET_ALLOW);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_number_gets_what_the_table_says),
                cmocka_unit_test(numbers_of_other_gates_are_denied),
                cmocka_unit_test(the_killing_filter_differs_only_in_its_word),
                cmocka_unit_test(the_table_is_well_formed),
                cmocka_unit_test(nothing_dangerous_is_allowed),
                cmocka_unit_test(core_limit_can_be_asked_for_but_not_set),
        };
        return cmocka_run_group_tests(tests, build, NULL);
}
