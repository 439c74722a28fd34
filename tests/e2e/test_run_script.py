# SPDX-License-Identifier: Apache-2.0
"""./run: from any directory, with nothing of its own in the program's output, and silent when there is nothing to do."""
import os
import subprocess

from conftest import ROOT


def run(*words, cwd=ROOT, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RETORT_")}
    return subprocess.run([str(ROOT / "run"), *words], capture_output=True, text=True, timeout=600, cwd=cwd,
                          stdin=subprocess.DEVNULL, env={**clean, **env})


def test_alone_it_shows_what_can_be_done():
    done = run()
    assert done.returncode == 0 and "./run FILE" in done.stdout and "./test" in done.stdout, done


def test_a_word_is_a_command():
    assert run("version").stdout == run("--version").stdout
    done = run("docter")
    assert done.returncode == 125 and "did you mean doctor?" in done.stderr, done


def test_a_file_is_run_from_any_directory(tmp_path):
    (tmp_path / "args.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(5)\n")
    done = run("args.py", "--", "a", "b", cwd=tmp_path)
    assert done.returncode == 5 and done.stdout == "['a', 'b']\n", done
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("retort: nonzero"), done


def test_options_come_first_too():
    done = run("-q", "-l", "python", "-c", "print(6 * 7)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", ""), done
