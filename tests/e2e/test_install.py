# SPDX-License-Identifier: Apache-2.0
"""What is installed is enough: examples/embed.c is built against the installed header, library and pkg-config file
alone, and runs; the man page and the completion are there."""
import json
import os
import subprocess

import pytest
from conftest import BUILD, ROOT, environment


def sh(*words, env=None, cwd=None):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=300, cwd=cwd,
                          env={**os.environ, **(env or {})})


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    done = sh("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def find(folder, name):
    found = [path for path in folder.rglob(name)]
    assert found, f"{name} is not installed"
    return found[0]


@pytest.fixture(scope="module")
def embed(installed, tmp_path_factory):
    pc = find(installed, "retort.pc")
    flags = sh("pkg-config", "--cflags", "--libs", "retort",
               env={"PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(installed)})
    assert flags.returncode == 0, flags.stderr
    program = tmp_path_factory.mktemp("embed") / "embed"
    options = {one["name"]: one["value"] for one in json.loads(sh("meson", "introspect", "--buildoptions", BUILD).stdout)}
    sanitized = [] if options["b_sanitize"] == "none" else ["-fsanitize=" + options["b_sanitize"]]
    done = sh("cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", ROOT / "examples" / "embed.c",
              *flags.stdout.split(), *sanitized, "-o", program)
    assert done.returncode == 0, done.stderr
    library = find(installed, "libretort.so*").parent

    def run(*words):
        env = environment(LD_LIBRARY_PATH=str(library))
        return subprocess.run([str(program), *words], env=env, capture_output=True, text=True, timeout=60)

    return run


def test_embed_runs_a_program(embed):
    done = embed("python", "print(6 * 7)")
    assert done.returncode == 0 and done.stdout == "42\n", done
    assert done.stderr.startswith("ok ("), done


def test_embed_tells_a_guests_failure_from_an_error(embed):
    done = embed("python", "raise SystemExit(3)")
    assert done.returncode == 0 and done.stderr.startswith("nonzero ("), done
    done = embed("klingon", "x")
    assert done.returncode == 1 and "klingon" in done.stderr, done


def test_embed_cancels(embed):
    done = embed("python", "import time\ntime.sleep(60)")
    assert done.returncode == 0 and done.stderr.startswith("cancelled ("), done


def test_headers_are_plain_c_and_cxx(installed, tmp_path):
    header = find(installed, "retort.h")
    for compiler, suffix, standard in (("cc", "c", "-std=c11"), ("c++", "cc", "-std=c++17")):
        source = tmp_path / f"try.{suffix}"
        source.write_text("#include <retort.h>\nint main(void) { return RETORT_VERSION[0] == 0; }\n")
        done = sh(compiler, standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", header.parent, "-c", source,
                  "-o", tmp_path / "try.o")
        assert done.returncode == 0, done.stderr


def test_man_page_and_completion_are_installed(installed):
    assert find(installed, "retort.1*").stat().st_size > 1000
    script = find(installed, "retort.bash")
    assert "complete -o filenames" in script.read_text()


def test_runtimes_are_installed(installed):
    assert find(installed, "runtime.yaml")
