/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "http/internal.h"

/* Answers a request that is not a right one for a WebSocket. False: it is right. */
bool rt_http_refuse_socket(struct rt_http_request *request);
/* The 101; NULL: it cannot be made. */
struct MHD_Response *rt_http_upgrade(const struct rt_http_request *request, const char *protocol,
                                     MHD_UpgradeHandler handler, void *userdata);
/* The same as text. 0, or -1. */
int rt_http_upgrade_text(const struct rt_http_request *request, const char *protocol, struct rt_buf *text);
