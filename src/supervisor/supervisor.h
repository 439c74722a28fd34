/* SPDX-License-Identifier: Apache-2.0
 *
 * retort-supervisor: the first process of a context's box, and what the engine asks of it. It is inside: it runs as the guest,
 * under the guest's policy, in the guest's view of the file system, so it can do nothing that a program in the box could
 * not. The engine believes it as much as it believes the guest.
 *
 * The control socket (SOCK_SEQPACKET) carries one question at a time: a struct rt_ask, then n_texts texts that end in NUL, and
 * descriptors; then its answer: a struct rt_answer, and perhaps a descriptor. The end of a process is told on a socket of its
 * own, which came with it: one struct rt_ended.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum rt_ask_op {
        RT_ASK_SPAWN = 1, /* texts: directory. fds: plan (argv, env), stdin, stdout, stderr, where its end is told, [descriptor 3] */
        RT_ASK_ADOPT,     /* pid (0: the one of the supervisor's own argument). fds: where its end is told */
        RT_ASK_SIGNAL,    /* pid, number: a signal; flags: GROUP */
        RT_ASK_HOLD,      /* number 1: stop every other process of the box; 0: let them go on */
        RT_ASK_OPEN,      /* texts: path. -> descriptor of a file that can be read */
        RT_ASK_WRITE,     /* texts: path. number: mode; flags: APPEND, NEW. fds: the content */
        RT_ASK_LIST,      /* texts: path. number: depth; 0: the path itself. fds: where struct rt_entry go */
        RT_ASK_MKDIR,     /* texts: path; its parents too */
        RT_ASK_MOVE,      /* texts: from, to; the parents of to are made */
        RT_ASK_REMOVE,    /* texts: path */
        RT_ASK_WATCH,     /* texts: path. flags: RECURSIVE. fds: a pipe where struct rt_change go */
};

enum { RT_ASK_GROUP = 1, RT_ASK_APPEND = 2, RT_ASK_NEW = 4, RT_ASK_RECURSIVE = 8 };
enum { RT_ASK_MAX_FDS = 6, RT_ASK_MAX_BYTES = 16384, RT_ASK_MAX_ENTRIES = 10000, RT_ASK_MAX_PATH = 4096 };

struct rt_ask {
        uint32_t op;
        uint32_t flags;
        int32_t pid;
        uint32_t number;
        uint32_t n_texts;
        uint32_t zero;
};

struct rt_answer {
        int32_t error; /* 0, or errno */
        int32_t pid;   /* SPAWN */
        uint64_t size; /* WRITE: the file's size now; LIST: entries */
};

struct rt_ended {
        int32_t exec_errno; /* it could not be started */
        int32_t wait_status;
        uint64_t user_ns;
        uint64_t system_ns;
        uint64_t max_rss_bytes;
};

/* One entry of a folder; path_size bytes of path (below the folder that was asked for), then target_size bytes of what a symbolic
 * link says. */
struct rt_entry {
        uint32_t mode; /* st_mode */
        uint16_t path_size;
        uint16_t target_size;
        uint64_t size;
        int64_t modified_ns; /* since 1970 */
};

/* One thing that happened; path_size bytes of path follow. */
enum rt_change_type { RT_CHANGE_READY, RT_CHANGE_CREATE, RT_CHANGE_MODIFY, RT_CHANGE_DELETE, RT_CHANGE_MOVE, RT_CHANGE_TYPES };
struct rt_change {
        uint32_t type;
        uint32_t path_size;
};

/* supervisor/files.c: what is asked of the file system. Each returns 0 or errno. */
int rt_supervisor_open(const char *path, int *ret_fd);
int rt_supervisor_write(const char *path, unsigned mode, unsigned flags, int content, uint64_t *ret_size);
int rt_supervisor_list(const char *path, unsigned depth, int to, uint64_t *ret_n);
int rt_supervisor_mkdir(const char *path);
int rt_supervisor_move(const char *from, const char *to);
int rt_supervisor_remove(const char *path);

/* supervisor/watch.c: in a process of its own: tells on to what happens until nobody reads it any more. */
void rt_supervisor_watch(const char *path, unsigned flags, int to) __attribute__((noreturn));

int rt_supervisor_main(int argc, char **argv);
