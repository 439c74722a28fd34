/* SPDX-License-Identifier: Apache-2.0 */
#include "http/secure.h"

#include <gnutls/gnutls.h>

void *rt_http_secure_session(struct MHD_Connection *mhd) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        return info ? info->tls_session : NULL;
}

/* A warning is nothing. A client that asks for a handshake anew (TLS 1.2) is as good as gone. */
static ssize_t judge(ssize_t n) {
        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_WARNING_ALERT_RECEIVED)
                return 0;
        return n > 0 ? n : -1;
}

ssize_t rt_http_secure_send(void *session, bool *again, const void *data, size_t size) {
        /* a record that is made and not out is finished first, whatever stands in the queue now */
        ssize_t n = gnutls_record_send(session, *again ? NULL : data, *again ? 0 : size);
        *again = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
        return judge(n);
}

ssize_t rt_http_secure_recv(void *session, void *to, size_t room) {
        return judge(gnutls_record_recv(session, to, room));
}

bool rt_http_secure_pending(void *session) {
        return gnutls_record_check_pending(session) > 0;
}
