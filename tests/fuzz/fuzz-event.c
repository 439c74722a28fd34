/* SPDX-License-Identifier: Apache-2.0 */
#include "both-ways.h"

FUZZ_BOTH_WAYS(event);
