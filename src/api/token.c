/* SPDX-License-Identifier: Apache-2.0 */
#include "api/token.h"

#include <crypt.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/util.h"

enum { TOKEN_MAX = 4096, BCRYPT_COST = 10 };

static const char header[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"; /* {"alg":"HS256","typ":"JWT"} */

/* ---- base64url without padding (RFC 4648 section 5) ---- */

static char *encode(const void *data, size_t size, struct rt_arena *arena) {
        char *text = rt_arena_alloc(arena, (size + 2) / 3 * 4 + 1);
        if (!text)
                return NULL;
        int n = EVP_EncodeBlock((unsigned char *)text, data, (int)size);
        while (n > 0 && text[n - 1] == '=')
                n--;
        text[n] = 0;
        for (char *p = text; *p; p++)
                *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
        return text;
}

static char *decode(const char *text, size_t size, struct rt_arena *arena, size_t *ret_size) {
        size_t padded = (size + 3) / 4 * 4;
        char *copy = rt_arena_alloc(arena, padded + 1);
        unsigned char *data = rt_arena_alloc(arena, padded + 1);
        if (!copy || !data || size % 4 == 1)
                return NULL;
        for (size_t i = 0; i < size; i++) {
                if (text[i] == '+' || text[i] == '/' || text[i] == '=')
                        return NULL;
                copy[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
        }
        memset(copy + size, '=', padded - size);
        int n = EVP_DecodeBlock(data, (const unsigned char *)copy, (int)padded);
        if (n < 0)
                return NULL;
        *ret_size = (size_t)n - (padded - size);
        data[*ret_size] = 0;
        return (char *)data;
}

static char *sign(const char *secret, const char *text, size_t size, struct rt_arena *arena) {
        unsigned char mac[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, size, mac, &n))
                return NULL;
        return encode(mac, n, arena);
}

char *rt_token_make(const char *secret, const char *subject, int64_t now_s, int64_t lifetime_s, struct rt_arena *arena) {
        json_t *claims = json_pack("{s:s, s:I, s:I}", "sub", subject, "iat", (json_int_t)now_s, "exp",
                                   (json_int_t)(now_s + lifetime_s));
        rt_auto_free char *text = claims ? json_dumps(claims, JSON_COMPACT) : NULL;
        json_decref(claims);
        char *body = text ? encode(text, strlen(text), arena) : NULL;
        char *unsigned_part = body ? rt_arena_printf(arena, "%s.%s", header, body) : NULL;
        char *mac = unsigned_part ? sign(secret, unsigned_part, strlen(unsigned_part), arena) : NULL;
        return mac ? rt_arena_printf(arena, "%s.%s", unsigned_part, mac) : NULL;
}

const char *rt_token_subject(const char *secret, const char *token, int64_t now_s, struct rt_arena *arena) {
        const char *dot = strrchr(token, '.');
        const char *first = strchr(token, '.');
        if (strnlen(token, TOKEN_MAX) == TOKEN_MAX || !dot || first == dot || (size_t)(first - token) != sizeof header - 1 ||
            memcmp(token, header, sizeof header - 1) != 0)
                return NULL; /* our tokens all have this header: whatever else a header may ask for is not heard */
        const char *mac = sign(secret, token, (size_t)(dot - token), arena);
        if (!mac || strlen(mac) != strlen(dot + 1) || CRYPTO_memcmp(mac, dot + 1, strlen(mac)) != 0)
                return NULL;
        size_t size = 0;
        const char *text = decode(first + 1, (size_t)(dot - first - 1), arena, &size);
        json_t *claims = text ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
        const char *subject = json_string_value(json_object_get(claims, "sub"));
        json_t *expires = json_object_get(claims, "exp");
        const char *copy = NULL;
        if (subject && json_is_integer(expires) && json_integer_value(expires) > now_s)
                copy = rt_arena_strdup(arena, subject);
        json_decref(claims);
        return copy;
}

/* ---- passwords ---- */

char *rt_password_hash(const char *password, struct rt_arena *arena) {
        char random[16];
        char salt[CRYPT_GENSALT_OUTPUT_SIZE];
        if (getrandom(random, sizeof random, 0) != sizeof random ||
            !crypt_gensalt_rn("$2b$", BCRYPT_COST, random, sizeof random, salt, sizeof salt))
                return NULL;
        struct crypt_data *data = calloc(1, sizeof *data);
        const char *hash = data ? crypt_r(password, salt, data) : NULL;
        char *copy = hash && hash[0] != '*' ? rt_arena_strdup(arena, hash) : NULL;
        free(data);
        return copy;
}

bool rt_password_fits(const char *password, const char *hash) {
        struct crypt_data *data = calloc(1, sizeof *data);
        const char *again = data ? crypt_r(password, hash, data) : NULL;
        bool fits = again && again[0] != '*' && strlen(again) == strlen(hash) &&
                    CRYPTO_memcmp(again, hash, strlen(hash)) == 0;
        free(data);
        return fits;
}
