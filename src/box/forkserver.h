/* SPDX-License-Identifier: Apache-2.0
 *
 * libretort-forkserver.so: loaded into an unmodified interpreter with LD_PRELOAD, it makes a server of forks of it. When
 * the interpreter has warmed up it opens the path RT_FORKSERVER_PARK; that call never returns in the process that makes
 * it: its memory is frozen (pool/freeze.h), its threads are held (pool/threads.h), and it serves. For each slot of a LINK
 * it forks zygotes, these fork guests, and in a guest the call returns: confined, without rights, in the box. What it then
 * opens as RT_FORKSERVER_GO blocks until there is a program; its environment is the process's when that returns. An
 * interpreter that opens its program's file before anything else is given RT_FORKSERVER_MAIN for it: the descriptor that
 * it gets becomes the program's own file then.
 *
 * The same library serves programs that are started ahead (src/pool/ahead.c): with RT_AHEAD_MARK in its environment, a process
 * that was started by execve in its own box waits there, as a fork would, for the one program that it will run.
 *
 * Nothing here runs a guest's code; in a guest everything here is at its mercy, as all of its process is.
 */
#pragma once

/* Paths that open(2) and its like do not pass on to the kernel. */
#define RT_FORKSERVER_PARK "/retort/park"
#define RT_FORKSERVER_GO "/retort/go"
#define RT_FORKSERVER_MAIN "/retort/main"

/* What the interpreter inherits: its socket to the engine, an empty file for the image, the library itself. */
enum { RT_FORKSERVER_SOCKET = 20, RT_FORKSERVER_IMAGE = 21, RT_FORKSERVER_LIBRARY = 22 };
/* For one that is started ahead: the name under which it opens its program's file, and what it finds there when it reads
 * before it has asked for its program; without the second, that open waits. */
#define RT_AHEAD_MARK "RETORT_AHEAD"
#define RT_AHEAD_MAIN "RETORT_MAIN"
#define RT_AHEAD_FIRST "RETORT_FIRST"

#define RT_FORKSERVER_PRELOAD "LD_PRELOAD=/proc/self/fd/22"
