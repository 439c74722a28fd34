/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort top": GET /v1/status and the counters of GET /metrics, every second, as a screen of text.
 */
#include <curl/curl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "cli/cancel.h"
#include "cli/out.h"
#include "cli/text.h"
#include "cli/units.h"
#include "server/server.h"

enum { ANSWER_MAX = 16 << 20, TIMEOUT_MS = 5000, EVERY_MS = 1000, SHOWN_MAX = 20 };

struct watch {
        struct rt_cli *cli;
        CURL *curl;
        struct curl_slist *headers;
        const char *base; /* "http://127.0.0.1:8081" */
        double runs;      /* the counter, the last time */
        uint64_t at_ns;
};

/* ---- asking ---- */

static size_t on_data(char *data, size_t size, size_t n, void *userdata) {
        return rt_buf_add(userdata, data, size * n) == RT_BUF_OK ? size * n : 0;
}

static int get(struct watch *w, const char *path, struct rt_buf *answer, struct retort_error *err) {
        char url[1024];
        long status = 0;
        (void)snprintf(url, sizeof url, "%s%s", w->base, path);
        (void)curl_easy_setopt(w->curl, CURLOPT_URL, url);
        (void)curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, answer);
        CURLcode code = curl_easy_perform(w->curl);
        if (code != CURLE_OK)
                return rt_fail(err, RETORT_E_SYSTEM, "%s: %s", url, curl_easy_strerror(code));
        (void)curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
        if (status == 401 || status == 403)
                return rt_fail(err, RETORT_E_INPUT, "%s: the server wants a key with the scopes admin and metrics (--key, or "
                               "RETORT_API_KEY)", url);
        return status == 200 ? 0 : rt_fail(err, RETORT_E_SYSTEM, "%s: status %ld", url, status);
}

/* The sum of a counter over all its labels. */
static double sum_of(const char *metrics, const char *name) {
        size_t size = strlen(name);
        double sum = 0;
        for (const char *line = metrics; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
                size_t end = strcspn(line, "\n");
                if (strncmp(line, name, size) != 0 || (line[size] != '{' && line[size] != ' '))
                        continue;
                const char *value = line + end;
                while (value > line && value[-1] != ' ')
                        value--;
                sum += strtod(value, NULL);
        }
        return sum;
}

/* ---- showing ---- */

static long long number(const json_t *object, const char *key) {
        return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key) {
        const char *value = json_string_value(json_object_get(object, key));
        return value ? value : "-";
}

static void show_tenants(const json_t *list, struct rt_arena *arena, struct rt_buf *out) {
        struct rt_table table = { .columns = 5, .arena = arena };
        size_t i;
        json_t *one;
        rt_table_row(&table, (const char *[]){ "TENANT", "RUNNING", "WAITING", "JOBS QUEUED", "MEMORY" });
        json_array_foreach(list, i, one) {
                rt_auto_buf struct rt_buf memory = RT_BUF(64);
                rt_print_size(&memory, (uint64_t)number(one, "memory_bytes"), RT_ROUND);
                if (i < SHOWN_MAX)
                        rt_table_row(&table, (const char *[]){ text(one, "name"), rt_arena_printf(arena, "%lld", number(one, "active")),
                                                               rt_arena_printf(arena, "%lld", number(one, "waiting_runs")),
                                                               rt_arena_printf(arena, "%lld", number(one, "queued_jobs")),
                                                               rt_arena_strdup(arena, memory.data) });
        }
        if (json_array_size(list))
                rt_table_print(&table, out);
}

static void show_running(const json_t *list, struct rt_arena *arena, struct rt_buf *out) {
        struct rt_table table = { .columns = 4, .arena = arena };
        size_t i;
        json_t *one;
        rt_table_row(&table, (const char *[]){ "LANGUAGE", "FOR", "KIND", "ID" });
        json_array_foreach(list, i, one) {
                rt_auto_buf struct rt_buf time = RT_BUF(64);
                rt_print_ns(&time, (uint64_t)(json_real_value(json_object_get(one, "ms")) * 1e6));
                if (i < SHOWN_MAX)
                        rt_table_row(&table, (const char *[]){ text(one, "language"), rt_arena_strdup(arena, time.data),
                                                               text(one, "kind"), text(one, "id") });
        }
        if (json_array_size(list)) {
                (void)rt_buf_printf(out, "\n");
                rt_table_print(&table, out);
        }
}

static void show(struct watch *w, const json_t *status, const char *metrics, struct rt_buf *out) {
        rt_auto_arena struct rt_arena arena = { 0 };
        double runs = sum_of(metrics, "retort_runs_total");
        uint64_t now_ns = rt_now_ns();
        (void)rt_buf_printf(out, "%s: %lld of %lld slots busy, %lld runs and %lld jobs wait, %lld contexts, %.0f runs so far", w->base,
                            number(status, "slots_busy"), number(status, "slots"), number(status, "runs_waiting"),
                            number(status, "jobs_waiting"), number(status, "contexts"), runs);
        if (w->at_ns && now_ns > w->at_ns)
                (void)rt_buf_printf(out, ", %.1f a second", (runs - w->runs) * 1e9 / (double)(now_ns - w->at_ns));
        (void)rt_buf_printf(out, "%s\n\n", json_is_true(json_object_get(status, "draining")) ? "; stopping" : "");
        show_tenants(json_object_get(status, "tenants"), &arena, out);
        show_running(json_object_get(status, "running"), &arena, out);
        w->runs = runs;
        w->at_ns = now_ns;
}

static int look(struct watch *w, bool screen, struct retort_error *err) {
        rt_auto_buf struct rt_buf status = RT_BUF(ANSWER_MAX), metrics = RT_BUF(ANSWER_MAX), out = RT_BUF(ANSWER_MAX);
        int r = get(w, "/v1/status", &status, err);
        if (r == 0)
                r = get(w, "/metrics", &metrics, err);
        if (r < 0)
                return r;
        json_t *root = json_loadb(status.data ? status.data : "", status.size, 0, NULL);
        if (!root)
                return rt_fail(err, RETORT_E_SYSTEM, "%s does not answer as a Retort server does", w->base);
        if (screen)
                (void)rt_buf_printf(&out, "\033[H\033[2J");
        show(w, root, metrics.data, &out);
        json_decref(root);
        return rt_out_flush(w->cli->out, &out) < 0 ? rt_fail_errno(err, "cannot write to stdout") : 0;
}

/* ---- the terminal ---- */

/* Keys come as they are typed; Ctrl-C still is a signal. */
static bool set_keys(struct termios *old) {
        if (tcgetattr(STDIN_FILENO, old) < 0)
                return false;
        struct termios keys = *old;
        keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        return tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
}

/* Whether somebody wants to leave, within a second. */
static bool wants_to_leave(bool keys) {
        struct pollfd in = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
        char key = 0;
        if (poll(&in, 1, EVERY_MS) > 0 && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q'))
                return true;
        return rt_cancel_asked();
}

static int follow(struct watch *w, struct retort_error *err) {
        struct termios old;
        bool keys = set_keys(&old);
        int r;
        rt_cancel_install();
        do
                r = look(w, true, err);
        while (r == 0 && !wants_to_leave(keys));
        if (keys)
                (void)tcsetattr(STDIN_FILENO, TCSANOW, &old);
        return r;
}

/* ---- the command ---- */

static int open_watch(struct watch *w, const struct rt_top_opts *o, struct retort_error *err) {
        const char *url = o->url ? o->url : getenv("RETORT_URL");
        const char *key = o->key ? o->key : getenv("RETORT_API_KEY");
        w->curl = curl_easy_init();
        if (!w->curl)
                return rt_fail_nomem(err);
        w->base = url && *url ? url : "http://127.0.0.1:8081";
        if (strncmp(w->base, "unix:", 5) == 0) {
                (void)curl_easy_setopt(w->curl, CURLOPT_UNIX_SOCKET_PATH, w->base + 5);
                w->base = "http://localhost";
        }
        if (key && *key)
                w->headers = curl_slist_append(NULL, rt_arena_printf(&w->cli->arena, "Authorization: Bearer %s", key));
        (void)curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, w->headers);
        (void)curl_easy_setopt(w->curl, CURLOPT_PROTOCOLS_STR, "http,https");
        (void)curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
        (void)curl_easy_setopt(w->curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
        (void)curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, on_data);
        return 0;
}

int rt_top_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        const struct rt_top_opts *o = target;
        struct watch w = { .cli = cli };
        struct retort_error err = { 0 };
        (void)words;
        int r = open_watch(&w, o, &err);
        if (r == 0)
                r = o->once || !isatty(cli->out) ? look(&w, false, &err) : follow(&w, &err);
        curl_slist_free_all(w.headers);
        curl_easy_cleanup(w.curl);
        return r < 0 ? rt_cli_complain(cli, "%s", err.message) : 0;
}
