# SPDX-License-Identifier: Apache-2.0
from languages import language

PYTHON = {
    "set": "x = 41",
    "get": ("x + 1", "42"),
    "print": ("print('hello')", "hello\n"),
    "print_err": ("import sys\nprint('oh', file=sys.stderr)", "oh\n"),
    "value": ("'bar'", "'bar'"),
    "nothing": "y = 1",
    "comment": "# nothing here",
    "html": ("from IPython.display import display, HTML\ndisplay(HTML('<b>bold</b>'))", "<b>bold</b>"),
    "display_between": ("from IPython.display import display, HTML\nprint('before')\ndisplay(HTML('<i>x</i>'))\nprint('after')", ["before\n", "<i>x</i>", "after\n"]),
    "error": ("{}['k']", "KeyError", "'k'"),
    "handled": ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    print('caught', e)", "caught division by zero\n"),
    "syntax_error": ("def f(:", "SyntaxError"),
    "sleep": "import time\ntime.sleep(60)",
    "spin": "while True: pass",
    "exit": ("import sys\nsys.exit(3)", 3),
    "subprocess": ("import subprocess\nsubprocess.run(['echo', 'child'], check=True);", "child\n"),
    "input": ("a = input('first? ')\nb = input()\nprint(a + '-' + b)", ["one", "two"], "one-two\n"),
    "input_eof": ("try:\n    input()\nexcept EOFError:\n    print('the end')", "the end"),
    "env": ("import os\nprint(os.environ.get('RETORT_TEST'))", "one two"),
    "cwd": "import os\nprint(os.getcwd())",
    "big": ("print('x' * 5_000_000)", 5_000_001),
    "many": ("from IPython.display import display\nfor i in range(3000): display(i)", 3000),
    "complete": ("import os\nos.path.exis", "import os\nos.path.exists"),
    "inspect": ("len", "number of items"),
    "await": ("import asyncio\nawait asyncio.sleep(0.01)\nprint('slept')", "slept\n"),
    "library": ("import pandas\nprint(pandas.Series([1, 2]).sum())", "3\n"),
    "unicode": ("print('é€😀')", "é€😀\n"),
    "stack": ("def inner():\n    raise ValueError('deep')\ndef outer():\n    inner()\nouter()", ["ValueError", "deep", "inner", "outer"], ["ipykernel", "interactiveshell"]),
}

language("ipykernel", **PYTHON)
