/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a cell ends, as the prompt guesses it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "repl/repl.h"

static void open_brackets_and_texts_want_more(void **state) {
        (void)state;
        static const struct {
                const char *language, *text;
                bool more;
        } rows[] = {
                { "python", "1 + 1", false },
                { "python", "x = (1,", true },
                { "python", "x = (1,\n2)", false },
                { "python", "if x:", true },
                { "python", "if x:\n  y", true },
                { "python", "if x:\n  y\n", false },
                { "python", "@decorator", true },
                { "python", "x = '('", false },
                { "python", "x = \"\"\"", true },
                { "python", "x = \"\"\"\na\n\"\"\"", false },
                { "python", "x = '''it's", true },
                { "python", "x = 1 # (", false },
                { "python", "x = {'a:': 1}", false },
                { "python", "x = 1 + \\", true },
                { "javascript", "function f() {", true },
                { "javascript", "function f() {\n}", false },
                { "javascript", "x = `a", true },
                { "javascript", "x = '// {'", false },
                { "javascript", "x // {", false },
                { "java", "class A {", true },
                { "java", "int x = 1;", false },
                { "bash", "echo 'a", true },
                { "bash", "echo `date`", false },
                { "r", "f <- function(x) {", true },
                { "r", "x <- \"a\nb\"", false },
                { "toy", "it = 5", false },
                { "python", "", false },
                { "python", ")", false },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++)
                if (rt_repl_wants_more(rows[i].language, rows[i].text) != rows[i].more)
                        fail_msg("%s: %s", rows[i].language, rows[i].text);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(open_brackets_and_texts_want_more) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
