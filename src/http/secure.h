/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a WebSocket under TLS. libmicrohttpd would pass them on through a socketpair four at a time (docs/adr/0009), so
 * its connection stays suspended meanwhile, and its TLS session is used here. One call at a time: under the socket's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "http/internal.h"

/* The session of a connection. */
void *rt_http_secure_session(struct MHD_Connection *mhd);
/* How much the kernel took; 0: nothing now; -1: the peer is gone. *again is kept between the calls. */
ssize_t rt_http_secure_send(void *session, bool *again, const void *data, size_t size);
/* How much came; 0: nothing now; -1: the peer is gone. */
ssize_t rt_http_secure_recv(void *session, void *to, size_t room);
/* Something is there that no poll tells of. */
bool rt_http_secure_pending(void *session);
