# SPDX-License-Identifier: Apache-2.0
"""Jupyter kernels in boxes. What their runner does without a box is in tests/runner-conformance."""

import threading

import pytest

from library import Refused

# language: set x, show x + 1 as text, print the directory and what is in it, sleep, a line that is printed
KERNELS = {
    "ipykernel": ("x = 41", "x + 1", "42", "import os\nprint(os.getcwd(), os.listdir())", "/work []\n", "while True: pass"),
    "irkernel": ("x <- 41", "x + 1", "[1] 42", "cat(getwd(), length(list.files()), '\\n')", "/work 0 \n", "while (TRUE) {}"),
    "xpython": ("x = 41", "x + 1", "42", "import os\nprint(os.getcwd(), os.listdir())", "/work []\n", None),
    "deno": ("let x = 41", "x + 1", "42", "console.log(Deno.cwd(), [...Deno.readDirSync('.')].length)", "/work 0\n", "while (true) {}"),
}


@pytest.fixture(params=KERNELS)
def kernel(request, engine, opened):
    try:
        return opened(engine.open(request.param)), *KERNELS[request.param]
    except Refused as refusal:
        if "is not installed" in str(refusal):
            pytest.skip(str(refusal))
        raise


def test_a_kernel_in_a_box(kernel):
    context, put, get, text, where, here, spin = kernel
    first = context.run(put)
    assert (first["status"], first["stdout"], first["stderr"], first["items"]) == ("ok", "", "", [])
    second = context.run(get)
    assert [(item["text"], item["is_main_result"]) for item in second["items"]] == [(text, True)]
    assert second["execution_count"] == 2
    assert context.run(where)["stdout"] == here
    if spin:
        timer = threading.Timer(1, context.interrupt)
        timer.start()
        ended = context.run(spin)
        timer.join()
        assert ended["status"] == "cancelled" and ended["context_state"] == "idle"
        assert context.run(get)["items"][0]["text"] == text
