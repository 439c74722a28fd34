/* SPDX-License-Identifier: Apache-2.0
 *
 * What of the webhooks can be looked at without sending one.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "retort.h"

/* Whether an address belongs to the public Internet: not loopback, private, link-local, shared, multicast, reserved, nor an
 * IPv6 form of one of these. */
bool rt_webhook_address_public(const struct sockaddr *address);
/* HMAC-SHA256 of "<timestamp>.<body>", hexadecimal: what follows `v1=` in Retort-Signature. */
int rt_webhook_sign(const char *secret, const char *timestamp, const char *body, char ret_hex[65], struct retort_error *err);
