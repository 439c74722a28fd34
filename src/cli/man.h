/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "cli/cli.h"

/* Appends the manual page retort(1), in the man(7) macros. */
void rt_man(const struct rt_cmd *const *cmds, struct rt_buf *out);
