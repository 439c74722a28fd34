/* SPDX-License-Identifier: Apache-2.0
 *
 * The compile cache without a box: keys, room, what is dropped when a directory changes; and a keeper that lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/util.h"
#include "engine/cache.h"
#include "engine/reach.h"

enum { MOST = 1 << 20 };

/* ---- keys ---- */

static struct rt_lang_set *set;
static const char *const argv[] = { "/usr/bin/gcc", "-O2", "main.c", NULL };
static const char *const env[] = { "HOME=/work", NULL };
static const struct retort_file files[] = { { "main.c", { "int x;", 6 } }, { "a.h", { "1", 1 } } };

static struct rt_lang_plan plan_of(const char *language) {
        struct rt_lang_plan plan = { .runtime = rt_lang_find(set, language, NULL), .files = files, .n_files = 2, .n_steps = 2,
                                     .steps = { { .name = "compile", .argv = argv, .env = env, .limits = { .wall_ms = 1 } } } };
        assert_non_null(plan.runtime);
        return plan;
}

static struct rt_buf key_of(const struct rt_lang_plan *plan, uint64_t scope) {
        struct rt_buf key = RT_BUF(MOST);
        assert_true(rt_cache_key(plan, scope, &key));
        return key;
}

static bool same(const struct rt_buf *a, const struct rt_buf *b) {
        return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static void every_ingredient_makes_another_key(void **state) {
        (void)state;
        static const char *const more_argv[] = { "/usr/bin/gcc", "-O2", "main.c", "", NULL };
        static const char *const joined_argv[] = { "/usr/bin/gcc", "-O2main.c", NULL };
        static const char *const other_program[] = { "/usr/local/bin/gcc", "-O2", "main.c", NULL };
        static const char *const more_env[] = { "HOME=/work", "CPATH=x", NULL };
        static const char *const moved[] = { "/usr/bin/gcc", "-O2", "main.c", "HOME=/work", NULL };
        static const char *const no_env[] = { NULL };
        static const struct retort_file other_byte[] = { { "main.c", { "int y;", 6 } }, { "a.h", { "1", 1 } } };
        static const struct retort_file other_header[] = { { "main.c", { "int x;", 6 } }, { "a.h", { "2", 1 } } };
        static const struct retort_file other_name[] = { { "main.c", { "int x;", 6 } }, { "b.h", { "1", 1 } } };
        static const struct retort_file shifted[] = { { "main.c", { "int x;1", 7 } }, { "a.h", { "", 0 } } };
        const char *const *const argvs[] = { more_argv, joined_argv, other_program, moved };
        const struct retort_file *const others[] = { other_byte, other_header, other_name, shifted };
        struct rt_lang_plan plans[12];
        size_t n = 0;
        for (size_t i = 0; i < RT_LEN(plans); i++)
                plans[i] = plan_of(i == 1 ? "cpp" : "c");
        for (n = 2; n < 2 + RT_LEN(argvs); n++)
                plans[n].steps[0].argv = argvs[n - 2];
        plans[n - 1].steps[0].env = no_env; /* moved: what was a variable is an argument */
        plans[n++].steps[0].env = more_env;
        plans[n++].steps[0].limits.memory_bytes = 1;
        for (size_t i = 0; i < RT_LEN(others); i++)
                plans[n++].files = others[i];
        assert_int_equal(n, RT_LEN(plans));
        struct rt_buf keys[RT_LEN(plans) + 1];
        for (size_t i = 0; i < n; i++)
                keys[i] = key_of(&plans[i], 1);
        keys[n] = key_of(&plans[0], 2); /* another scope */
        for (size_t i = 0; i <= n; i++)
                for (size_t j = 0; j < i; j++)
                        assert_false(same(&keys[i], &keys[j]));
        struct rt_lang_plan again = plan_of("c");
        again.steps[1].argv = argv; /* the run is not what was compiled */
        struct rt_buf key = key_of(&again, 1);
        assert_true(same(&key, &keys[0]));
        rt_buf_clear(&key);
        for (size_t i = 0; i <= n; i++)
                rt_buf_clear(&keys[i]);
}

static void a_key_larger_than_its_buffer_is_none(void **state) {
        (void)state;
        struct rt_lang_plan plan = plan_of("c");
        rt_auto_buf struct rt_buf key = RT_BUF(64);
        assert_false(rt_cache_key(&plan, 1, &key));
}

/* ---- room ---- */

static struct rt_buf number_key(unsigned number) {
        struct rt_buf key = RT_BUF(64);
        assert_int_equal(rt_buf_printf(&key, "key %u", number), RT_BUF_OK);
        return key;
}

static void put(struct rt_cache *cache, unsigned number, uint64_t scope, size_t size) {
        rt_auto_buf struct rt_buf key = number_key(number);
        struct rt_compiled *c = rt_compiled_new();
        assert_non_null(c);
        c->stdout_data = (struct retort_bytes){ rt_arena_alloc(&c->arena, size), size };
        assert_non_null(c->stdout_data.data);
        rt_cache_add(cache, c, &key, scope, 0);
}

static bool there(struct rt_cache *cache, unsigned number) {
        rt_auto_buf struct rt_buf key = number_key(number);
        struct rt_compiled *c = rt_cache_find(cache, &key);
        bool found = c != NULL;
        (void)rt_compiled_free(c);
        return found;
}

static struct retort_cache_stats stats_of(struct rt_cache *cache) {
        struct retort_cache_stats stats;
        rt_cache_stats(cache, &stats);
        return stats;
}

static void who_was_used_longest_ago_goes_first(void **state) {
        (void)state;
        struct rt_cache *cache = rt_cache_new(MOST);
        for (unsigned i = 0; i < 8; i++)
                put(cache, i, i, MOST / 9);
        for (unsigned i = 0; i < 8; i++)
                assert_true(there(cache, i));
        assert_true(there(cache, 0)); /* so 1 is the oldest */
        put(cache, 8, 8, MOST / 9);
        assert_false(there(cache, 1));
        assert_true(there(cache, 0) && there(cache, 2) && there(cache, 8));
        assert_int_equal(stats_of(cache).evicted, 1);
        assert_in_range(stats_of(cache).bytes, 1, MOST);
        (void)rt_cache_free(cache);
}

static void no_scope_drives_the_others_out(void **state) {
        (void)state;
        struct rt_cache *cache = rt_cache_new(MOST);
        put(cache, 0, 1, MOST / 9);
        for (unsigned i = 1; i < 1000; i++)
                put(cache, i, 2, MOST / 9);
        assert_true(there(cache, 0));
        assert_in_range(stats_of(cache).bytes, 1, MOST);
        put(cache, 2000, 3, MOST / 2); /* more than a quarter: kept from nobody, and by nobody */
        assert_false(there(cache, 2000));
        assert_true(there(cache, 0));
        (void)rt_cache_free(cache);
}

static void there_are_not_more_than_it_counts(void **state) {
        (void)state;
        struct rt_cache *cache = rt_cache_new(1ull << 40);
        for (unsigned i = 0; i < 4200; i++)
                put(cache, i, i, 1);
        assert_int_equal(stats_of(cache).programs, 4096);
        assert_int_equal(stats_of(cache).evicted, 4200 - 4096);
        put(cache, 4199, 4199, 1); /* twice the same is once */
        assert_int_equal(stats_of(cache).programs, 4096);
        (void)rt_cache_free(cache);
}

static void what_is_held_outlives_its_eviction(void **state) {
        (void)state;
        struct rt_cache *cache = rt_cache_new(MOST);
        put(cache, 0, 1, MOST / 8);
        rt_auto_buf struct rt_buf key = number_key(0);
        struct rt_compiled *held = rt_cache_find(cache, &key);
        assert_non_null(held);
        (void)rt_cache_free(cache);
        assert_int_equal(held->stdout_data.size, MOST / 8);
        assert_int_equal(held->stdout_data.data[MOST / 8 - 1], 0);
        (void)rt_compiled_free(held);
}

/* ---- what compilers read ---- */

static char scratch[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
        (void)st;
        (void)kind;
        (void)where;
        return remove(path);
}

static void write_text(const char *name, const char *text) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
        rt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0 && rt_write_all(fd, text, strlen(text)) == 0);
}

static void change(int which) {
        char path[128], other[128];
        (void)snprintf(path, sizeof path, "%s/inc/deep/old.h", scratch);
        (void)snprintf(other, sizeof other, "%s/inc/new.h", scratch);
        switch (which) {
        case 0: /* in place, same size */
                write_text("inc/deep/old.h", "B");
                break;
        case 1:
                write_text("inc/deep/new.h", "new");
                break;
        case 2:
                assert_int_equal(unlink(path), 0);
                break;
        case 3:
                assert_int_equal(rename(path, other), 0);
                break;
        case 4:
                assert_int_equal(chmod(path, 0600), 0);
                break;
        case 5:
                (void)snprintf(other, sizeof other, "%s/inc/fresh", scratch);
                assert_int_equal(mkdir(other, 0755), 0);
                break;
        case 6: { /* through a mapping, seen when it goes */
                rt_auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
                char *map = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                assert_ptr_not_equal(map, MAP_FAILED);
                fd = rt_close(fd);
                *map = 'C';
                assert_int_equal(munmap(map, 1), 0);
                break;
        }
        default:
                assert_int_equal(truncate(path, 0), 0);
        }
}

static void begin_scratch(void) {
        char path[128];
        (void)snprintf(scratch, sizeof scratch, "/tmp/retort-reach-XXXXXX");
        assert_non_null(mkdtemp(scratch));
        (void)snprintf(path, sizeof path, "%s/inc", scratch);
        assert_int_equal(mkdir(path, 0755), 0);
        (void)snprintf(path, sizeof path, "%s/inc/deep", scratch);
        assert_int_equal(mkdir(path, 0755), 0);
        write_text("inc/deep/old.h", "A");
}

static void end_scratch(void) {
        assert_int_equal(nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void every_change_below_is_seen(void **state) {
        (void)state;
        for (int which = 0; which < 8; which++) {
                char pattern[128], path[128], text[8] = "";
                begin_scratch();
                struct rt_reach reach = RT_REACH_NONE;
                (void)snprintf(pattern, sizeof pattern, "%s/i*", scratch);
                assert_true(rt_reach_add(&reach, pattern));
                assert_true(rt_reach_add(&reach, "/nonexistent/*"));
                assert_int_equal(reach.n_directories, 2);
                assert_false(rt_reach_changed(&reach));
                (void)snprintf(path, sizeof path, "%s/inc/deep/old.h", scratch);
                rt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC); /* reading is no change */
                assert_int_equal(read(fd, text, sizeof text), 1);
                fd = rt_close(fd);
                write_text("beside", "no matter");
                assert_false(rt_reach_changed(&reach));
                change(which);
                if (!rt_reach_changed(&reach))
                        fail_msg("change %d was not seen", which);
                rt_reach_close(&reach);
                assert_int_equal(reach.fd, -1);
                end_scratch();
        }
}

static void watching_ends_when_it_is_told(void **state) {
        (void)state;
        const atomic_bool stop = true;
        struct rt_reach reach = { .fd = -1, .stop = &stop };
        assert_false(rt_reach_add(&reach, "/usr/include"));
        rt_reach_close(&reach);
}

static int open_set(void **state) {
        (void)state;
        return rt_lang_load(getenv("RETORT_RUNTIMES"), &set, NULL);
}

static int close_set(void **state) {
        (void)state;
        set = rt_lang_free(set);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_ingredient_makes_another_key),
                cmocka_unit_test(a_key_larger_than_its_buffer_is_none),
                cmocka_unit_test(who_was_used_longest_ago_goes_first),
                cmocka_unit_test(no_scope_drives_the_others_out),
                cmocka_unit_test(there_are_not_more_than_it_counts),
                cmocka_unit_test(what_is_held_outlives_its_eviction),
                cmocka_unit_test(every_change_below_is_seen),
                cmocka_unit_test(watching_ends_when_it_is_told),
        };
        return cmocka_run_group_tests(tests, open_set, close_set);
}
