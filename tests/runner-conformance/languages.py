# SPDX-License-Identifier: Apache-2.0
"""What the generic tests say in each language. A runner that has no entry here is not conformant.

Each value is a cell, or (cell, what it must give). Keys that a language cannot have are left out, and test_conformance.py says
"not in this language" for them; the keys of NEEDED may not be.
"""

NEEDED = {"set", "get", "print", "print_err", "nothing", "error", "syntax_error", "sleep", "spin", "exit", "subprocess", "env", "cwd", "html"}

LANGUAGES = {}


def language(name, **cells):
    """set: gives a variable x the value 41. get: (cell, text) whose main item's text shows x + 1; in a language without values it prints that.
    print: (cell, text) that writes text to stdout; print_err: the same to stderr.
    value: (cell, text) whose last expression is shown as text. nothing: a cell without a value. comment: only a comment.
    html: (cell, html) that displays html. display_between: (cell, [before, html, after]): prints, displays, prints.
    error: (cell, name, part of value). handled: (cell, text): an error that is caught, then text is printed.
    syntax_error: (cell, name). sleep: sleeps 60 s, in the interpreter's own way. spin: an endless loop that computes.
    interrupt_kills: True: an interrupt ends the interpreter, and the runner with it. exit: (cell, code). subprocess: (cell, text): a child writes text to stdout.
    input: (cell, [lines], text): reads the lines, prints text. input_eof: (cell, text): reads at the end of file.
    env: (cell, text) that prints the variable RETORT_TEST; cwd: a cell that prints the directory.
    big: (cell, length) whose stdout is that long. many: (cell, n): displays n items.
    complete: (code, one of the matches). inspect: (code, part of the text).
    await: (cell, text): top-level await. library: (cell, text): imports something usual.
    unicode: (cell, text). stack: (cell, words that must be in the traceback, words that must not be)."""
    missing = NEEDED - set(cells)
    assert not missing, f"{name}: {missing}"
    LANGUAGES[name] = cells
