# SPDX-License-Identifier: Apache-2.0
from languages import language

language(
    "irkernel",
    set="x <- 41",
    get=("x + 1", "[1] 42"),
    print=("cat('hello\\n')", "hello\n"),
    print_err=("message('oh')", "oh\n\n"),  # it ends a message once more
    value=("'bar'", "[1] \"bar\""),
    nothing="y <- 1",
    comment="# nothing here",
    html=("IRdisplay::display_html('<b>bold</b>')", "<b>bold</b>"),
    display_between=("cat('before\\n')\nIRdisplay::display_html('<i>x</i>')\ncat('after\\n')", ["before\n", "<i>x</i>", "after\n"]),
    error=("stop('no such thing')", "ERROR", "no such thing"),  # IRkernel names all of them so
    handled=("tryCatch(stop('x'), error = function(e) cat('caught', conditionMessage(e), '\\n'))", "caught x \n"),
    syntax_error=("f <- function( {", "ERROR"),
    sleep="Sys.sleep(60)",
    spin="while (TRUE) {}",
    exit=("q(status = 3)", 3),
    subprocess=("invisible(system('echo child'))", "child\n"),
    input=("a <- readline('first? ')\nb <- readline()\ncat(a, '-', b, '\\n', sep = '')", ["one", "two"], "one-two\n"),
    input_eof=("cat('[', readline(), ']\\n', sep = '')", "[]"),  # as R's own at the end of its input
    env=("cat(Sys.getenv('RETORT_TEST'), '\\n', sep = '')", "one two"),
    cwd="cat(getwd(), '\\n', sep = '')",
    big=("cat(strrep('x', 5000000), '\\n', sep = '')", 5_000_001),
    many=("for (i in 1:3000) IRdisplay::display_html('x')", 3000),
    complete=("Sys.gete", "Sys.getenv"),
    inspect=("nchar", "nchar"),
    library=("library(stats)\ncat(sd(c(1, 2, 3)), '\\n')", "1 \n"),
    unicode=("cat('é€😀\\n')", "é€😀\n"),
    stack=("inner <- function() stop('deep')\nouter <- function() inner()\nouter()", ["deep", "inner", "outer"], ["IRkernel", "evaluate"]),
)
