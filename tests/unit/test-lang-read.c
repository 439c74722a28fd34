/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read out of other people's texts: programs, compilers' messages, hooks' reports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "base/util.h"
#include "lang/lang.h"
#include "lang/source.h"

static struct rt_lang_set *tree;

static int load_tree(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        const char *dir = getenv("RETORT_RUNTIMES");
        return dir && rt_lang_load(dir, &tree, &err) == 0 ? 0 : -1;
}

static int free_tree(void **state) {
        (void)state;
        tree = rt_lang_free(tree);
        return 0;
}

static struct retort_bytes bytes(const char *text) {
        return (struct retort_bytes){ text, strlen(text) };
}

/* ---- programs ---------------------------------------------------------------------------------- */

static void outlines_keep_declarations_only(void **state) {
        (void)state;
        static const struct {
                const char *text, *outline;
        } rows[] = {
                { "class A { void f(int x) { g(); } }", "class A { void f() ; }" },
                { "a // b {\nc /* d\n} */ e", "a c e" },
                { "x = \"{\"; y = '{'; z = '\\''; w = \"\\\"}\";", "x = ; y = ; z = ; w = ;" },
                { "s = \"\"\"\n { \" \\\"\"\" } \"\"\"; t", "s = ; t" },
                { "@A({1, 2}) class B {}", "@A() class B {}" },
                { "'open\nx", " x" },
                { "\"never closed", " " },
                { "/* never closed", " " },
                { "}}} a { b", "}}} a { b" },
                { "", "" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                char out[256] = { 0 };
                size_t n = rt_source_outline(rows[i].text, strlen(rows[i].text), out);
                assert_int_equal(n, strlen(rows[i].outline));
                assert_string_equal(out, rows[i].outline);
        }
}

#define MAIN "public static void main(String[] args) { }"

static void java_programs_tell_their_names(void **state) {
        (void)state;
        static const struct {
                const char *code, *file, *main;
        } rows[] = {
                { "public class Hello { " MAIN " }", "Hello", "Hello" },
                { "import java.util.*;\npublic final class Hello{" MAIN "}", "Hello", "Hello" },
                { "final public class Hello{" MAIN "}", "Hello", "Hello" },
                { "public abstract sealed class Hello permits X {" MAIN "}", "Hello", "Hello" },
                { "public record Point(int x, int y) {" MAIN "}", "Point", "Point" },
                { "public interface Run {static void main(String... a) {}}", "Run", "Run" },
                { "public enum E { A, B; " MAIN "}", "E", "E" },
                { "@SuppressWarnings({\"a\", \"class X {\"})\npublic class Hello<T extends Comparable<T>> "
                  "{" MAIN "}",
                  "Hello", "Hello" },
                { "// public class No {}\n/* public class No {} */ public class Yes { String s = \"public "
                  "class No {\"; " MAIN "}",
                  "Yes", "Yes" },
                { "class Helper { int f() { return 1; } }\nclass App { " MAIN " }", "App", "App" },
                { "class App { static class Inner { } " MAIN " }", "App", "App" },
                { "class App { static class Inner { " MAIN " } }", NULL, NULL },
                { "public class Shape { }\nclass App { " MAIN " }", "Shape", "App" },
                { "class App { static final void main(String args[]) throws Exception { } }\nclass B { " MAIN
                  " }",
                  "App", "App" },
                { "class A { void main() { } } class B { private static int domain(int x) { } " MAIN " }",
                  "B", "B" },
                { "class subclass { " MAIN " }", "subclass", "subclass" },
                { "class A { public static class B { } " MAIN " }", "A", "A" },
                { "package a.b;\npublic class Hello { " MAIN " }", "Hello", "a.b.Hello" },
                { "/* x */ package a . b; class C {" MAIN "}", "C", "C" },
                { "public class Gr\xc3\xb6\xc3\x9f"
                  "e { " MAIN " }",
                  "Gr\xc3\xb6\xc3\x9f"
                  "e",
                  "Gr\xc3\xb6\xc3\x9f"
                  "e" },
                { "int x = 1;", NULL, NULL },
                { "", NULL, NULL },
                { "public class", NULL, NULL },
        };
        const struct rt_runtime *java = rt_lang_find(tree, "java", NULL);
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                rt_auto_arena struct rt_arena arena = { 0 };
                struct retort_error err = { 0 };
                struct rt_source_names names;
                assert_int_equal(rt_source_names(java, bytes(rows[i].code), &arena, &names, &err), 0);
                const char *file = names.file ? names.file : "-";
                const char *main = names.main ? names.main : "-";
                if (strcmp(file, rows[i].file ? rows[i].file : "-") != 0 ||
                    strcmp(main, rows[i].main ? rows[i].main : "-") != 0)
                        fail_msg("row %zu: file %s, main %s: %s", i, file, main, rows[i].code);
        }
}

/* A program made to be hard to read must not take long: 2 s is far above what is needed, and far below
 * forever. */
static void hostile_programs_are_read_in_time(void **state) {
        (void)state;
        static const char *const parts[] = { "public ", "class A ", "static void ",     "{", "}", "\"",
                                             "/*",      "(",        "class A { static " };
        const struct rt_runtime *java = rt_lang_find(tree, "java", NULL);
        size_t size = 1 << 20;
        rt_auto_free char *text = malloc(size + 1);
        assert_non_null(text);
        for (size_t i = 0; i < RT_LEN(parts); i++) {
                for (size_t at = 0; at < size; at++)
                        text[at] = parts[i][at % strlen(parts[i])];
                rt_auto_arena struct rt_arena arena = { 0 };
                struct retort_error err = { 0 };
                struct rt_source_names names;
                uint64_t start = rt_now_ns();
                assert_int_equal(
                        rt_source_names(java, (struct retort_bytes){ text, size }, &arena, &names, &err), 0);
                uint64_t took = (rt_now_ns() - start) / 1000000;
                if (took > 2000)
                        fail_msg("'%s' again and again took %d ms", parts[i], (int)took);
        }
}

/* ---- diagnostics ------------------------------------------------------------------------------- */

struct wanted {
        const char *file;
        uint32_t line, column;
        const char *severity, *message;
};

static void expect_diagnostics(const char *language, const char *output, const struct wanted *wanted,
                               size_t n_wanted) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_error err = { 0 };
        const struct retort_diagnostic *found;
        size_t n;
        const struct rt_runtime *runtime = rt_lang_find(tree, language, &err);
        assert_int_equal(rt_lang_read_diagnostics(runtime, bytes(output), &arena, &found, &n, &err), 0);
        assert_int_equal(n, n_wanted);
        for (size_t i = 0; i < n; i++) {
                assert_string_equal(found[i].file, wanted[i].file);
                assert_int_equal(found[i].line, wanted[i].line);
                assert_int_equal(found[i].column, wanted[i].column);
                assert_string_equal(found[i].severity, wanted[i].severity);
                assert_string_equal(found[i].message, wanted[i].message);
        }
}

static void gcc_messages_are_read(void **state) {
        (void)state;
        /* captured from gcc 12.2: four runs, one after the other */
        static const char output[] =
                "main.c: In function \xe2\x80\x98main\xe2\x80\x99:\n"
                "main.c:3:16: error: \xe2\x80\x98x\xe2\x80\x99 undeclared (first use in this function)\n"
                "    3 |         return x;\n"
                "      |                ^\n"
                "main.c:3:16: note: each undeclared identifier is reported only once for each function it "
                "appears in\n"
                "main.c:2:13: warning: unused variable \xe2\x80\x98y\xe2\x80\x99 [-Wunused-variable]\n"
                "    2 |         int y;\n"
                "      |             ^\n"
                "b.c:1:10: fatal error: nope.h: No such file or directory\n"
                "    1 | #include \"nope.h\"\n"
                "      |          ^~~~~~~~\n"
                "compilation terminated.\n"
                "/usr/bin/ld: /tmp/ccNii1SP.o: in function `main':\n"
                "u.c:(.text.startup+0x2): undefined reference to `f'\n"
                "/usr/bin/ld: u.c:(.text.startup+0x9): undefined reference to `g'\n"
                "collect2: error: ld returned 1 exit status\n"
                "gcc: error: unrecognized command-line option \xe2\x80\x98-fnope\xe2\x80\x99\n";
        static const struct wanted wanted[] = {
                { "main.c", 3, 16, "error",
                  "\xe2\x80\x98x\xe2\x80\x99 undeclared (first use in this function)" },
                { "main.c", 3, 16, "note",
                  "each undeclared identifier is reported only once for each function it appears in" },
                { "main.c", 2, 13, "warning",
                  "unused variable \xe2\x80\x98y\xe2\x80\x99 [-Wunused-variable]" },
                { "b.c", 1, 10, "error", "nope.h: No such file or directory" },
                { "u.c", 0, 0, "error", "undefined reference to `f'" },
                { "u.c", 0, 0, "error", "undefined reference to `g'" },
                { "", 0, 0, "error", "unrecognized command-line option \xe2\x80\x98-fnope\xe2\x80\x99" },
        };
        expect_diagnostics("c", output, wanted, RT_LEN(wanted));
}

static void other_linkers_messages_are_read(void **state) {
        (void)state;
        /* captured from gold of binutils 2.40 without and with -g, and from mold 1.10 */
        static const char output[] = "/tmp/ccPEzKdg.o:u.c:function main: error: undefined reference to 'foo'\n"
                                     "u.c:1: error: undefined reference to 'g'\n"
                                     "/usr/bin/ld.gold: error: /tmp/ccRFITJ2.o: multiple definition of 'main'\n"
                                     "/usr/bin/ld.gold: /tmp/ccK7YVm4.o: previous definition here\n"
                                     "collect2: error: ld returned 1 exit status\n"
                                     "mold: error: undefined symbol: foo\n"
                                     ">>> referenced by u.c\n"
                                     ">>>               /tmp/cc947Knu.o:(main)\n";
        static const struct wanted wanted[] = {
                { "u.c", 0, 0, "error", "undefined reference to 'foo'" },
                { "u.c", 1, 0, "error", "undefined reference to 'g'" },
                { "", 0, 0, "error", "/tmp/ccRFITJ2.o: multiple definition of 'main'" },
                { "", 0, 0, "error", "undefined symbol: foo" },
        };
        expect_diagnostics("c", output, wanted, RT_LEN(wanted));
        static const struct wanted method[] = { { "u.cpp", 0, 0, "error", "undefined reference to 'B::g()'" } };
        expect_diagnostics("cpp", "/tmp/cc1.o:u.cpp:function A::f(): error: undefined reference to 'B::g()'\n", method, 1);
}

static void gxx_messages_are_read(void **state) {
        (void)state;
        /* captured from g++ 12.2, types and folder shortened: a bad type; a missing function without and with
         * -g */
        static const char output[] = "m.cpp:1:1: error: \xe2\x80\x98strin\xe2\x80\x99 does not name a type\n"
                                     "    1 | strin f();\n"
                                     "      | ^~~~~\n"
                                     "/usr/bin/ld: /tmp/cccWqdwQ.o: in function `main':\n"
                                     "v.cpp:(.text+0x37): undefined reference to `h(int)'\n"
                                     "collect2: error: ld returned 1 exit status\n"
                                     "/usr/bin/ld: /tmp/cciW43UI.o: in function `main':\n"
                                     "/work/v.cpp:3: undefined reference to `h(int)'\n"
                                     "collect2: error: ld returned 1 exit status\n";
        static const struct wanted wanted[] = {
                { "m.cpp", 1, 1, "error", "\xe2\x80\x98strin\xe2\x80\x99 does not name a type" },
                { "v.cpp", 0, 0, "error", "undefined reference to `h(int)'" },
                { "/work/v.cpp", 3, 0, "error", "undefined reference to `h(int)'" },
        };
        expect_diagnostics("cpp", output, wanted, RT_LEN(wanted));
        /* made up: a number too large, and bytes that are not UTF-8 */
        static const struct wanted odd[] = { { "m.cpp", 7, 0, "error", "with: colons: \xef\xbf\xbd" } };
        expect_diagnostics("cpp", "m.cpp:7:99999999999: error: with: colons: \xff\r\n", odd, 1);
}

static void javac_messages_are_read(void **state) {
        (void)state;
        /* captured from javac 17: three runs, one after the other */
        static const char output[] =
                "Main.java:3: error: cannot find symbol\n"
                "        int y = x;\n"
                "                ^\n"
                "  symbol:   variable x\n"
                "  location: class Main\n"
                "Main.java:4: error: method stop in class Thread cannot be applied to given types;\n"
                "\tt.stop(new Error());\n"
                "\t ^\n"
                "  required: no arguments\n"
                "  found:    Error\n"
                "  reason: actual and formal argument lists differ in length\n"
                "2 errors\n"
                "Main.java:7: error: class, interface, enum, or record expected\n"
                "}\n"
                "^\n"
                "1 error\n"
                "Main.java:2: warning: [removal] suspend() in Thread has been deprecated and marked for "
                "removal\n"
                "\tt.suspend();\n"
                "\t ^\n"
                "error: warnings found and -Werror specified\n"
                "1 error\n"
                "1 warning\n";
        static const struct wanted wanted[] = {
                { "Main.java", 3, 17, "error", "cannot find symbol" },
                { "Main.java", 4, 3, "error",
                  "method stop in class Thread cannot be applied to given types;" },
                { "Main.java", 7, 1, "error", "class, interface, enum, or record expected" },
                { "Main.java", 2, 3, "warning",
                  "[removal] suspend() in Thread has been deprecated and marked for removal" },
                { "", 0, 0, "error", "warnings found and -Werror specified" },
        };
        expect_diagnostics("java", output, wanted, RT_LEN(wanted));
}

static void rubbish_has_no_diagnostics(void **state) {
        (void)state;
        expect_diagnostics("c", "", NULL, 0);
        expect_diagnostics("c", "\n\n:::\nerror\n", NULL, 0);
        expect_diagnostics("python", "main.c:3:16: error: x\n", NULL, 0);
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_error err = { 0 };
        const struct retort_diagnostic *found;
        size_t n;
        const struct rt_runtime *c = rt_lang_find(tree, "c", &err);
        static const char nul[] = "a.c:1:2: error: x\0y";
        assert_int_equal(rt_lang_read_diagnostics(c, (struct retort_bytes){ nul, sizeof nul - 1 }, &arena,
                                                  &found, &n, &err),
                         0);
        assert_true(n <= 1);
        assert_int_equal(
                rt_lang_read_diagnostics(c, (struct retort_bytes){ NULL, 0 }, &arena, &found, &n, &err), 0);
        assert_int_equal(n, 0);
        static char many[RT_LANG_MAX_DIAGNOSTICS * 40];
        size_t size = 0;
        for (size_t i = 0; i < 2 * RT_LANG_MAX_DIAGNOSTICS; i++, size += 18)
                memcpy(many + size, "a.c:1:2: error: x\n", 18);
        assert_int_equal(
                rt_lang_read_diagnostics(c, (struct retort_bytes){ many, size }, &arena, &found, &n, &err),
                0);
        assert_int_equal(n, RT_LANG_MAX_DIAGNOSTICS);
}

/* ---- reports ----------------------------------------------------------------------------------- */

static void reports_are_read(void **state) {
        (void)state;
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_error err = { 0 };
        struct retort_guest_error error;
        assert_int_equal(
                rt_lang_read_error(
                        bytes("{\"name\": \"KeyError\", \"value\": \"'\\u00e9'\", \"traceback\": \"\"}"),
                        &arena, &error, &err),
                0);
        assert_string_equal(error.name, "KeyError");
        assert_string_equal(error.value, "'\xc3\xa9'");
        assert_string_equal(error.traceback, "");
}

static void rubbish_is_no_report(void **state) {
        (void)state;
        static const char *const rubbish[] = {
                "",
                "x",
                "{",
                "{}",
                "[]",
                "null",
                "\"name\"",
                "{\"name\": \"a\"}",
                "{\"name\": 1, \"value\": \"\", \"traceback\": \"\"}",
                "{\"name\": \"\", \"value\": \"\", \"traceback\": \"\"}",
                "{\"name\": \"a\", \"value\": null, \"traceback\": \"\"}",
                "{\"name\": \"a\", \"value\": \"\", \"traceback\": \"\", \"more\": 1}",
                "{\"name\": \"a\", \"name\": \"b\", \"value\": \"\", \"traceback\": \"\"}",
                "{\"name\": \"a\", \"value\": \"\", \"traceback\": \"\"} {}",
                "{\"name\": \"a\\u0000b\", \"value\": \"\", \"traceback\": \"\"}",
                "{\"name\": \"a\xff\", \"value\": \"\", \"traceback\": \"\"}",
                "{\"name\": \"\\ud800\", \"value\": \"\", \"traceback\": \"\"}",
        };
        rt_auto_arena struct rt_arena arena = { 0 };
        for (size_t i = 0; i < RT_LEN(rubbish); i++) {
                struct retort_error err = { 0 };
                struct retort_guest_error error = { .name = "left over" };
                assert_int_equal(rt_lang_read_error(bytes(rubbish[i]), &arena, &error, &err), 0);
                if (error.name)
                        fail_msg("taken for a report: %s", rubbish[i]);
        }
        size_t size = 4u << 20;
        rt_auto_free char *deep = malloc(size);
        assert_non_null(deep);
        memset(deep, '[', size);
        struct retort_guest_error error;
        assert_int_equal(rt_lang_read_error((struct retort_bytes){ deep, size }, &arena, &error, NULL), 0);
        assert_int_equal(rt_lang_read_error((struct retort_bytes){ deep, 200000 }, &arena, &error, NULL), 0);
        assert_null(error.name);
}

/* ---- texts ------------------------------------------------------------------------------------- */

static void utf8_has_one_spelling(void **state) {
        (void)state;
        static const struct {
                const char *text, *clean;
        } rows[] = {
                { "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", NULL },
                { "\xff", "\xef\xbf\xbd" },
                { "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
                { "\xe0\x80\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx" },
                { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
                { "a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd" },
                { "", NULL },
                { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        };
        rt_auto_arena struct rt_arena arena = { 0 };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                const char *text = rows[i].text;
                assert_int_equal(rt_text_is_utf8(text, strlen(text)), !rows[i].clean);
                assert_string_equal(rt_text_clean(&arena, text, strlen(text)),
                                    rows[i].clean ? rows[i].clean : text);
        }
        char euros[300];
        for (size_t i = 0; i < 297; i += 3)
                memcpy(euros + i, "\xe2\x82\xac", 3);
        euros[297] = 0;
        struct rt_text_shown shown = rt_text_show(euros);
        assert_true(rt_text_is_utf8(shown.text, strlen(shown.text)));
        assert_string_equal(shown.text + strlen(shown.text) - 3, "...");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(outlines_keep_declarations_only),
                cmocka_unit_test(java_programs_tell_their_names),
                cmocka_unit_test(hostile_programs_are_read_in_time),
                cmocka_unit_test(gcc_messages_are_read),
                cmocka_unit_test(gxx_messages_are_read),
                cmocka_unit_test(other_linkers_messages_are_read),
                cmocka_unit_test(javac_messages_are_read),
                cmocka_unit_test(rubbish_has_no_diagnostics),
                cmocka_unit_test(reports_are_read),
                cmocka_unit_test(rubbish_is_no_report),
                cmocka_unit_test(utf8_has_one_spelling),
        };
        return cmocka_run_group_tests(tests, load_tree, free_tree);
}
