/* SPDX-License-Identifier: Apache-2.0
 *
 * The second wall around the file tree: even where a mount or a permission were wrong, the guest writes nowhere but
 * in its own directories.
 */
#pragma once

#include <stdbool.h>

#include "box/box.h"

/* The kernel's Landlock version; 0: it has none. */
int rt_landlock_abi(void);
/* Confines the calling thread and its children for good (no_new_privs must be set): reads and runs below the
 * system's directories and places->runtimes, writes below places->work, places->tmp and the box's /dev.
 * own_root: the whole tree is the box's own, so all of it may be read. 0, or -1 with errno. */
int rt_landlock_enter(const struct rt_slot_places *places, bool own_root);
