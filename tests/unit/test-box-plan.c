/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/plan.h"

static const char *const argv[] = { "/usr/bin/python3", "main.py", "", NULL };
static const char *const env[] = { "HOME=/work", "EMPTY=", NULL };
static const struct retort_file files[] = { { "main.py", { "print(1)\n", 9 } },
                                            { "a/b/c.txt", { "\0\1\2", 3 } },
                                            { "empty", { NULL, 0 } } };

/* A plan as bytes in memory of exactly its size: a sanitizer sees one byte too many. */
static char *write_plan(size_t *ret_size) {
        struct retort_error err = { 0 };
        rt_auto_close int fd = rt_plan_write(argv, env, files, RT_LEN(files), &err);
        assert_true(fd >= 0);
        char *text = NULL;
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(rt_read_all(fd, RT_PLAN_MAX_BYTES, &text, ret_size, &err), 0);
        char *exact = malloc(*ret_size);
        assert_non_null(exact);
        memcpy(exact, text, *ret_size);
        free(text);
        return exact;
}

/* Walks everything that a checked plan gives out, as keeper and parked process do. */
static void use(const struct rt_plan *plan) {
        static char *args[RT_PLAN_MAX_STRINGS + 1], *envs[RT_PLAN_MAX_STRINGS + 1];
        struct retort_file f;
        size_t cursor = 0, n = 0, bytes = 0;
        rt_plan_strings(plan, args, envs);
        for (uint32_t i = 0; i < plan->argc; i++)
                bytes += strlen(args[i]);
        for (uint32_t i = 0; i < plan->envc; i++)
                bytes += strlen(envs[i]);
        for (; rt_plan_next_file(plan, &cursor, &f); n++) {
                assert_true(rt_plan_path_ok(f.path));
                for (size_t i = 0; i < f.content.size; i++)
                        bytes += (unsigned char)f.content.data[i] & 1;
        }
        assert_int_equal(n, plan->n_files);
        assert_in_range(bytes, 0, plan->size);
}

static void a_plan_reads_back(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct rt_plan plan;
        rt_auto_close int fd = rt_plan_write(argv, env, files, RT_LEN(files), &err);
        assert_int_equal(rt_plan_map(fd, &plan, &err), 0);
        char *args[4], *envs[3];
        rt_plan_strings(&plan, args, envs);
        for (size_t i = 0; i < 3; i++)
                assert_string_equal(args[i], argv[i]);
        for (size_t i = 0; i < 2; i++)
                assert_string_equal(envs[i], env[i]);
        assert_null(args[3]);
        assert_null(envs[2]);
        size_t cursor = 0;
        struct retort_file f;
        for (size_t i = 0; i < RT_LEN(files); i++) {
                assert_true(rt_plan_next_file(&plan, &cursor, &f));
                assert_string_equal(f.path, files[i].path);
                assert_int_equal(f.content.size, files[i].content.size);
                if (f.content.size)
                        assert_memory_equal(f.content.data, files[i].content.data, f.content.size);
        }
        assert_false(rt_plan_next_file(&plan, &cursor, &f));
        rt_plan_unmap(&plan);
        rt_plan_unmap(&plan);
}

static void what_was_made_may_be_executable(void **state) {
        (void)state;
        static const struct rt_made_file made[] = { { { "program", { "ELF", 3 } }, true }, { { "a/A.class", { "x", 1 } }, false } };
        struct retort_error err = { 0 };
        struct rt_plan plan;
        struct rt_made_file f;
        size_t cursor = 0;
        rt_auto_close int fd = rt_plan_write_made(argv, env, files, 1, made, RT_LEN(made), &err);
        assert_int_equal(rt_plan_map(fd, &plan, &err), 0);
        assert_int_equal(plan.n_files, 3);
        assert_true(rt_plan_next_made(&plan, &cursor, &f));
        assert_string_equal(f.file.path, "main.py");
        assert_false(f.executable);
        assert_true(rt_plan_next_made(&plan, &cursor, &f));
        assert_string_equal(f.file.path, "program");
        assert_true(f.executable);
        assert_memory_equal(f.file.content.data, "ELF", 3);
        assert_true(rt_plan_next_made(&plan, &cursor, &f));
        assert_false(f.executable);
        assert_false(rt_plan_next_made(&plan, &cursor, &f));
        /* A flag is 0 or 1. */
        const size_t flag = (size_t)(strstr(plan.map + plan.files_at + 16, "main.py") - plan.map) - 4;
        rt_auto_free char *bytes = malloc(plan.size);
        assert_non_null(bytes);
        memcpy(bytes, plan.map, plan.size);
        struct rt_plan changed;
        for (unsigned value = 0; value < 4; value++) {
                bytes[flag] = (char)value;
                assert_int_equal(rt_plan_read(bytes, plan.size, &changed, NULL), value > 1 ? RETORT_E_INPUT : 0);
        }
        rt_plan_unmap(&plan);
}

static void every_shorter_or_longer_plan_is_refused(void **state) {
        (void)state;
        size_t size;
        rt_auto_free char *bytes = write_plan(&size);
        for (size_t cut = 0; cut < size; cut++) {
                rt_auto_free char *exact = malloc(cut + !cut);
                assert_non_null(exact);
                memcpy(exact, bytes, cut);
                struct retort_error err = { 0 };
                struct rt_plan plan = { .argc = 77 };
                assert_int_equal(rt_plan_read(exact, cut, &plan, &err), RETORT_E_INPUT);
                assert_int_equal(plan.argc, 77);
                assert_true(err.message[0] != 0);
        }
        rt_auto_free char *longer = calloc(1, size + 1);
        assert_non_null(longer);
        memcpy(longer, bytes, size);
        struct rt_plan plan;
        assert_int_equal(rt_plan_read(longer, size + 1, &plan, NULL), RETORT_E_INPUT);
}

static void no_changed_byte_leads_outside(void **state) {
        (void)state;
        size_t size;
        rt_auto_free char *bytes = write_plan(&size);
        unsigned good = 0, bad = 0;
        for (size_t at = 0; at < size; at++)
                for (unsigned change = 1; change < 256; change++) {
                        struct rt_plan plan;
                        bytes[at] = (char)(bytes[at] ^ (char)change);
                        if (rt_plan_read(bytes, size, &plan, NULL) == 0) {
                                good++;
                                use(&plan);
                        } else {
                                bad++;
                        }
                        bytes[at] = (char)(bytes[at] ^ (char)change);
                }
        assert_true(good > 0 && bad > 0);
}

/* Counts at and around the places where a sum could wrap. */
static void no_count_wraps_around(void **state) {
        (void)state;
        static const uint64_t counts[] = { 0, 1, 2111, 2112, 2113, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
                                           0x100000000, 0x7fffffffffffffff, 0xffffffffffffffe0, UINT64_MAX };
        size_t size;
        rt_auto_free char *bytes = write_plan(&size);
        const size_t first_file = 16 + sizeof "/usr/bin/python3" + sizeof "main.py" + 1 + sizeof "HOME=/work" + sizeof "EMPTY=";
        static const size_t words[] = { 4, 8, 12 };
        struct rt_plan plan;
        for (size_t i = 0; i < RT_LEN(counts); i++) {
                for (size_t w = 0; w < RT_LEN(words) + 2; w++) {
                        size_t at = w < RT_LEN(words) ? words[w] : first_file + (w == RT_LEN(words) ? 0 : 8);
                        size_t width = w == RT_LEN(words) ? 8 : 4;
                        char kept[8];
                        memcpy(kept, bytes + at, width);
                        memcpy(bytes + at, &counts[i], width);
                        if (rt_plan_read(bytes, size, &plan, NULL) == 0)
                                use(&plan);
                        memcpy(bytes + at, kept, width);
                }
        }
        assert_int_equal(rt_plan_read(bytes, size, &plan, NULL), 0);
}

static void paths_stay_inside(void **state) {
        (void)state;
        char longest[RETORT_MAX_PATH + 2];
        memset(longest, 'x', sizeof longest);
        longest[RETORT_MAX_PATH] = 0;
        assert_true(rt_plan_path_ok(longest));
        longest[RETORT_MAX_PATH] = 'x';
        longest[RETORT_MAX_PATH + 1] = 0;
        assert_false(rt_plan_path_ok(longest));
        static const char *const good[] = { "a", "a/b", "...", "..a", "a..", ".a", "a/.../b", "a b", "a\nb", "-" };
        static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/.", "a/..",
                                           "a/./b", "a/../b", "//", "a/../../b" };
        for (size_t i = 0; i < RT_LEN(good); i++)
                assert_true(rt_plan_path_ok(good[i]));
        for (size_t i = 0; i < RT_LEN(bad); i++)
                assert_false(rt_plan_path_ok(bad[i]));
}

static void only_a_sealed_memfd_is_mapped(void **state) {
        (void)state;
        size_t size;
        rt_auto_free char *bytes = write_plan(&size);
        struct rt_plan plan;
        static const int seals[] = { 0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_WRITE | F_SEAL_SHRINK,
                                     F_SEAL_WRITE | F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE };
        for (size_t i = 0; i < RT_LEN(seals); i++) {
                rt_auto_close int fd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                assert_int_equal(rt_write_all(fd, bytes, size), 0);
                assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
                assert_int_equal(rt_plan_map(fd, &plan, NULL), RETORT_E_INPUT);
        }
        rt_auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        rt_auto_close int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        rt_auto_close int empty = rt_sealed_memfd("plan", "", 0);
        rt_auto_close int sparse = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(ftruncate(sparse, 1ll << 40), 0);
        assert_int_equal(fcntl(sparse, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
        const int wrong[] = { -1, null, file, empty, sparse };
        for (size_t i = 0; i < RT_LEN(wrong); i++)
                assert_int_equal(rt_plan_map(wrong[i], &plan, NULL), RETORT_E_INPUT);
}

static void more_than_a_plan_holds_is_refused_by_its_writer(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        rt_auto_free char *much = calloc(1, RT_PLAN_MAX_BYTES);
        assert_non_null(much);
        const struct retort_file file = { "f", { much, RT_PLAN_MAX_BYTES } };
        assert_int_equal(rt_plan_write(argv, env, &file, 1, &err), RETORT_E_INPUT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_plan_reads_back),
                cmocka_unit_test(what_was_made_may_be_executable),
                cmocka_unit_test(every_shorter_or_longer_plan_is_refused),
                cmocka_unit_test(no_changed_byte_leads_outside),
                cmocka_unit_test(no_count_wraps_around),
                cmocka_unit_test(paths_stay_inside),
                cmocka_unit_test(only_a_sealed_memfd_is_mapped),
                cmocka_unit_test(more_than_a_plan_holds_is_refused_by_its_writer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
