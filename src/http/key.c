/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <string.h>

#include "http/parse.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, section 1.3 */

enum { KEY_SIZE = 24 };

bool rt_http_key_is_right(const char *key) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        return strlen(key) == KEY_SIZE && strspn(key, digits) == KEY_SIZE - 2 && strcmp(key + KEY_SIZE - 2, "==") == 0;
}

int rt_http_accept_key(const char *key, char ret_accept[32]) {
        unsigned char text[KEY_SIZE + sizeof GUID - 1];
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        memcpy(text, key, KEY_SIZE);
        memcpy(text + KEY_SIZE, GUID, sizeof GUID - 1);
        if (EVP_Digest(text, sizeof text, digest, &size, EVP_sha1(), NULL) != 1 || size != 20)
                return -1;
        return EVP_EncodeBlock((unsigned char *)ret_accept, digest, 20) == 28 ? 0 : -1;
}
