/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort serve": puts configuration, service and API together, says where it listens, and waits for signals.
 *
 *   start  prepare the process, read the configuration, open the service (which starts the jailer), give up root, listen,
 *          give up the system calls that are not needed any more
 *   HUP    keys, quotas and limits anew; what is wrong in the file is said, and nothing changes
 *   TERM   no new connections; what runs may end until server.drain_timeout; a second signal ends at once
 *
 * Configurations that were replaced live on until the end: requests that go on read them.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "cli/out.h"
#include "server/server.h"
#include "service/keys.h"

enum { MAX_SOCKETS = 64, STREAMS_END_MS = 2000 };

struct old_config {
        struct rt_config *config;
        struct old_config *next;
};

struct serving {
        struct rt_cli *cli;
        const struct rt_serve_opts *opts;
        struct rt_settings_opts settings; /* opts->settings, and what the other options mean */
        struct rt_config *config;
        struct old_config *old;
        struct rt_service *service;
        struct rt_api *api;
        int sockets[MAX_SOCKETS];
        size_t n_sockets;
};

/* ---- signals ---- */

static int woken = -1; /* eventfd; of the process, as signals are */
static atomic_bool stop_asked, reload_asked;

static void on_signal(int number) {
        int kept = errno;
        if (number == SIGHUP)
                atomic_store(&reload_asked, true);
        else if (atomic_exchange(&stop_asked, true))
                _exit(128 + number); /* the jailer sees our end and cleans up */
        (void)eventfd_write(woken, 1);
        errno = kept;
}

static int install_signals(struct retort_error *err) {
        struct sigaction ours = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
        struct sigaction ignored = { .sa_handler = SIG_IGN };
        woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (woken < 0 || sigaction(SIGHUP, &ours, NULL) < 0 || sigaction(SIGTERM, &ours, NULL) < 0 ||
            sigaction(SIGINT, &ours, NULL) < 0 || sigaction(SIGPIPE, &ignored, NULL) < 0)
                return rt_fail_errno(err, "cannot handle signals");
        return 0;
}

/* ---- words ---- */

static void say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(int fd, const char *format, ...) {
        char text[1024];
        va_list args;
        va_start(args, format);
        int n = vsnprintf(text, sizeof text, format, args);
        va_end(args);
        (void)rt_write_all(fd, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

/* One line: "retortd listens on http://127.0.0.1:8081". */
static void say_where(const struct serving *s) {
        rt_auto_buf struct rt_buf out = RT_BUF(8192);
        const char *scheme = *s->config->server_tls_certificate ? "https" : "http";
        bool first = true;
        (void)rt_buf_printf(&out, "retortd listens on");
        if (s->n_sockets)
                (void)rt_buf_printf(&out, " %zu socket%s of systemd's", s->n_sockets, s->n_sockets == 1 ? "" : "s");
        for (const char *const *at = s->config->server_listen; !s->n_sockets && *at; at++) {
                size_t size = strlen(*at);
                bool tcp = strncmp(*at, "unix:", 5) != 0;
                if (tcp && first && size > 2 && strcmp(*at + size - 2, ":0") == 0)
                        (void)rt_buf_printf(&out, " %s://%.*s:%u", scheme, (int)size - 2, *at, rt_api_port(s->api));
                else
                        (void)rt_buf_printf(&out, " %s%s%s", tcp ? scheme : "", tcp ? "://" : "", *at);
                first = first && !tcp;
        }
        (void)rt_buf_printf(&out, "\n");
        (void)rt_write_all(s->cli->out, out.data, out.size);
}

/* ---- configuration ---- */

static int add_override(struct serving *s, const char *text, struct retort_error *err) {
        return text ? rt_list_add(&s->settings.set, &s->cli->arena, text, err) : rt_fail_nomem(err);
}

/* --listen and --no-auth are short for two --set, and come before those. */
static int gather_settings(struct serving *s, struct retort_error *err) {
        struct rt_arena *arena = &s->cli->arena;
        const struct rt_list *listen = &s->opts->listen;
        const char *text = "server.listen=";
        int r = 0;
        s->settings.config = s->opts->settings.config;
        for (size_t i = 0; text && i < listen->n; i++)
                text = rt_arena_printf(arena, "%s%s%s", text, i ? "," : "", listen->items[i]);
        if (listen->n)
                r = add_override(s, text, err);
        if (r == 0 && s->opts->no_auth)
                r = add_override(s, "auth.required=false", err);
        for (size_t i = 0; r == 0 && i < s->opts->settings.set.n; i++)
                r = add_override(s, s->opts->settings.set.items[i], err);
        return r;
}

static int read_config(struct serving *s, struct rt_config **ret_config, bool *ret_own, bool *ret_new_secret,
                       struct retort_error *err) {
        int r = rt_settings_read(&s->settings, &s->cli->arena, ret_config, err);
        if (r < 0)
                return r;
        r = rt_settings_place(*ret_config, ret_own, err);
        if (r == 0)
                r = rt_settings_secrets(*ret_config, ret_new_secret, err);
        if (r < 0) {
                rt_config_free(*ret_config);
                *ret_config = NULL;
        }
        return r;
}

static void reload(struct serving *s) {
        struct retort_error err = { 0 };
        struct rt_config *config = NULL;
        bool own, new_secret = false;
        struct old_config *old = calloc(1, sizeof *old);
        int r = old ? read_config(s, &config, &own, &new_secret, &err) : rt_fail_nomem(&err);
        if (r == 0)
                r = rt_service_reload(s->service, config, &err);
        if (r < 0) {
                (void)rt_cli_complain(s->cli, "nothing reloaded: %s", err.message);
                rt_config_free(config);
                free(old);
                return;
        }
        *old = (struct old_config){ s->config, s->old };
        s->old = old;
        s->config = config;
}

/* ---- starting ---- */

static int take_sockets(struct serving *s, struct retort_error *err) {
        int first;
        s->n_sockets = rt_systemd_sockets(&first);
        for (size_t i = 0; i < s->n_sockets; i++) {
                s->sockets[i] = first + (int)i;
                if (!s->config->auth_required && !rt_systemd_is_local(s->sockets[i]))
                        return rt_fail(err, RETORT_E_INPUT, "auth.required may only be false when every socket is loopback or a "
                                       "unix socket, and one of systemd's is not");
        }
        return 0;
}

/* A server that asks for keys and has none could be used by nobody. */
static int make_first_key(struct serving *s, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store *store = rt_service_store(s->service);
        struct rt_store_key *keys;
        size_t n;
        char key[RT_KEY_TEXT];
        const struct rt_key_order order = { .name = "first", .scopes = "run,jobs,contexts,admin,metrics" };
        if (!s->config->auth_required)
                return 0;
        int r = rt_store_keys(store, &arena, &keys, &n, err);
        if (r < 0 || n > 0)
                return r;
        r = rt_keys_create(store, &order, (int64_t)time(NULL) * 1000, key, NULL, err);
        if (r == 0)
                r = rt_service_reload(s->service, s->config, err);
        if (r == 0)
                say(s->cli->err, "retortd: the first API key, of the tenant default; it is shown this once: %s\n", key);
        return r;
}

static int start(struct serving *s, struct retort_error *err) {
        bool own = false, new_secret = false;
        int r = rt_host_prepare(err);
        if (r == 0)
                r = gather_settings(s, err);
        if (r == 0)
                r = read_config(s, &s->config, &own, &new_secret, err);
        if (r == 0)
                r = take_sockets(s, err);
        if (r == 0)
                r = install_signals(err);
        if (r == 0)
                r = rt_service_open(&s->service, s->config, err);
        if (r == 0)
                r = rt_host_become(s->config, own, err);
        if (r == 0)
                r = make_first_key(s, err);
        if (r == 0 && new_secret)
                say(s->cli->err, "retortd: webhooks are signed with this key; it is shown this once: %s\n",
                    s->config->jobs_callback_secret);
        if (r == 0)
                r = rt_api_open(&s->api, s->service, s->sockets, s->n_sockets, err);
        struct retort_error why = { 0 };
        if (r == 0 && rt_host_filter(&why) < 0) /* as in some containers: boxes say what they lack, and so does this */
                say(s->cli->err, "retortd: goes on without a system call policy of its own: %s\n", why.message);
        return r;
}

/* ---- until it ends ---- */

static void wait_for_signals(struct serving *s) {
        while (!atomic_load(&stop_asked)) {
                struct pollfd fd = { .fd = woken, .events = POLLIN };
                eventfd_t n;
                (void)poll(&fd, 1, -1);
                (void)eventfd_read(woken, &n);
                if (atomic_exchange(&reload_asked, false))
                        reload(s);
        }
}

static void stop(struct serving *s) {
        unsigned drain_ms = s->config ? (unsigned)s->config->server_drain_timeout : 0;
        rt_systemd_notify("STOPPING=1");
        if (s->api)
                rt_api_quiesce(s->api);
        if (s->service)
                rt_service_drain(s->service, drain_ms);
        rt_api_close(s->api, STREAMS_END_MS);
        rt_service_close(s->service);
        rt_config_free(s->config);
        while (s->old) {
                struct old_config *next = s->old->next;
                rt_config_free(s->old->config);
                free(s->old);
                s->old = next;
        }
}

int rt_serve_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        struct serving s = { .cli = cli, .opts = target };
        struct retort_error err = { 0 };
        (void)words;
        int r = start(&s, &err);
        if (r == 0) {
                say_where(&s);
                rt_systemd_notify("READY=1");
                wait_for_signals(&s);
        }
        stop(&s);
        return r < 0 ? rt_cli_complain(cli, "%s", err.message) : 0;
}
