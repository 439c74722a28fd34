/* SPDX-License-Identifier: Apache-2.0
 *
 * Ctrl-C: the first SIGINT, SIGTERM or SIGHUP cancels the run, a second one ends this process at once (its jailer
 * then sees the closed socket and removes the box). The only state of the command that is not on a stack.
 */
#pragma once

#include <stdbool.h>

#include "retort.h"

/* Installs the handlers. SIGPIPE gets one that does nothing, so that write() says EPIPE; unlike SIG_IGN it is not
 * inherited through exec. */
void rt_cancel_install(void);
/* The run that is to be cancelled from now on; at once, if somebody has asked already. NULL, before the run is
 * freed: returns when no handler touches the old one any more. */
void rt_cancel_watch(retort_run *run);
/* Cancels as a signal would. From any thread. */
void rt_cancel_now(void);
bool rt_cancel_asked(void);
