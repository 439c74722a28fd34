/* SPDX-License-Identifier: Apache-2.0
 *
 * Users of the Runtime face, the code they saved, what they ran.
 */
#include <string.h>

#include "base/err.h"
#include "store/inside.h"

static size_t size_of(const char *text) {
        return text ? strlen(text) : 0;
}

/* ---- users ---- */

static int user_add(struct rt_conn *conn, void *data, struct retort_error *err) {
        struct rt_store_user *user = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "INSERT INTO user (email, name, password_hash, provider, tenant_id, created_ms)"
                      " VALUES (?, ?, ?, ?, ?, ?)");
        rt_query_put_text(&query, user->email);
        rt_query_put_text(&query, user->name);
        rt_query_put_text(&query, user->password_hash);
        rt_query_put_text(&query, user->provider);
        rt_query_put_int(&query, user->tenant_id);
        rt_query_put_int(&query, user->created_ms);
        int64_t n = rt_query_run(&query, err);
        if (n < 0)
                return (int)n;
        user->id = sqlite3_last_insert_rowid(conn->db);
        return 0;
}

int rt_store_user_add(struct rt_store *store, struct rt_store_user *user, struct retort_error *err) {
        struct rt_store_user copy = *user;
        int r = rt_store_write(store, user_add, &copy, 0, err);
        if (r == 0)
                user->id = copy.id;
        return r;
}

static void read_user(struct rt_query *query, void *element) {
        struct rt_store_user *user = element;
        user->id = rt_query_int(query);
        user->email = rt_query_text(query);
        user->name = rt_query_text(query);
        user->password_hash = rt_query_text(query);
        user->provider = rt_query_text(query);
        user->tenant_id = rt_query_int(query);
        user->created_ms = rt_query_int(query);
}

#define USER "SELECT id, email, name, password_hash, provider, tenant_id, created_ms FROM user "

int rt_store_user_by_email(struct rt_store *store, const char *email, struct rt_arena *arena, struct rt_store_user *ret_user,
                           struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query = rt_query(lent.conn, USER "WHERE email = ?");
        query.arena = arena;
        rt_query_put_text(&query, email);
        return rt_query_one(&query, sizeof *ret_user, read_user, ret_user, "user", err);
}

int rt_store_user_by_id(struct rt_store *store, int64_t id, struct rt_arena *arena, struct rt_store_user *ret_user,
                        struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query = rt_query(lent.conn, USER "WHERE id = ?");
        query.arena = arena;
        rt_query_put_int(&query, id);
        return rt_query_one(&query, sizeof *ret_user, read_user, ret_user, "user", err);
}

/* ---- saved code ---- */

static int code_add(struct rt_conn *conn, void *data, struct retort_error *err) {
        struct rt_store_code *code = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "INSERT INTO code (user_id, title, language, created_ms, updated_ms, code) VALUES (?, ?, ?, ?, ?, ?)");
        rt_query_put_int(&query, code->user_id);
        rt_query_put_text(&query, code->title);
        rt_query_put_text(&query, code->language);
        rt_query_put_int(&query, code->created_ms);
        rt_query_put_int(&query, code->updated_ms);
        rt_query_put_text(&query, code->code);
        int64_t n = rt_query_run(&query, err);
        if (n < 0)
                return (int)n;
        code->id = sqlite3_last_insert_rowid(conn->db);
        return 0;
}

int rt_store_code_add(struct rt_store *store, struct rt_store_code *code, struct retort_error *err) {
        struct rt_store_code copy = *code;
        int r = rt_store_write(store, code_add, &copy, size_of(code->code), err);
        if (r == 0)
                code->id = copy.id;
        return r;
}

static int code_update(struct rt_conn *conn, void *data, struct retort_error *err) {
        const struct rt_store_code *code = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "UPDATE code SET title = coalesce(?, title), language = coalesce(?, language),"
                      " code = coalesce(?, code), updated_ms = ? WHERE id = ? AND user_id = ?");
        rt_query_put_text(&query, code->title);
        rt_query_put_text(&query, code->language);
        rt_query_put_text(&query, code->code);
        rt_query_put_int(&query, code->updated_ms);
        rt_query_put_int(&query, code->id);
        rt_query_put_int(&query, code->user_id);
        return rt_query_must_change(&query, "saved code", err);
}

int rt_store_code_update(struct rt_store *store, const struct rt_store_code *code, struct retort_error *err) {
        struct rt_store_code copy = *code;
        return rt_store_write(store, code_update, &copy, size_of(code->code), err);
}

static int code_delete(struct rt_conn *conn, void *data, struct retort_error *err) {
        const struct rt_store_code *code = data;
        rt_auto_query struct rt_query query = rt_query(conn, "DELETE FROM code WHERE id = ? AND user_id = ?");
        rt_query_put_int(&query, code->id);
        rt_query_put_int(&query, code->user_id);
        return rt_query_must_change(&query, "saved code", err);
}

int rt_store_code_delete(struct rt_store *store, int64_t id, int64_t user_id, struct retort_error *err) {
        return rt_store_write(store, code_delete, &(struct rt_store_code){ .id = id, .user_id = user_id }, 0, err);
}

static void read_code(struct rt_query *query, void *element) {
        struct rt_store_code *code = element;
        code->id = rt_query_int(query);
        code->user_id = rt_query_int(query);
        code->title = rt_query_text(query);
        code->language = rt_query_text(query);
        code->created_ms = rt_query_int(query);
        code->updated_ms = rt_query_int(query);
        code->code = rt_query_text(query);
}

#define CODE "SELECT id, user_id, title, language, created_ms, updated_ms, code FROM code "

int rt_store_code_get(struct rt_store *store, int64_t id, int64_t user_id, struct rt_arena *arena,
                      struct rt_store_code *ret_code, struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query = rt_query(lent.conn, CODE "WHERE id = ? AND user_id = ?");
        query.arena = arena;
        rt_query_put_int(&query, id);
        rt_query_put_int(&query, user_id);
        return rt_query_one(&query, sizeof *ret_code, read_code, ret_code, "saved code", err);
}

int rt_store_codes(struct rt_store *store, int64_t user_id, struct rt_arena *arena, struct rt_store_code **ret,
                   size_t *ret_n, struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query =
                rt_query(lent.conn, CODE "WHERE user_id = ? ORDER BY updated_ms DESC, id DESC");
        query.arena = arena;
        rt_query_put_int(&query, user_id);
        return rt_query_rows(&query, sizeof **ret, read_code, (void **)ret, ret_n, err);
}

/* ---- submissions ---- */

int rt_submission_insert(struct rt_conn *conn, struct rt_store_submission *submission, struct retort_error *err) {
        rt_auto_query struct rt_query query = rt_query(
                conn, "INSERT INTO submission (user_id, code_id, language, status, error_type, exit_code, execution_ms,"
                      " created_ms, code, stdout, stderr)"
                      " VALUES (?1, (SELECT id FROM code WHERE id = ?2 AND user_id = ?1), ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                      " RETURNING id, ifnull(code_id, 0)");
        rt_query_put_int(&query, submission->user_id);
        rt_query_put_int(&query, submission->code_id);
        rt_query_put_text(&query, submission->language);
        rt_query_put_text(&query, submission->status);
        rt_query_put_text(&query, submission->error_type);
        rt_query_put_int(&query, submission->exit_code);
        rt_query_put_int(&query, submission->execution_ms);
        rt_query_put_int(&query, submission->created_ms);
        rt_query_put_text(&query, submission->code);
        rt_query_put_text(&query, submission->stdout_text);
        rt_query_put_text(&query, submission->stderr_text);
        int r = rt_query_step(&query, err);
        if (r < 0)
                return r;
        submission->id = rt_query_int(&query);
        submission->code_id = rt_query_int(&query);
        return rt_query_step(&query, err);
}

static int submission_add(struct rt_conn *conn, void *data, struct retort_error *err) {
        return rt_submission_insert(conn, data, err);
}

int rt_store_submission_add(struct rt_store *store, struct rt_store_submission *submission, struct retort_error *err) {
        struct rt_store_submission copy = *submission;
        size_t bytes = size_of(copy.code) + size_of(copy.stdout_text) + size_of(copy.stderr_text);
        int r = rt_store_write(store, submission_add, &copy, bytes, err);
        if (r < 0)
                return r;
        submission->id = copy.id;
        submission->code_id = copy.code_id;
        return 0;
}

static void read_submission(struct rt_query *query, void *element) {
        struct rt_store_submission *submission = element;
        submission->id = rt_query_int(query);
        submission->user_id = rt_query_int(query);
        submission->code_id = rt_query_int(query);
        submission->language = rt_query_text(query);
        submission->status = rt_query_text(query);
        submission->error_type = rt_query_text(query);
        submission->exit_code = (int32_t)rt_query_int(query);
        submission->execution_ms = rt_query_int(query);
        submission->created_ms = rt_query_int(query);
        submission->code = rt_query_text(query);
        submission->stdout_text = rt_query_text(query);
        submission->stderr_text = rt_query_text(query);
}

#define SUBMISSION                                                                                                     \
        "SELECT id, user_id, ifnull(code_id, 0), language, status, error_type, exit_code, execution_ms, created_ms,"   \
        " code, stdout, stderr FROM submission WHERE user_id = ? "

int rt_store_submissions(struct rt_store *store, int64_t user_id, int64_t code_id, size_t limit, struct rt_arena *arena,
                         struct rt_store_submission **ret, size_t *ret_n, struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query = rt_query(
                lent.conn, code_id ? SUBMISSION "AND code_id = ? ORDER BY id DESC LIMIT ?" : SUBMISSION "ORDER BY id DESC LIMIT ?");
        query.arena = arena;
        rt_query_put_int(&query, user_id);
        if (code_id)
                rt_query_put_int(&query, code_id);
        rt_query_put_int(&query, limit > 0 ? (int64_t)limit : -1);
        return rt_query_rows(&query, sizeof **ret, read_submission, (void **)ret, ret_n, err);
}
