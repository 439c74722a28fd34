/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "base/text.h"

enum { CHUNK = 65536, DRAIN_MS = 1000 };

void rt_run_tell(struct rt_run *run, struct retort_event event) {
        event.seq = run->seq++;
        event.at_ns = rt_now_ns() - run->begun_ns;
        if (run->on_event)
                run->on_event(&event, run->userdata);
}

/* ---- opening ---- */

/* Text known beforehand is a file, which needs no pumping; live input is a pipe. */
static int open_stdin(struct rt_pump *p, const struct retort_request *request, struct retort_error *err) {
        if (request->stdin_fd > 0) {
                int ends[2];
                if (pipe2(ends, O_CLOEXEC) < 0)
                        return rt_fail_errno(err, "cannot make a pipe");
                p->guest[0] = ends[0];
                p->stdin_sink = ends[1];
                p->stdin_source = request->stdin_fd;
                (void)fcntl(p->stdin_sink, F_SETFL, O_NONBLOCK);
                (void)fchmod(ends[0], 0444); /* the guest, whoever it is, may open /dev/stdin */
                return 0;
        }
        if (request->stdin_data.size == 0) {
                p->guest[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
                return p->guest[0] < 0 ? rt_fail_errno(err, "cannot open /dev/null") : 0;
        }
        rt_auto_close int data = rt_sealed_memfd("stdin", request->stdin_data.data, request->stdin_data.size);
        char path[40];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", data);
        p->guest[0] = data < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        return p->guest[0] < 0 ? rt_fail_errno(err, "cannot prepare stdin") : 0;
}

static int open_output(int *ours, int *guests, struct retort_error *err) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return rt_fail_errno(err, "cannot make a pipe");
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        (void)fchmod(ends[1], 0222); /* the guest, whoever it is, may open /dev/stdout */
        *ours = ends[0];
        *guests = ends[1];
        return 0;
}

/* ---- a terminal instead of pipes ---- */

static void set_terminal(struct rt_run *run, int master) {
        (void)pthread_mutex_lock(&run->engine->lock);
        run->terminal = master;
        (void)pthread_mutex_unlock(&run->engine->lock);
}

void rt_run_resize(struct rt_run *run, unsigned columns, unsigned rows) {
        struct winsize size = { .ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows };
        (void)pthread_mutex_lock(&run->engine->lock);
        if (run->terminal >= 0)
                (void)ioctl(run->terminal, TIOCSWINSZ, &size);
        (void)pthread_mutex_unlock(&run->engine->lock);
}

/* The guest gets the other end three times; what it writes is its stdout. */
static int open_terminal(struct rt_pump *p, const struct retort_request *request, struct retort_error *err) {
        p->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (p->terminal < 0 || unlockpt(p->terminal) < 0)
                return rt_fail_errno(err, "cannot make a terminal");
        for (int i = 0; i < 3; i++)
                if ((p->guest[i] = ioctl(p->terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
                        return rt_fail_errno(err, "cannot open the terminal's other end");
        p->out.fd = fcntl(p->terminal, F_DUPFD_CLOEXEC, 0);
        p->stdin_sink = request->stdin_fd > 0 ? fcntl(p->terminal, F_DUPFD_CLOEXEC, 0) : -1;
        p->stdin_source = request->stdin_fd > 0 ? request->stdin_fd : -1;
        (void)fcntl(p->terminal, F_SETFL, O_NONBLOCK);
        set_terminal(p->run, p->terminal);
        rt_run_resize(p->run, request->terminal_columns, request->terminal_rows);
        return p->out.fd < 0 ? rt_fail_errno(err, "cannot copy the terminal") : 0;
}

int rt_pump_open(struct rt_pump *p, struct rt_run *run, const struct rt_lang_step *step, bool with_stdin,
                 struct retort_error *err) {
        static const struct retort_request nothing = { 0 };
        *p = (struct rt_pump){ .run = run, .step_name = step->name, .output_bytes = step->limits.output_bytes,
                               .out = { .fd = -1, .type = RETORT_EVENT_STDOUT, .kept = RT_BUF(step->limits.output_bytes) },
                               .err = { .fd = -1, .type = RETORT_EVENT_STDERR, .kept = RT_BUF(step->limits.output_bytes) },
                               .report = RT_BUF(RT_LANG_REPORT_MAX), .report_fd = -1, .stdin_source = -1,
                               .stdin_sink = -1, .terminal = -1, .guest = { -1, -1, -1, -1 } };
        bool terminal = with_stdin && run->request->terminal_columns > 0;
        int r = terminal ? open_terminal(p, run->request, err) : open_stdin(p, with_stdin ? run->request : &nothing, err);
        if (r == 0 && !terminal)
                r = open_output(&p->out.fd, &p->guest[1], err);
        if (r == 0 && !terminal)
                r = open_output(&p->err.fd, &p->guest[2], err);
        if (r == 0)
                r = open_output(&p->report_fd, &p->guest[3], err);
        if (r < 0)
                rt_pump_close(p);
        return r;
}

void rt_pump_handed_over(struct rt_pump *p) {
        for (size_t i = 0; i < RT_LEN(p->guest); i++)
                p->guest[i] = rt_close(p->guest[i]);
}

void rt_pump_close(struct rt_pump *p) {
        rt_pump_handed_over(p);
        p->out.fd = rt_close(p->out.fd);
        p->err.fd = rt_close(p->err.fd);
        p->report_fd = rt_close(p->report_fd);
        p->stdin_sink = rt_close(p->stdin_sink);
        if (p->terminal >= 0)
                set_terminal(p->run, -1);
        p->terminal = rt_close(p->terminal);
        rt_buf_clear(&p->out.kept);
        rt_buf_clear(&p->err.kept);
        rt_buf_clear(&p->report);
}

/* ---- output ---- */

static void tell_output(struct rt_pump *p, struct rt_stream *s, const char *data, size_t size) {
        if (size > 0)
                rt_run_tell(p->run, (struct retort_event){ .type = s->type, .step_name = p->step_name, .data = { data, size } });
}

/* Passes a chunk on, cut between characters. chunk has room for what was held back before it. */
static void pass_on(struct rt_pump *p, struct rt_stream *s, char *chunk, size_t size) {
        size_t whole = rt_text_cut(chunk, size);
        tell_output(p, s, chunk, whole);
        s->n_held = size - whole;
        memcpy(s->held, chunk + whole, s->n_held);
}

static void end_stream(struct rt_pump *p, struct rt_stream *s) {
        tell_output(p, s, s->held, s->n_held);
        s->n_held = 0;
        s->fd = rt_close(s->fd);
}

/* n bytes that the guest has written, behind those that were held back before. The part above the limit is dropped. */
static void take_output(struct rt_pump *p, struct rt_stream *s, char *chunk, size_t n) {
        uint64_t before = p->out.seen + p->err.seen;
        uint64_t room = before < p->output_bytes ? p->output_bytes - before : 0;
        size_t keep = n < room ? n : (size_t)room;
        s->seen += n;
        if (keep < n)
                s->truncated = p->over = true;
        if (rt_buf_add(&s->kept, chunk + s->n_held, keep) == RT_BUF_NOMEM)
                p->nomem = true;
        if (keep > 0)
                pass_on(p, s, chunk, s->n_held + keep);
}

/* Reads what is there: also above the limit, so that the guest does not stand still. */
static void read_output(struct rt_pump *p, struct rt_stream *s) {
        char chunk[CHUNK + sizeof s->held];
        memcpy(chunk, s->held, s->n_held);
        ssize_t n = read(s->fd, chunk + s->n_held, CHUNK);
        if (n > 0)
                take_output(p, s, chunk, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                end_stream(p, s);
}

void rt_pump_take(struct rt_pump *p, struct rt_stream *s, const char *data, size_t size) {
        char chunk[CHUNK + sizeof s->held];
        while (size > 0) {
                size_t n = size < CHUNK ? size : CHUNK;
                memcpy(chunk, s->held, s->n_held);
                memcpy(chunk + s->n_held, data, n);
                take_output(p, s, chunk, n);
                data += n;
                size -= n;
        }
}

bool rt_pump_read(struct rt_pump *p, struct rt_stream *s) {
        uint64_t before = s->seen;
        if (s->fd >= 0)
                read_output(p, s);
        return s->seen > before;
}

size_t rt_pump_waiting(const struct rt_stream *s) {
        int n = 0;
        return s->fd >= 0 && ioctl(s->fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

void rt_pump_flush(struct rt_pump *p) {
        struct rt_stream *const streams[] = { &p->out, &p->err };
        for (size_t i = 0; i < RT_LEN(streams); i++) {
                tell_output(p, streams[i], streams[i]->held, streams[i]->n_held);
                streams[i]->n_held = 0;
        }
}

static void read_report(struct rt_pump *p) {
        char chunk[4096];
        ssize_t n = read(p->report_fd, chunk, sizeof chunk);
        if (n > 0)
                (void)rt_buf_add(&p->report, chunk, (size_t)n); /* a longer one is rubbish, and will not parse */
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                p->report_fd = rt_close(p->report_fd);
}

/* ---- live input ---- */

/* write(2) to a pipe without a reader raises SIGPIPE; it is the host program's signal, so it is kept from it. */
static ssize_t write_quietly(int fd, const char *data, size_t size) {
        sigset_t broken, before, pending;
        (void)sigemptyset(&broken);
        (void)sigaddset(&broken, SIGPIPE);
        (void)sigpending(&pending);
        (void)pthread_sigmask(SIG_BLOCK, &broken, &before);
        ssize_t n = write(fd, data, size);
        int kept = errno;
        if (n < 0 && kept == EPIPE && !sigismember(&pending, SIGPIPE)) {
                struct timespec now = { 0 };
                (void)sigtimedwait(&broken, NULL, &now);
        }
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        errno = kept;
        return n;
}

static void end_stdin(struct rt_pump *p) {
        static const char end_of_file = 4; /* Ctrl-D: a terminal has no other end */
        if (p->terminal >= 0 && p->stdin_sink >= 0)
                (void)!write(p->stdin_sink, &end_of_file, 1);
        p->stdin_sink = rt_close(p->stdin_sink);
        p->stdin_source = -1;
}

/* The source is read only when the pipe has taken what was read before: what the guest leaves stays with the caller. */
static void read_source(struct rt_pump *p) {
        ssize_t n = read(p->stdin_source, p->fed, sizeof p->fed);
        if (n > 0)
                p->n_fed = (size_t)n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                end_stdin(p);
}

static void write_sink(struct rt_pump *p) {
        ssize_t n = write_quietly(p->stdin_sink, p->fed, p->n_fed);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                end_stdin(p); /* the guest has closed it */
        if (n > 0) {
                p->n_fed -= (size_t)n;
                memmove(p->fed, p->fed + n, p->n_fed);
        }
}

/* ---- the loop ---- */

enum { SLOT, OUT, ERR, REPORT, SOURCE, SINK, CANCEL, N_WATCHED };

/* Waits and handles what there is, except the slot: true when it has something to say. */
static bool pump_once(struct rt_pump *p, int slot_fd, int timeout_ms) {
        struct pollfd wait[N_WATCHED] = {
                [SLOT] = { slot_fd, POLLIN, 0 },          [OUT] = { p->out.fd, POLLIN, 0 },
                [ERR] = { p->err.fd, POLLIN, 0 },         [REPORT] = { p->report_fd, POLLIN, 0 },
                [SOURCE] = { p->n_fed ? -1 : p->stdin_source, POLLIN, 0 },
                [SINK] = { p->stdin_sink, p->n_fed ? POLLOUT : 0, 0 },
                [CANCEL] = { p->cancelled ? -1 : p->run->cancel_fd, POLLIN, 0 },
        };
        uint64_t before = rt_now_ns();
        int ready = poll(wait, N_WATCHED, timeout_ms);
        p->waited_ns += rt_now_ns() - before;
        if (ready <= 0)
                return false;
        if (wait[OUT].revents)
                read_output(p, &p->out);
        if (wait[ERR].revents)
                read_output(p, &p->err);
        if (wait[REPORT].revents)
                read_report(p);
        if (wait[SINK].revents & POLLERR)
                end_stdin(p);
        else if (wait[SINK].revents)
                write_sink(p);
        else if (wait[SOURCE].revents)
                read_source(p);
        if (wait[CANCEL].revents)
                p->cancelled = true;
        return wait[SLOT].revents != 0;
}

/* Takes what is in the pipes now. False: nothing is. */
static bool pump_ready(struct rt_pump *p) {
        uint64_t before = p->out.seen + p->err.seen + p->report.size;
        (void)pump_once(p, -1, 0);
        return p->out.seen + p->err.seen + p->report.size > before;
}

static void hang_up(struct rt_pump *p) {
        if (p->out.fd >= 0)
                end_stream(p, &p->out);
        if (p->err.fd >= 0)
                end_stream(p, &p->err);
        p->report_fd = rt_close(p->report_fd);
}

int rt_pump_until_report(struct rt_pump *p, struct rt_slot *slot, int timeout_ms, struct rt_box_report *ret_report,
                         struct retort_error *err) {
        uint64_t deadline = rt_now_ns() + (uint64_t)timeout_ms * 1000000u;
        bool killed = false;
        for (;;) {
                uint64_t now = rt_now_ns();
                bool late = now >= deadline; /* the caller's callback may be why: what is there now still counts */
                if (pump_once(p, rt_slot_fd(slot), late ? 0 : (int)((deadline - now) / 1000000u) + 1))
                        break;
                if (late)
                        return rt_fail(err, RETORT_E_SYSTEM, "the box has not reported in %d ms", timeout_ms);
                if ((p->over || p->cancelled || p->nomem) && !killed) {
                        rt_slot_kill(slot);
                        killed = true;
                }
        }
        int r = rt_slot_report(slot, 0, ret_report, err);
        /* Everything that could write is dead: what is in the pipes is all there is. Only our own waiting is bounded, not
         * the time the caller takes for what there is. */
        end_stdin(p);
        p->waited_ns = 0;
        if (r == 0 && ret_report->quiet) { /* nor will anybody write who is only dying yet */
                while (pump_ready(p))
                        continue;
                hang_up(p);
        }
        while ((p->out.fd >= 0 || p->err.fd >= 0 || p->report_fd >= 0) && p->waited_ns < DRAIN_MS * 1000000ull)
                (void)pump_once(p, -1, DRAIN_MS);
        return r;
}
