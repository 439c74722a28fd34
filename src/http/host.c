/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "http/parse.h"

static bool is_port(const char *text) {
        size_t n = strspn(text, "0123456789");
        return !text[n] && n <= 5;
}

static int bracketed(const char *host, char *name) {
        struct in6_addr address;
        size_t n = strcspn(host + 1, "]");
        const char *rest = host + 1 + n;
        if (n >= RT_HTTP_HOST_MAX || *rest != ']' || (rest[1] && (rest[1] != ':' || !is_port(rest + 2))))
                return -1;
        memcpy(name, host + 1, n);
        name[n] = 0;
        if (inet_pton(AF_INET6, name, &address) != 1)
                return -1;
        /* one spelling for one address */
        return inet_ntop(AF_INET6, &address, name, RT_HTTP_HOST_MAX) ? 0 : -1;
}

int rt_http_host_name(const char *host, char ret_name[RT_HTTP_HOST_MAX]) {
        if (*host == '[')
                return bracketed(host, ret_name);
        size_t n = strcspn(host, ":");
        if (n == 0 || n >= RT_HTTP_HOST_MAX || (host[n] && !is_port(host + n + 1)))
                return -1;
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)host[i];
                if (!isalnum(c) && c != '-' && c != '.' && c != '_')
                        return -1;
                ret_name[i] = (char)tolower(c);
        }
        if (n > 1 && ret_name[n - 1] == '.')
                n--;
        ret_name[n] = 0;
        return 0;
}

bool rt_http_name_is_loopback(const char *name) {
        struct in_addr four;
        struct in6_addr six;
        size_t n = strlen(name);
        if (strcmp(name, "localhost") == 0 || (n > 10 && strcmp(name + n - 10, ".localhost") == 0))
                return true;
        if (inet_pton(AF_INET, name, &four) == 1)
                return ntohl(four.s_addr) >> 24 == 127;
        return inet_pton(AF_INET6, name, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool rt_http_origin_is_host(const char *origin, const char *host) {
        size_t scheme = strncasecmp(origin, "http://", 7) == 0    ? 7
                        : strncasecmp(origin, "https://", 8) == 0 ? 8
                                                                  : 0;
        return scheme && *host && strcasecmp(origin + scheme, host) == 0;
}

bool rt_http_has_token(const char *list, const char *token) {
        size_t n = strlen(token);
        for (const char *p = list; *p;) {
                p += strspn(p, ", \t");
                size_t size = strcspn(p, ", \t");
                if (size == n && strncasecmp(p, token, n) == 0)
                        return true;
                p += size;
        }
        return false;
}

bool rt_http_header_is_fit(const char *name, const char *value) {
        if (!*name)
                return false;
        for (const char *p = name; *p; p++)
                if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
                        return false;
        for (const char *p = value; *p; p++)
                if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
                        return false;
        return true;
}
