/* SPDX-License-Identifier: Apache-2.0
 *
 * get_file_change: what has happened in a folder since the same session asked for it before. Clients ask every half a second and call
 * that watching; so nothing goes on between two of their calls: what the folder held is remembered, and compared.
 */
#include <stdlib.h>
#include <string.h>

#include "api/agentbay.h"
#include "base/util.h"

enum { FOLDERS_MAX = 16, DEPTH_MAX = 1000, ENTRY_BYTES = 400, SESSION_BYTES = 8 << 20 };

struct rt_ab_folder {
        struct rt_ab_folder *next; /* the one that was asked for before it */
        char *path;
        json_t *seen; /* {path below: {"type", "size", "modified"}} */
        size_t bytes; /* that it takes, about */
};

void rt_ab_folders_free(struct rt_ab_folder *folders) {
        for (struct rt_ab_folder *next; folders; folders = next) {
                next = folders->next;
                json_decref(folders->seen);
                free(folders->path);
                free(folders);
        }
}

static size_t bytes_of(json_t *seen) {
        size_t bytes = 0;
        const char *path;
        json_t *entry;
        json_object_foreach(seen, path, entry)
                bytes += strlen(path) + ENTRY_BYTES;
        return bytes;
}

/* Under the lock: those that are too many, or too large together; the oldest go. */
static struct rt_ab_folder *take_surplus(struct rt_ab_session *s) {
        size_t n = 0, bytes = 0;
        struct rt_ab_folder **at = &s->folders;
        while (*at && ++n <= FOLDERS_MAX && (bytes += (*at)->bytes) <= SESSION_BYTES)
                at = &(*at)->next;
        return rt_take(*at);
}

/* Takes what was seen there (NULL: nothing yet), and leaves what is seen now (taken). */
static json_t *exchange(struct rt_ab_session *s, const char *path, json_t *now) {
        struct rt_ab_folder *new = calloc(1, sizeof *new);
        char *copy = strdup(path);
        size_t bytes = bytes_of(now);
        (void)pthread_mutex_lock(&s->table->lock);
        struct rt_ab_folder **at = &s->folders;
        while (*at && strcmp((*at)->path, path) != 0)
                at = &(*at)->next;
        struct rt_ab_folder *old = *at;
        if (old)
                *at = old->next;
        if (new && copy) {
                *new = (struct rt_ab_folder){ s->folders, rt_take(copy), rt_take(now), bytes };
                s->folders = rt_take(new);
        }
        struct rt_ab_folder *surplus = take_surplus(s);
        (void)pthread_mutex_unlock(&s->table->lock);
        rt_ab_folders_free(surplus);
        json_decref(now);
        free(copy);
        free(new);
        if (!old)
                return NULL;
        json_t *seen = rt_take(old->seen);
        old->next = NULL;
        rt_ab_folders_free(old);
        return seen;
}

/* The entries of a list, by their paths; taken. */
static json_t *by_path(json_t *entries) {
        json_t *all = json_object();
        json_t *entry;
        size_t i;
        json_array_foreach(entries, i, entry) {
                const char *path = json_string_value(json_object_get(entry, "path"));
                json_t *kept = json_pack("{s:O?, s:O?, s:O?}", "type", json_object_get(entry, "type"), "size", json_object_get(entry, "size"),
                                         "modified", json_object_get(entry, "modified"));
                if (path && kept)
                        (void)json_object_set_new_nocheck(all, path, rt_take(kept));
                json_decref(kept);
        }
        json_decref(entries);
        return all;
}

static const char *type_of(json_t *entry) {
        const char *type = json_string_value(json_object_get(entry, "type"));
        return type ? type : "";
}

static void add(json_t *events, const char *what, const char *folder, const char *path, json_t *entry) {
        size_t size = strlen(folder);
        const char *slash = size && folder[size - 1] == '/' ? "" : "/";
        (void)json_array_append_new(events, json_pack("{s:s, s:s++, s:s}", "eventType", what, "path", folder, slash, path, "pathType",
                                                      strcmp(type_of(entry), "directory") == 0 ? "directory" : "file"));
}

/* A folder is modified whenever something in it comes or goes, which is told anyway. */
static bool is_changed(json_t *before, json_t *now) {
        return strcmp(type_of(now), "directory") != 0 && !json_equal(before, now);
}

static json_t *compare(json_t *before, json_t *now, const char *folder) {
        json_t *events = json_array();
        const char *path;
        json_t *entry;
        json_object_foreach(now, path, entry) {
                json_t *other = json_object_get(before, path);
                bool same_kind = other && strcmp(type_of(other), type_of(entry)) == 0;
                if (other && !same_kind)
                        add(events, "delete", folder, path, other);
                if (!same_kind)
                        add(events, "create", folder, path, entry);
                else if (is_changed(other, entry))
                        add(events, "modify", folder, path, entry);
        }
        json_object_foreach(before, path, entry)
                if (!json_object_get(now, path))
                        add(events, "delete", folder, path, entry);
        return events;
}

void rt_ab_perform_changes(struct rt_ab_op *op, const char *path) {
        rt_auto_free char *told = NULL;
        if (!rt_ab_op_worked(op, retort_context_list(op->call.context, path, DEPTH_MAX, &told, &op->call.err)))
                return;
        json_t *now = by_path(json_loads(told, 0, NULL));
        if (bytes_of(now) > SESSION_BYTES) {
                (void)rt_ab_op_fail(op, "%s: holds too much to be compared", path);
                json_decref(now);
                return;
        }
        json_t *before = exchange(op->session, path, json_incref(now));
        json_t *events = before ? compare(before, now, path) : json_array();
        rt_auto_free char *text = json_dumps(events, JSON_COMPACT);
        json_decref(events);
        json_decref(before);
        json_decref(now);
        (void)rt_ab_op_add(op, "%s", text ? text : "[]");
}
