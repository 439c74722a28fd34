/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, as the Runtime face's front end keeps them: sub is the e-mail
 * address, iat and exp are Unix seconds. No other algorithm is ever accepted. Passwords: bcrypt through crypt(3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* NULL: out of memory. */
char *rt_token_make(const char *secret, const char *subject, int64_t now_s, int64_t lifetime_s, struct rt_arena *arena);
/* The subject of a token that is ours, unaltered and not expired; else NULL. */
const char *rt_token_subject(const char *secret, const char *token, int64_t now_s, struct rt_arena *arena);

/* Both take some 60 ms on purpose: never on a thread of the HTTP server. NULL: cannot. */
char *rt_password_hash(const char *password, struct rt_arena *arena);
bool rt_password_fits(const char *password, const char *hash);
