/* SPDX-License-Identifier: Apache-2.0
 *
 * The tools about files. Their answers are texts in the forms that the clients take apart; names in them are the guest's, so what
 * could look like another line of such a text is replaced.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/agentbay.h"
#include "base/text.h"
#include "base/util.h"
#include "model/base64.h"

enum { PATHS_MAX = 1024, EDITS_MAX = 1024, DEPTH_MAX = 1000, LINKS_MAX = 64, CHAR_MAX_BYTES = 4 };

bool rt_ab_op_worked(struct rt_ab_op *op, int r) {
        if (r == 0)
                return true;
        rt_call_failed(&op->call);
        if (op->call.err.code == RETORT_E_INPUT && op->call.trouble == RT_TROUBLE_NONE) {
                (void)rt_ab_op_fail(op, "%s", op->call.err.message);
                op->call.err = (struct retort_error){ 0 };
        }
        return false;
}

static bool text_of(struct rt_ab_op *op, const char *name, const char **ret) {
        if (!rt_ab_op_text(op, name, true, ret))
                return false;
        return **ret ? true : rt_ab_op_fail(op, "%s: must not be empty", name);
}

static bool prepare_path(struct rt_ab_op *op) {
        const char *path;
        return text_of(op, "path", &path);
}

static const char *path_of(const struct rt_ab_op *op) {
        return json_string_value(json_object_get(op->args, "path"));
}

/* A name as part of a line. */
static const char *line_of(struct rt_ab_op *op, const char *name) {
        char *line = rt_arena_strdup(&op->arena, name);
        for (char *p = line; p && *p; p++)
                if (*p == '\n' || *p == '\r')
                        *p = '?';
        return line ? line : "";
}

static const char *member(json_t *entry, const char *name) {
        const char *text = json_string_value(json_object_get(entry, name));
        return text ? text : "";
}

/* ---- folders, moving, removing ---- */

static void perform_create_directory(struct rt_ab_op *op) {
        if (rt_ab_op_worked(op, retort_context_make_directory(op->call.context, path_of(op), &op->call.err)))
                (void)rt_ab_op_add(op, "true");
}

static void perform_delete(struct rt_ab_op *op) {
        if (rt_ab_op_worked(op, retort_context_remove(op->call.context, path_of(op), &op->call.err)))
                (void)rt_ab_op_add(op, "true");
}

static bool prepare_move(struct rt_ab_op *op) {
        const char *path;
        return text_of(op, "source", &path) && text_of(op, "destination", &path);
}

static void perform_move(struct rt_ab_op *op) {
        const char *from = json_string_value(json_object_get(op->args, "source"));
        const char *to = json_string_value(json_object_get(op->args, "destination"));
        if (rt_ab_op_worked(op, retort_context_move(op->call.context, from, to, &op->call.err)))
                (void)rt_ab_op_add(op, "true");
}

/* A link is what it leads to. */
static bool is_folder(struct rt_ab_op *op, json_t *entry, const char *path) {
        rt_auto_free char *inside = NULL;
        const char *type = member(entry, "type");
        if (strcmp(type, "symlink") != 0)
                return strcmp(type, "directory") == 0;
        return retort_context_list(op->call.context, path, 1, &inside, NULL) == 0;
}

static bool on_nothing(const char *data, size_t size, void *userdata) {
        (void)data;
        (void)size;
        (void)userdata;
        return false;
}

static void perform_info(struct rt_ab_op *op) {
        const char *path = path_of(op);
        rt_auto_free char *told = NULL;
        if (!rt_ab_op_worked(op, retort_context_stat(op->call.context, path, &told, &op->call.err)))
                return;
        json_t *entry = json_loads(told, 0, NULL);
        bool folder = is_folder(op, entry, path);
        json_t *mode = json_object_get(entry, "mode");
        rt_auto_free char *bits = json_dumps(mode, JSON_ENCODE_ANY);
        const char *octal = json_is_string(mode) ? json_string_value(mode) : bits;
        uint64_t size = (uint64_t)json_integer_value(json_object_get(entry, "size"));
        if (strcmp(member(entry, "type"), "symlink") == 0 && !folder)
                (void)retort_context_read(op->call.context, path, 0, 1, on_nothing, NULL, &size, NULL);
        (void)rt_ab_op_add(op, "name: %s\npath: %s\nsize: %llu\nisDirectory: %s\nisFile: %s\npermissions: %s\nmode: %s\nmodTime: %s\nmodified: %s",
                           line_of(op, member(entry, "name")), line_of(op, path), (unsigned long long)size, folder ? "true" : "false",
                           folder ? "false" : "true", octal ? octal : "", octal ? octal : "", member(entry, "modified"), member(entry, "modified"));
        json_decref(entry);
}

/* A path that a list tells, which is relative to the folder. */
static const char *below(struct rt_ab_op *op, const char *folder, const char *path) {
        size_t size = strlen(folder);
        const char *whole = rt_arena_printf(&op->arena, "%s%s%s", folder, size && folder[size - 1] == '/' ? "" : "/", path);
        return whole ? whole : "";
}

static void perform_list(struct rt_ab_op *op) {
        rt_auto_free char *told = NULL;
        size_t i;
        size_t links = 0;
        json_t *entry;
        if (!rt_ab_op_worked(op, retort_context_list(op->call.context, path_of(op), 1, &told, &op->call.err)))
                return;
        json_t *entries = json_loads(told, 0, NULL);
        json_array_foreach(entries, i, entry) {
                bool link = strcmp(member(entry, "type"), "symlink") == 0;
                bool folder = link ? links++ < LINKS_MAX && is_folder(op, entry, below(op, path_of(op), member(entry, "path"))) : is_folder(op, entry, NULL);
                if (!rt_ab_op_add(op, "%s[%s] %s", i ? "\n" : "", folder ? "DIR" : "FILE", line_of(op, member(entry, "name"))))
                        break;
        }
        json_decref(entries);
}

/* ---- reading ---- */

static bool on_part(const char *data, size_t size, void *userdata) {
        return rt_buf_add(userdata, data, size) == RT_BUF_OK;
}

/* Most bytes from offset on (most 0: to the end). False: op says why not. */
static bool read_bytes(struct rt_ab_op *op, const char *path, uint64_t offset, uint64_t most, struct rt_buf *into) {
        uint64_t size = 0;
        *into = RT_BUF(RT_AB_TEXT_MAX / 2);
        if (!rt_ab_op_worked(op, retort_context_read(op->call.context, path, offset, most, on_part, into, &size, &op->call.err)))
                return false;
        uint64_t wanted = offset >= size ? 0 : most && most < size - offset ? most : size - offset;
        return into->size >= wanted || rt_ab_op_fail(op, "the file has more than %d bytes: read it in parts (offset, length)", RT_AB_TEXT_MAX / 2);
}

static bool is_inside(char c) {
        return ((unsigned char)c & 0xc0) == 0x80;
}

/* The characters that begin in this part, whole: parts that follow each other make the file again, wherever they were cut. */
static void add_part(struct rt_ab_op *op, const struct rt_buf *part, uint64_t offset, uint64_t length) {
        size_t from = 0;
        size_t to = part->size;
        if (!part->data)
                return;
        while (offset && from < to && from < CHAR_MAX_BYTES - 1 && is_inside(part->data[from]))
                from++;
        if (length && length < to)
                for (to = length; to < part->size && to < length + CHAR_MAX_BYTES - 1 && is_inside(part->data[to]);)
                        to++;
        const char *clean = from < to ? rt_text_clean(&op->arena, part->data + from, to - from) : "";
        if (!clean || rt_buf_add(&op->text, clean, strlen(clean)) != RT_BUF_OK)
                (void)rt_ab_op_fail(op, "the text is too large: read it in parts (offset, length)");
}

static void add_base64(struct rt_ab_op *op, const struct rt_buf *part) {
        size_t size = rt_base64_room(part->size);
        char *text = rt_arena_alloc(&op->arena, size + 1);
        if (text)
                rt_base64_encode(part->data, part->size, text);
        if (!text || rt_buf_add(&op->text, text, size) != RT_BUF_OK)
                (void)rt_ab_op_fail(op, "the file is too large: read it in parts (offset, length)");
}

static bool prepare_read(struct rt_ab_op *op) {
        const char *path;
        const char *format;
        static const char *const numbers[] = { "offset", "length" };
        if (!text_of(op, "path", &path) || !rt_ab_op_text(op, "format", false, &format))
                return false;
        for (size_t i = 0; i < RT_LEN(numbers); i++) {
                json_t *value = json_object_get(op->args, numbers[i]);
                if (value && !json_is_null(value) && (!json_is_integer(value) || json_integer_value(value) < 0))
                        return rt_ab_op_fail(op, "%s: must be a whole number from 0", numbers[i]);
        }
        return true;
}

static void perform_read(struct rt_ab_op *op) {
        const char *format = json_string_value(json_object_get(op->args, "format"));
        bool binary = format && (strcmp(format, "binary") == 0 || strcmp(format, "bytes") == 0);
        uint64_t offset = (uint64_t)json_integer_value(json_object_get(op->args, "offset"));
        uint64_t length = (uint64_t)json_integer_value(json_object_get(op->args, "length"));
        uint64_t more = length && !binary ? CHAR_MAX_BYTES - 1 : 0;
        rt_auto_buf struct rt_buf part = { 0 };
        if (!read_bytes(op, path_of(op), offset, length > RT_AB_TEXT_MAX ? 0 : length + more, &part))
                return;
        if (binary)
                add_base64(op, &part);
        else
                add_part(op, &part, offset, length);
}

static bool prepare_paths(struct rt_ab_op *op) {
        json_t *paths = json_object_get(op->args, "paths");
        size_t i;
        json_t *path;
        if (!json_is_array(paths) || json_array_size(paths) > PATHS_MAX)
                return rt_ab_op_fail(op, "paths: must be a list of at most %d texts", PATHS_MAX);
        json_array_foreach(paths, i, path)
                if (!json_string_length(path) || strlen(json_string_value(path)) != json_string_length(path))
                        return rt_ab_op_fail(op, "paths: must be a list of texts");
        return true;
}

static void perform_read_multiple(struct rt_ab_op *op) {
        size_t i;
        json_t *path;
        json_array_foreach(json_object_get(op->args, "paths"), i, path) {
                rt_auto_buf struct rt_buf part = { 0 };
                if (!read_bytes(op, json_string_value(path), 0, 0, &part))
                        return;
                if (!rt_ab_op_add(op, "%s%s:\n", i ? "\n---\n" : "", line_of(op, json_string_value(path))))
                        return;
                add_part(op, &part, 0, 0);
                if (op->is_error || op->call.err.code)
                        return;
        }
}

/* ---- writing ---- */

static bool prepare_write(struct rt_ab_op *op) {
        const char *text;
        if (!text_of(op, "path", &text) || !rt_ab_op_text(op, "mode", false, &text))
                return false;
        if (text && strcmp(text, "overwrite") != 0 && strcmp(text, "append") != 0 && strcmp(text, "create_new") != 0)
                return rt_ab_op_fail(op, "mode: must be overwrite, append or create_new, not '%s'", rt_text_show(text).text);
        return json_is_string(json_object_get(op->args, "content")) || rt_ab_op_fail(op, "content: must be a text");
}

static void perform_write(struct rt_ab_op *op) {
        json_t *content = json_object_get(op->args, "content");
        const char *mode = json_string_value(json_object_get(op->args, "mode"));
        const char *format = json_string_value(json_object_get(op->args, "format"));
        struct retort_bytes bytes = { json_string_value(content), json_string_length(content) };
        enum retort_write how = !mode || strcmp(mode, "overwrite") == 0 ? RETORT_WRITE_REPLACE
                                : strcmp(mode, "append") == 0           ? RETORT_WRITE_APPEND
                                                                        : RETORT_WRITE_NEW;
        if (format && strcmp(format, "binary") == 0) {
                char *data = NULL;
                size_t size = 0;
                if (rt_base64_decode(&op->arena, bytes.data, bytes.size, &data, &size) != RT_BASE64_OK) {
                        (void)rt_ab_op_fail(op, "content: is not base64");
                        return;
                }
                bytes = (struct retort_bytes){ data, size };
        }
        if (rt_ab_op_worked(op, retort_context_write(op->call.context, path_of(op), bytes, how, 0, &op->call.err)))
                (void)rt_ab_op_add(op, "true");
}

static bool prepare_edit(struct rt_ab_op *op) {
        json_t *edits = json_object_get(op->args, "edits");
        size_t i;
        json_t *edit;
        if (!prepare_path(op))
                return false;
        if (!json_is_array(edits) || json_array_size(edits) > EDITS_MAX)
                return rt_ab_op_fail(op, "edits: must be a list of at most %d edits", EDITS_MAX);
        json_array_foreach(edits, i, edit)
                if (!json_string_length(json_object_get(edit, "oldText")) || !json_is_string(json_object_get(edit, "newText")))
                        return rt_ab_op_fail(op, "edits: each must have oldText, which is not empty, and newText");
        return true;
}

/* The first place where it is found. */
static bool edit_once(struct rt_ab_op *op, struct rt_buf *text, json_t *edit) {
        json_t *old = json_object_get(edit, "oldText");
        json_t *new = json_object_get(edit, "newText");
        const char *at = text->size ? memmem(text->data, text->size, json_string_value(old), json_string_length(old)) : NULL;
        struct rt_buf changed = RT_BUF(RT_AB_TEXT_MAX / 2);
        if (!at)
                return rt_ab_op_fail(op, "oldText was not found: %s", rt_text_show(json_string_value(old)).text);
        size_t before = (size_t)(at - text->data);
        size_t after = before + json_string_length(old);
        enum rt_buf_result full = rt_buf_add(&changed, text->data, before);
        full |= rt_buf_add(&changed, json_string_value(new), json_string_length(new));
        full |= rt_buf_add(&changed, text->data + after, text->size - after);
        rt_buf_clear(text);
        *text = changed;
        return full == RT_BUF_OK || rt_ab_op_fail(op, "the file would be too large");
}

static void perform_edit(struct rt_ab_op *op) {
        rt_auto_buf struct rt_buf text = { 0 };
        size_t i;
        json_t *edit;
        if (!read_bytes(op, path_of(op), 0, 0, &text))
                return;
        json_array_foreach(json_object_get(op->args, "edits"), i, edit)
                if (!edit_once(op, &text, edit))
                        return;
        if (json_is_true(json_object_get(op->args, "dryRun"))) {
                add_part(op, &text, 0, 0);
                return;
        }
        struct retort_bytes bytes = { text.data, text.size };
        if (rt_ab_op_worked(op, retort_context_write(op->call.context, path_of(op), bytes, RETORT_WRITE_REPLACE, 0, &op->call.err)))
                (void)rt_ab_op_add(op, "true");
}

/* ---- searching ---- */

static bool prepare_search(struct rt_ab_op *op) {
        const char *text;
        json_t *excluded = json_object_get(op->args, "excludePatterns");
        size_t i;
        json_t *one;
        if (!text_of(op, "path", &text) || !text_of(op, "pattern", &text))
                return false;
        if (excluded && !json_is_null(excluded) && !json_is_string(excluded) && !json_is_array(excluded))
                return rt_ab_op_fail(op, "excludePatterns: must be a text or a list of texts");
        json_array_foreach(excluded, i, one)
                if (!json_is_string(one))
                        return rt_ab_op_fail(op, "excludePatterns: must be a text or a list of texts");
        return true;
}

/* Patterns as one text, with commas, or as a list. */
static bool is_excluded(struct rt_ab_op *op, const char *name) {
        json_t *excluded = json_object_get(op->args, "excludePatterns");
        const char *text = json_string_value(excluded);
        size_t i;
        json_t *one;
        json_array_foreach(excluded, i, one)
                if (fnmatch(json_string_value(one), name, 0) == 0)
                        return true;
        while (text && *text) {
                size_t size = strcspn(text, ",");
                const char *pattern = rt_arena_copy(&op->arena, text, size);
                if (pattern && size && fnmatch(pattern, name, 0) == 0)
                        return true;
                text += size + (text[size] == ',');
        }
        return false;
}

static void perform_search(struct rt_ab_op *op) {
        const char *pattern = json_string_value(json_object_get(op->args, "pattern"));
        rt_auto_free char *told = NULL;
        size_t i;
        json_t *entry;
        if (!rt_ab_op_worked(op, retort_context_list(op->call.context, path_of(op), DEPTH_MAX, &told, &op->call.err)))
                return;
        json_t *entries = json_loads(told, 0, NULL);
        json_array_foreach(entries, i, entry) {
                const char *name = member(entry, "name");
                if (fnmatch(pattern, name, 0) != 0 || is_excluded(op, name))
                        continue;
                if (!rt_ab_op_add(op, "%s%s", op->text.size ? "\n" : "", line_of(op, below(op, path_of(op), member(entry, "path")))))
                        break;
        }
        json_decref(entries);
        if (!op->text.size && !op->call.err.code)
                (void)rt_ab_op_add(op, "No matches found");
}

static void perform_changes(struct rt_ab_op *op) {
        rt_ab_perform_changes(op, path_of(op));
}

#define SERVER "wuying_filesystem"
#define TEXTS(a) "{\"type\":\"object\",\"properties\":{" a "}}"
#define TEXT(name) "\"" name "\":{\"type\":\"string\"}"

const struct rt_ab_tool rt_ab_file_tools[] = {
        { "create_directory", SERVER, "Makes a folder, and those that it is in.", TEXTS(TEXT("path")), RT_CREW_SHORT, false, prepare_path,
          perform_create_directory },
        { "delete_file", SERVER, "Removes a file, or a folder with all that is in it.", TEXTS(TEXT("path")), RT_CREW_SHORT, false, prepare_path,
          perform_delete },
        { "edit_file", SERVER, "Replaces texts in a file.",
          TEXTS(TEXT("path") ",\"edits\":{\"type\":\"array\",\"items\":" TEXTS(TEXT("oldText") "," TEXT("newText")) "},\"dryRun\":{\"type\":\"boolean\"}"),
          RT_CREW_SHORT, false, prepare_edit, perform_edit },
        { "get_file_change", SERVER, "What has happened in a folder, and below it, since this was asked last.", TEXTS(TEXT("path")), RT_CREW_SHORT,
          false, prepare_path, perform_changes },
        { "get_file_info", SERVER, "What is known of a file.", TEXTS(TEXT("path")), RT_CREW_SHORT, false, prepare_path, perform_info },
        { "list_directory", SERVER, "The entries of a folder.", TEXTS(TEXT("path")), RT_CREW_SHORT, false, prepare_path, perform_list },
        { "move_file", SERVER, "Moves or renames.", TEXTS(TEXT("source") "," TEXT("destination")), RT_CREW_SHORT, false, prepare_move, perform_move },
        { "read_file", SERVER, "A file, or a part of it, as text or (format binary) base64.",
          TEXTS(TEXT("path") ",\"offset\":{\"type\":\"integer\"},\"length\":{\"type\":\"integer\"}," TEXT("format")), RT_CREW_SHORT, false,
          prepare_read, perform_read },
        { "read_multiple_files", SERVER, "Several files as one text.", TEXTS("\"paths\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"),
          RT_CREW_SHORT, false, prepare_paths, perform_read_multiple },
        { "search_files", SERVER, "Paths below a folder whose names match a wildcard.",
          TEXTS(TEXT("path") "," TEXT("pattern") "," TEXT("excludePatterns")), RT_CREW_SHORT, false, prepare_search, perform_search },
        { "write_file", SERVER, "Writes or appends to a file.", TEXTS(TEXT("path") "," TEXT("content") "," TEXT("mode")), RT_CREW_SHORT, false,
          prepare_write, perform_write },
        { 0 },
};
