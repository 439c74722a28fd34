/* SPDX-License-Identifier: Apache-2.0
 *
 * Watching a folder: inotify(7), a watch for each folder below when asked for. Who reads slowly is waited for; what the kernel
 * could not keep meanwhile is lost, as inotify's own queue is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "supervisor/supervisor.h"

enum { MAX_FOLDERS = 1024 };
#define EVENTS (IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_DELETE_SELF)

struct watching {
        int inotify, to;
        bool recursive;
        struct folder {
                int number;
                char *prefix; /* of paths in it, below the folder that was asked for: "" or "a/b/" */
        } folders[MAX_FOLDERS];
        unsigned n;
};

static void tell(struct watching *w, enum rt_change_type type, const char *prefix, const char *name) {
        char bytes[sizeof(struct rt_change) + 2 * RT_ASK_MAX_PATH];
        struct rt_change change = { .type = type };
        int n = snprintf(bytes + sizeof change, sizeof bytes - sizeof change, "%s%s", prefix, name);
        if (n < 0 || (size_t)n >= sizeof bytes - sizeof change)
                return;
        change.path_size = (uint32_t)n;
        memcpy(bytes, &change, sizeof change);
        if (rt_write_all(w->to, bytes, sizeof change + (size_t)n) < 0)
                _exit(0);
}

/* root: of what was asked for. created: what is in it already is told. */
static void add_folder(struct watching *w, const char *root, const char *prefix, bool created) {
        char path[2 * RT_ASK_MAX_PATH];
        if (snprintf(path, sizeof path, "%s/%s", root, prefix) >= (int)sizeof path || w->n == MAX_FOLDERS)
                return;
        int number = inotify_add_watch(w->inotify, path, EVENTS | (*prefix ? IN_DONT_FOLLOW : 0));
        char *kept = number < 0 ? NULL : strdup(prefix);
        if (!kept)
                return;
        w->folders[w->n++] = (struct folder){ number, kept };
        if (!w->recursive)
                return;
        DIR *list = opendir(path);
        for (struct dirent *e; list && (e = readdir(list));) {
                char below[RT_ASK_MAX_PATH];
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                    snprintf(below, sizeof below, "%s%s/", prefix, e->d_name) >= (int)sizeof below)
                        continue;
                if (created)
                        tell(w, RT_CHANGE_CREATE, prefix, e->d_name);
                if (e->d_type == DT_DIR)
                        add_folder(w, root, below, created);
        }
        if (list)
                (void)closedir(list);
}

static void forget_folder(struct watching *w, int number) {
        for (unsigned i = 0; i < w->n; i++)
                if (w->folders[i].number == number) {
                        free(w->folders[i].prefix);
                        w->folders[i] = w->folders[--w->n];
                        return;
                }
}

static void on_event(struct watching *w, const char *root, const struct inotify_event *e) {
        unsigned i = 0;
        while (i < w->n && w->folders[i].number != e->wd)
                i++;
        if (i == w->n)
                return;
        if (e->mask & (IN_DELETE_SELF | IN_IGNORED)) {
                bool top = !*w->folders[i].prefix;
                forget_folder(w, e->wd);
                if (top) {
                        tell(w, RT_CHANGE_DELETE, "", "");
                        _exit(0);
                }
                return;
        }
        const char *prefix = w->folders[i].prefix;
        if (e->mask & (IN_CREATE | IN_MOVED_TO)) {
                char below[RT_ASK_MAX_PATH];
                tell(w, e->mask & IN_CREATE ? RT_CHANGE_CREATE : RT_CHANGE_MOVE, prefix, e->name);
                if (w->recursive && e->mask & IN_ISDIR && snprintf(below, sizeof below, "%s%s/", prefix, e->name) < (int)sizeof below)
                        add_folder(w, root, below, true);
        } else if (e->mask & (IN_MODIFY | IN_CLOSE_WRITE)) {
                tell(w, RT_CHANGE_MODIFY, prefix, e->name);
        } else if (e->mask & (IN_DELETE | IN_MOVED_FROM)) {
                tell(w, RT_CHANGE_DELETE, prefix, e->name);
        }
}

void rt_supervisor_watch(const char *path, unsigned flags, int to) {
        static struct watching w;
        _Alignas(struct inotify_event) char events[16384];
        (void)signal(SIGPIPE, SIG_IGN);
        w.to = to;
        w.recursive = flags & RT_ASK_RECURSIVE;
        w.inotify = inotify_init1(IN_CLOEXEC);
        if (w.inotify < 0)
                _exit(1);
        add_folder(&w, path, "", false);
        if (w.n == 0)
                _exit(1);
        tell(&w, RT_CHANGE_READY, "", "");
        for (;;) {
                struct pollfd wait[] = { { .fd = w.inotify, .events = POLLIN }, { .fd = to } };
                if (poll(wait, 2, -1) < 0)
                        continue;
                if (wait[1].revents)
                        _exit(0); /* nobody reads any more */
                ssize_t n = read(w.inotify, events, sizeof events);
                for (char *at = events; n > 0 && at < events + n;) {
                        const struct inotify_event *e = (const void *)at;
                        on_event(&w, path, e);
                        at += sizeof *e + e->len;
                }
        }
}
