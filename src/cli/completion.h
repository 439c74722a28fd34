/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "cli/cli.h"

/* Appends the completion script for "bash", "zsh" or "fish". RETORT_E_INPUT for any other shell. */
int rt_completion(const char *shell, const struct rt_cmd *const *cmds, struct rt_buf *out);
