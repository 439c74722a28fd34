/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks: the outcome of a job is posted to the URL that came with it, signed, by a thread of its own; what fails is tried
 * again after growing pauses that the store remembers. Clients choose the URLs, so the address is judged after its
 * name was resolved, when the socket is made: nothing inside the operator's network can be reached by a clever name.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"
#include "service/webhook.h"

enum { AT_ONCE = 16, LOOK_MS = 1000, CONNECT_MS = 5000, TOTAL_MS = 10000, MAX_URL = 2048, MAX_ANSWER = 64 * 1024,
       MAX_PAUSE_S = 3600 };

struct rt_webhooks {
        struct rt_service *service;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool due;
        bool stop;
};

/* ---- which URLs, which addresses ---- */

int rt_webhook_check_url(const char *url, struct retort_error *err) {
        if (strnlen(url, MAX_URL + 1) > MAX_URL)
                return rt_fail(err, RETORT_E_INPUT, "callback_url: longer than %d bytes", MAX_URL);
        CURLU *parsed = curl_url();
        char *scheme = NULL;
        char *user = NULL;
        bool good = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
        bool named = good && curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK;
        curl_free(scheme);
        curl_free(user);
        curl_url_cleanup(parsed);
        if (!good)
                return rt_fail(err, RETORT_E_INPUT, "callback_url: must be an http or https URL");
        return named ? rt_fail(err, RETORT_E_INPUT, "callback_url: must not hold a user or password") : 0;
}

static bool is_public4(uint32_t a) {
        static const struct {
                uint32_t net, bits;
        } closed[] = { { 0x00000000, 8 }, { 0x0a000000, 8 }, { 0x64400000, 10 }, { 0x7f000000, 8 }, { 0xa9fe0000, 16 },
                       { 0xac100000, 12 }, { 0xc0000000, 24 }, { 0xc0000200, 24 }, { 0xc0a80000, 16 }, { 0xc6120000, 15 },
                       { 0xc6336400, 24 }, { 0xcb007100, 24 }, { 0xe0000000, 3 } };
        for (size_t i = 0; i < RT_LEN(closed); i++)
                if ((a ^ closed[i].net) >> (32 - closed[i].bits) == 0)
                        return false;
        return true;
}

/* Only 2000::/3 is the public Internet; inside it, 6to4 and Teredo carry IPv4 addresses, and 2001:db8 is for books. */
static bool is_public6(const unsigned char a[16]) {
        static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
        static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
        if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
                return is_public4((uint32_t)a[12] << 24 | (uint32_t)a[13] << 16 | (uint32_t)a[14] << 8 | a[15]);
        bool tunnel = (a[0] == 0x20 && a[1] == 0x02) || (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0 && a[3] == 0);
        bool book = a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8;
        return (a[0] & 0xe0) == 0x20 && !tunnel && !book;
}

bool rt_webhook_address_public(const struct sockaddr *address) {
        if (address->sa_family == AF_INET)
                return is_public4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
        if (address->sa_family == AF_INET6)
                return is_public6(((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
        return false;
}

static curl_socket_t open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
        const bool *private_too = userdata;
        (void)purpose;
        if (!*private_too && !rt_webhook_address_public(&address->addr))
                return CURL_SOCKET_BAD;
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- signing ---- */

int rt_webhook_sign(const char *secret, const char *timestamp, const char *body, char ret_hex[65], struct retort_error *err) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        size_t size = 0;
        EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
        char name[] = "SHA256";
        const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", name, 0), OSSL_PARAM_construct_end() };
        bool good = context && EVP_MAC_init(context, (const unsigned char *)secret, strlen(secret), params) == 1 &&
                    EVP_MAC_update(context, (const unsigned char *)timestamp, strlen(timestamp)) == 1 &&
                    EVP_MAC_update(context, (const unsigned char *)".", 1) == 1 &&
                    EVP_MAC_update(context, (const unsigned char *)body, strlen(body)) == 1 &&
                    EVP_MAC_final(context, digest, &size, sizeof digest) == 1 && size == 32;
        EVP_MAC_CTX_free(context);
        EVP_MAC_free(mac);
        if (!good)
                return rt_fail(err, RETORT_E_SYSTEM, "cannot compute HMAC-SHA256");
        for (size_t i = 0; i < size; i++)
                (void)snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
        return 0;
}

/* ---- delivering ---- */

struct delivery {
        const struct rt_store_job *job;
        CURL *easy;
        struct curl_slist *headers;
        size_t answered; /* bytes */
        bool private_too;
        bool ended;
        CURLcode result;
        long status;
};

static size_t drop_answer(char *data, size_t size, size_t n, void *userdata) {
        struct delivery *d = userdata;
        (void)data;
        d->answered += size * n;
        return d->answered > MAX_ANSWER ? 0 : size * n;
}

__attribute__((format(printf, 2, 3))) static bool add_header(struct delivery *d, const char *format, ...) {
        char line[512];
        va_list args;
        va_start(args, format);
        int n = vsnprintf(line, sizeof line, format, args);
        va_end(args);
        struct curl_slist *more = n > 0 && (size_t)n < sizeof line ? curl_slist_append(d->headers, line) : NULL;
        if (more)
                d->headers = more;
        return more != NULL;
}

static bool add_headers(struct delivery *d, const char *secret) {
        char timestamp[24];
        char signature[65];
        char trace[RT_TRACEPARENT];
        (void)snprintf(timestamp, sizeof timestamp, "%" PRId64, rt_unix_ms() / 1000);
        if (rt_webhook_sign(secret, timestamp, d->job->outcome_json, signature, NULL) < 0)
                return false;
        bool good = add_header(d, "Content-Type: application/json") && add_header(d, "Expect:") &&
                    add_header(d, "Retort-Job: %s", d->job->id) && add_header(d, "Retort-Timestamp: %s", timestamp) &&
                    add_header(d, "Retort-Signature: v1=%s", signature);
        if (good && d->job->traceparent && rt_trace_child(d->job->traceparent, trace))
                good = add_header(d, "traceparent: %s", trace);
        return good;
}

static bool prepare(struct delivery *d, const char *secret) {
        CURL *e = d->easy = curl_easy_init();
        if (!e || !add_headers(d, secret))
                return false;
        CURLcode r = curl_easy_setopt(e, CURLOPT_URL, d->job->callback_url);
        r |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
        r |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
        r |= curl_easy_setopt(e, CURLOPT_PROXY, ""); /* a proxy would be asked to resolve, and the guard blind */
        r |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
        r |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
        r |= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)TOTAL_MS);
        r |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, d->headers);
        r |= curl_easy_setopt(e, CURLOPT_USERAGENT, "retort/" RETORT_VERSION);
        r |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(d->job->outcome_json));
        r |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, d->job->outcome_json);
        r |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, drop_answer);
        r |= curl_easy_setopt(e, CURLOPT_WRITEDATA, d);
        r |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
        r |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, &d->private_too);
        r |= curl_easy_setopt(e, CURLOPT_PRIVATE, d);
        return r == CURLE_OK;
}

static bool stopping(struct rt_webhooks *hooks) {
        (void)pthread_mutex_lock(&hooks->lock);
        bool stop = hooks->stop;
        (void)pthread_mutex_unlock(&hooks->lock);
        return stop;
}

static void collect(CURLM *multi) {
        int left = 0;
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
                struct delivery *d = NULL;
                if (message->msg != CURLMSG_DONE || curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &d) != CURLE_OK)
                        continue;
                d->ended = true;
                d->result = message->data.result;
                (void)curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &d->status);
        }
}

/* All at once; each is bounded by its own timeout. */
static void perform(struct rt_webhooks *hooks, CURLM *multi) {
        int running = 1;
        while (running > 0 && !stopping(hooks)) {
                if (curl_multi_perform(multi, &running) != CURLM_OK)
                        break;
                collect(multi);
                if (running > 0)
                        (void)curl_multi_poll(multi, NULL, 0, 200, NULL);
        }
}

static int64_t pause_ms(int32_t attempts) {
        int64_t s = attempts >= 7 ? MAX_PAUSE_S : 1ll << (2 * (attempts - 1)); /* 1, 4, 16, 64, ... seconds */
        return (s < MAX_PAUSE_S ? s : MAX_PAUSE_S) * 1000;
}

static void note(struct rt_service *service, const struct delivery *d) {
        /* An answer that is too long is cut off, but it was an answer. */
        bool heard = d->result == CURLE_OK || (d->result == CURLE_WRITE_ERROR && d->answered > MAX_ANSWER);
        bool good = d->ended && heard && d->status >= 200 && d->status < 300;
        int32_t attempts = d->job->callback_attempts + 1;
        bool last = !good && (uint64_t)attempts >= atomic_load(&service->config)->jobs_callback_attempts;
        struct rt_metrics *m = &service->metrics;
        struct retort_error err = { 0 };
        atomic_fetch_add(good ? &m->webhooks_delivered : last ? &m->webhooks_given_up : &m->webhooks_failed, 1);
        rt_log(&service->log, good ? RT_LOG_DEBUG : RT_LOG_WARNING, "webhook", RT_LOG_TEXT("id", d->job->id),
               RT_LOG_NUMBER("http_status", d->status), RT_LOG_NUMBER("attempt", attempts),
               RT_LOG_TEXT("error", d->result == CURLE_OK ? NULL : curl_easy_strerror(d->result)),
               RT_LOG_TEXT("given_up", last ? "true" : NULL));
        if (rt_store_callback_note(service->store, d->job->id, good ? 1 : last ? 2 : 0, attempts,
                                   rt_unix_ms() + pause_ms(attempts), &err) < 0)
                rt_log(&service->log, RT_LOG_ERROR, "webhook_not_noted", RT_LOG_TEXT("id", d->job->id),
                       RT_LOG_TEXT("error", err.message));
}

static void deliver(struct rt_webhooks *hooks, const struct rt_store_job *jobs, size_t n) {
        struct rt_service *service = hooks->service;
        struct delivery deliveries[AT_ONCE] = { 0 };
        CURLM *multi = curl_multi_init();
        for (size_t i = 0; multi && i < n; i++) {
                struct delivery *d = &deliveries[i];
                d->job = &jobs[i];
                d->private_too = atomic_load(&service->config)->jobs_callback_private;
                d->result = CURLE_FAILED_INIT;
                d->ended = !jobs[i].outcome_json || !jobs[i].callback_url ||
                           !prepare(d, rt_service_callback_secret(service, NULL)) ||
                           curl_multi_add_handle(multi, d->easy) != CURLM_OK;
        }
        if (multi)
                perform(hooks, multi);
        for (size_t i = 0; multi && i < n; i++) {
                if (deliveries[i].ended) /* what the stop cut off counts for nothing */
                        note(service, &deliveries[i]);
                if (deliveries[i].easy)
                        (void)curl_multi_remove_handle(multi, deliveries[i].easy);
                curl_easy_cleanup(deliveries[i].easy);
                curl_slist_free_all(deliveries[i].headers);
        }
        (void)curl_multi_cleanup(multi);
}

/* Whether there may be more at once. */
static bool deliver_due(struct rt_webhooks *hooks) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job *jobs = NULL;
        struct retort_error err = { 0 };
        size_t n = 0;
        if (rt_store_callbacks_due(hooks->service->store, rt_unix_ms(), AT_ONCE, &arena, &jobs, &n, &err) < 0) {
                rt_log(&hooks->service->log, RT_LOG_ERROR, "webhooks_not_read", RT_LOG_TEXT("error", err.message));
                return false;
        }
        if (n > 0)
                deliver(hooks, jobs, n < AT_ONCE ? n : AT_ONCE);
        return n >= AT_ONCE;
}

static void *run(void *argument) {
        struct rt_webhooks *hooks = argument;
        (void)pthread_mutex_lock(&hooks->lock);
        while (!hooks->stop) {
                hooks->due = false;
                (void)pthread_mutex_unlock(&hooks->lock);
                bool more = deliver_due(hooks);
                (void)pthread_mutex_lock(&hooks->lock);
                struct timespec until = rt_deadline(LOOK_MS);
                if (!more && !hooks->due && !hooks->stop)
                        (void)pthread_cond_timedwait(&hooks->changed, &hooks->lock, &until);
        }
        (void)pthread_mutex_unlock(&hooks->lock);
        return NULL;
}

/* ---- the thread ---- */

static void init_curl(void) {
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

int rt_webhooks_start(struct rt_service *service, struct retort_error *err) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        (void)pthread_once(&once, init_curl);
        struct rt_webhooks *hooks = calloc(1, sizeof *hooks);
        if (!hooks)
                return rt_fail_nomem(err);
        hooks->service = service;
        (void)pthread_mutex_init(&hooks->lock, NULL);
        rt_cond_init(&hooks->changed);
        service->webhooks = hooks;
        if (pthread_create(&hooks->thread, NULL, run, hooks) == 0)
                return 0;
        service->webhooks = NULL;
        free(hooks);
        return rt_fail(err, RETORT_E_SYSTEM, "cannot start a thread");
}

void rt_webhooks_wake(struct rt_service *service) {
        struct rt_webhooks *hooks = service->webhooks;
        if (!hooks)
                return;
        (void)pthread_mutex_lock(&hooks->lock);
        hooks->due = true;
        (void)pthread_cond_signal(&hooks->changed);
        (void)pthread_mutex_unlock(&hooks->lock);
}

void rt_webhooks_stop(struct rt_service *service) {
        struct rt_webhooks *hooks = service->webhooks;
        if (!hooks)
                return;
        (void)pthread_mutex_lock(&hooks->lock);
        hooks->stop = true;
        (void)pthread_cond_signal(&hooks->changed);
        (void)pthread_mutex_unlock(&hooks->lock);
        (void)pthread_join(hooks->thread, NULL);
        (void)pthread_cond_destroy(&hooks->changed);
        (void)pthread_mutex_destroy(&hooks->lock);
        service->webhooks = NULL;
        free(hooks);
}
