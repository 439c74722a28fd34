/* SPDX-License-Identifier: Apache-2.0
 *
 * From table to filter: every call number gets an action; runs of equal actions become ranges; a binary search
 * over the ranges ends in a return, or in the conditions of one call. The kernel remembers for each number
 * whether the filter always allows it, so the length matters only when the filter is installed.
 */
#include "box/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "seccomp.def has not been read against this architecture's system calls"
#endif

/* CLONE_NEW* of linux/sched.h; NEWTIME shares its bit with the exit signal and exists for clone3 only. */
#define RT_NEW_NAMESPACES 0x7e020000u

enum { HIGHEST = 450, ACTIONS = HIGHEST + 1 };

enum action { DENY = 0x10000, ALLOW, MARK, CONDITION }; /* below: an errno */
#define RT_DO_ALLOW ALLOW
#define RT_DO_DENY DENY

struct condition {
        uint32_t mask; /* 0: holds always */
        uint32_t value;
        uint32_t arg;
        bool high;
};

struct rule {
        int call;
        uint32_t action;
        struct condition conditions[3];
        bool first_word; /* a plain entry, without conditions */
        const char *name;
};

#define RT_ARG(number, bits, want) { .mask = (bits), .value = (want), .arg = (number) }
#define RT_ARG_HIGH(number, bits, want) { .mask = (bits), .value = (want), .arg = (number), .high = true }
#define RT_ANY { 0 }
static const struct rule rules[] = {
#define RT_ALLOW(call) { __NR_##call, ALLOW, { { 0 } }, true, #call },
#define RT_REFUSE(call, error) { __NR_##call, (error), { { 0 } }, true, #call },
#define RT_MARK(call) { __NR_##call, MARK, { { 0 } }, true, #call },
#define RT_DENY(call) { __NR_##call, DENY, { { 0 } }, true, #call },
#define RT_WHEN(call, c1, c2, c3, act) { __NR_##call, (act), { c1, c2, c3 }, false, #call },
#define RT_ELSE(call, act) { __NR_##call, (act), { { 0 } }, false, #call },
#include "box/seccomp.def"
};

const char *rt_seccomp_name(int call) {
        for (size_t i = 0; i < RT_LEN(rules); i++)
                if (rules[i].call == call)
                        return rules[i].name;
        return NULL;
}

bool rt_seccomp_marked(int call) {
        for (size_t i = 0; i < RT_LEN(rules); i++)
                if (rules[i].call == call)
                        return rules[i].action == MARK;
        return false;
}

bool rt_seccomp_unheard_of(int call) {
        return call > HIGHEST;
}

struct program {
        struct sock_filter *code;
        unsigned size;
        uint32_t denied;
        uint32_t marked;
        const uint32_t *actions;
};

static void emit(struct program *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k) {
        if (p->size < RT_SECCOMP_MAX)
                p->code[p->size] = (struct sock_filter){ code, jt, jf, k };
        p->size++;
}

static void emit_return(struct program *p, uint32_t action) {
        uint32_t k = action == ALLOW  ? SECCOMP_RET_ALLOW
                     : action == DENY ? p->denied
                     : action == MARK ? p->marked
                                      : SECCOMP_RET_ERRNO | action;
        emit(p, BPF_RET | BPF_K, 0, 0, k);
}

static void emit_load(struct program *p, size_t offset) {
        emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* One rule: its conditions in a row; the first that fails jumps behind its return. */
static void emit_rule(struct program *p, const struct rule *rule) {
        unsigned left = 1; /* the return */
        for (unsigned i = 0; i < RT_LEN(rule->conditions); i++)
                left += rule->conditions[i].mask ? 3 : 0;
        for (unsigned i = 0; i < RT_LEN(rule->conditions); i++) {
                const struct condition *c = &rule->conditions[i];
                if (!c->mask)
                        continue;
                left -= 3;
                emit_load(p, offsetof(struct seccomp_data, args) + c->arg * sizeof(uint64_t) +
                                       (c->high ? sizeof(uint32_t) : 0)); /* both architectures are little-endian */
                emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, c->mask);
                emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)left, c->value);
        }
        emit_return(p, rule->action);
}

static void emit_leaf(struct program *p, unsigned call) {
        if (p->actions[call] != CONDITION) {
                emit_return(p, p->actions[call]);
                return;
        }
        for (size_t i = 0; i < RT_LEN(rules); i++)
                if (rules[i].call == (int)call)
                        emit_rule(p, &rules[i]);
}

/* A search tree over starts[from..to): "if call >= the middle one, jump right", left follows. */
static void emit_tree(struct program *p, const uint16_t *starts, unsigned from, unsigned to) {
        if (to - from == 1) {
                emit_leaf(p, starts[from]);
                return;
        }
        unsigned middle = (from + to) / 2;
        emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, starts[middle]);
        unsigned jump = p->size;
        emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
        emit_tree(p, starts, from, middle);
        if (jump < RT_SECCOMP_MAX)
                p->code[jump].k = p->size - jump - 1;
        emit_tree(p, starts, middle, to);
}

unsigned rt_seccomp_build(struct sock_filter filter[RT_SECCOMP_MAX], uint32_t denied_action, uint32_t marked_action) {
        uint32_t actions[ACTIONS + 1];
        for (unsigned i = 0; i < ACTIONS; i++)
                actions[i] = DENY;
        actions[ACTIONS] = ENOSYS; /* and everything above */
        for (size_t i = 0; i < RT_LEN(rules); i++)
                actions[rules[i].call] = !rules[i].first_word ? CONDITION
                                         : rules[i].action == MARK && marked_action == SECCOMP_RET_ALLOW
                                                 ? ALLOW /* one range with its neighbours */
                                                 : rules[i].action;

        uint16_t starts[ACTIONS + 1];
        unsigned n = 0;
        for (unsigned i = 0; i <= ACTIONS; i++)
                if (i == 0 || actions[i] != actions[i - 1] || actions[i] == CONDITION)
                        starts[n++] = (uint16_t)i;

        struct program p = { .code = filter, .denied = denied_action, .marked = marked_action, .actions = actions };
        emit_load(&p, offsetof(struct seccomp_data, arch));
        emit(&p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, NATIVE_ARCH);
        emit(&p, BPF_RET | BPF_K, 0, 0, denied_action);
        emit_load(&p, offsetof(struct seccomp_data, nr));
        emit(&p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x80000000); /* negative: how programs ask for a call they lack */
        emit_return(&p, ENOSYS);
        emit(&p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000); /* x32 */
        emit(&p, BPF_RET | BPF_K, 0, 0, denied_action);
        emit_tree(&p, starts, 0, n);
        return p.size <= RT_SECCOMP_MAX ? p.size : 0;
}

int rt_seccomp_enter(enum rt_seccomp_told told, int *ret_listener) {
        bool listener = told != RT_SECCOMP_NOTHING;
        struct sock_filter filter[RT_SECCOMP_MAX];
        unsigned n = rt_seccomp_build(filter, listener ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_KILL_PROCESS,
                                       told == RT_SECCOMP_MARKED_TOO ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
        if (n == 0) {
                errno = E2BIG;
                return -1;
        }
        struct sock_fprog program = { .len = (unsigned short)n, .filter = filter };
        long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0,
                         &program);
        if (listener)
                *ret_listener = (int)r;
        return r < 0 ? -1 : 0;
}
