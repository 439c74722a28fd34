/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi.json, as it is beside this file, in the program.
 */
#pragma once

#include <stddef.h>

extern const char rt_openapi_json[];
extern const size_t rt_openapi_size; /* without the NUL */
