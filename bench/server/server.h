/* SPDX-License-Identifier: Apache-2.0
 *
 * What measures the server: a client that keeps N connections busy, a plain server as the floor, and retortd as a child.
 */
#pragma once

#include "../bench.h"

/* ---- client.c ---- */

struct load {
        unsigned port;
        const char *request; /* whole, head and body */
        const char *wanted;  /* what must stand in each answer */
        unsigned connections;
        uint64_t max_requests; /* 0: no limit but the time */
        uint64_t for_ns;
        /* filled: */
        struct rt_samples latency; /* from sending (or connecting, where the server closes) to the last byte */
        unsigned failed;
        uint64_t took_ns;
        char why[200]; /* of the first failure */
};
/* Sends, as soon as a connection has its answer, the next one on it. 0, or -1 when it cannot connect at all. */
int load_run(struct load *load);
/* One request on a connection of its own, text until the other end closes or all has come; false: no answer. */
bool ask_once(unsigned port, const char *request, char *ret, size_t size);
/* One request on a connection that is kept in *fd (-1 at first); false: no answer, or not the one that is wanted. *ret_start, which
 * may be NULL, becomes the index of the start that the outcome in it tells. */
bool ask_kept(int *fd, unsigned port, const char *request, const char *wanted, size_t *ret_start);
/* Sends and does not wait. The descriptor, or -1. */
int send_only(unsigned port, const char *request);

/* ---- floor.c ---- */

/* accept, fork, read, fork and exec the program, answer: a child of ours until it is killed. 0, or -1. */
int floor_start(const char *program, pid_t *ret_pid, unsigned *ret_port);

/* ---- child.c ---- */

struct served {
        pid_t pid;
        unsigned port;
        char key[80];
        char folder[256];
};
/* retortd with a store of its own below scratch. argv: what follows "retort serve", NULL-terminated. 0, or -1 and says why. */
int served_start(struct served *s, const char *build, const char *runtimes, const char *scratch, const char *const *argv);
/* What a program prints, to be read and closed; *ret_pid is to be waited for. NULL: it cannot be started. */
FILE *program_output(const char *const *argv, pid_t *ret_pid);
void served_stop(struct served *s);
/* A POST (or, without body, a GET) for this server; to be freed. */
char *served_request(const struct served *s, const char *path, const char *body);
