# SPDX-License-Identifier: Apache-2.0
"""Guests that are forks of a frozen Node, R or Java, or a Ruby or PHP that was started ahead, one after the other: the second
finds nothing of the first, has random numbers of its own, and an interpreter that is killed is replaced. test_next_guest.py says
more of Python's. Of C the compiler is a fork, and its programs are started in the same slots.
"""
import ctypes
import json
import os
import re
import shutil
import signal
import time

import pytest

import test_next_guest
from conftest import RUNTIMES_DIR, eventually
from test_next_guest import Engine, keeper_of

# What a guest does through a shell: %s is a script without quotes of its own.
THROUGH_SHELL = {
    "python": "import subprocess\nprint(subprocess.run(['/bin/sh', '-c', '''%s'''], capture_output=True, text=True).stdout, end='')",
    "javascript": "process.stdout.write(require('child_process').execFileSync('/bin/sh', ['-c', `%s`]))",
    "r": "cat(system2('/bin/sh', c('-c', shQuote('%s')), stdout = TRUE), sep = '\\n')",
    "java": 'public class Main { public static void main(String[] a) throws Exception { System.out.print(new String('
            'new ProcessBuilder("/bin/sh", "-c", "%s").start().getInputStream().readAllBytes())); } }',
    "ruby": "IO.popen(['/bin/sh', '-c', '%s']) { |io| print io.read }",
    "php": "<?php echo shell_exec(<<<'X'\n%s\nX);",
    "c": '// /proc: so that it is compiled each time\n#include <unistd.h>\nint main(void) { execl("/bin/sh", "sh", "-c", "%s", (char *)0); return 1; }\n',
}
LEAVES = ("for d in /work /tmp /dev/shm; do mkdir -p $d/deep/er; echo x > $d/left; ln -s / $d/deep/link; done; chmod 0 /tmp/deep; "
          "ipcmk -M 4096 >/dev/null; ipcmk -Q >/dev/null; ipcmk -S 1 >/dev/null; setsid sleep 100 >/dev/null 2>&1 </dev/null & echo left")
FINDS = ("for d in /work /tmp /dev/shm; do ls -A $d | grep -v Rtmp; done; ipcs -m -q -s | grep ^0x; set -- /proc/[0-9]*; echo $#; "
         "cat /proc/*/comm | grep sleep; echo found")

# Leaves no process and no file: the box serves again.
SPOILS = {
    "javascript": ("Array.prototype.left = 1; globalThis.left = 2; JSON.stringify = () => 'spoilt'; require('fs').left = 3; process.env.LEFT = 'x';"
                   "process.left = 4; Object.freeze(Math); console.log('spoilt')",
                   "console.log([].left, typeof left, JSON.stringify([1]), require('fs').left, process.env.LEFT, process.left, Object.isFrozen(Math))",
                   "undefined undefined [1] undefined undefined undefined false\n"),
    "r": ("left <- 1; Sys.setenv(LEFT = 'x'); options(left = 2); set.seed(1); unlockBinding('pi', baseenv()); assign('pi', 3, baseenv()); cat('spoilt\\n')",
          "cat(exists('left'), Sys.getenv('LEFT'), is.null(getOption('left')), exists('.Random.seed'), pi > 3, '\\n')", "FALSE  TRUE FALSE TRUE \n"),
    "java": ("public class Main { public static void main(String[] a) { System.setProperty(\"left\", \"x\"); java.util.Locale.setDefault(java.util.Locale.FRANCE);"
             " Thread.setDefaultUncaughtExceptionHandler(null); System.out.println(\"spoilt\"); } }",
             "public class Main { public static void main(String[] a) { System.out.println(System.getProperty(\"left\") + java.util.Locale.getDefault() + new java.io.File(\"Main$1.class\").exists()); } }",
             "nullenfalse\n"),
    "ruby": ("class Array; def left = 1; end; $left = 2; LEFT = 3; ENV['LEFT'] = 'x'; srand(1); Math.freeze; def puts(*) = print('spoilt'); require 'json'; print \"spoilt\\n\"",
             "p [].respond_to?(:left), $left, defined?(LEFT), ENV['LEFT'], Math.frozen?, defined?(JSON)", "false\nnil\nnil\nnil\nfalse\nnil\n"),
    "php": ("<?php define('LEFT', 1); function left() {} class Left {} putenv('LEFT=x'); ini_set('precision', '3'); mt_srand(1); setlocale(LC_ALL, 'C'); $GLOBALS['left'] = 1; echo \"spoilt\\n\";",
            "<?php var_dump(defined('LEFT'), function_exists('left'), class_exists('Left'), getenv('LEFT'), ini_get('precision'), isset($left));", 'bool(false)\nbool(false)\nbool(false)\nbool(false)\nstring(2) "14"\nbool(false)\n'),
}
RANDOM = {
    "python": "import random, os, uuid, secrets\nprint(random.random(), uuid.uuid4(), secrets.token_hex(8), os.urandom(4))",
    "javascript": "const vm = require('vm'), c = require('crypto'), { Worker } = require('worker_threads');"
                  "console.log(Math.random(), vm.runInNewContext('Math.random()'), vm.runInContext('Math.random()', vm.createContext()), c.randomBytes(8).toString('hex'),"
                  "c.randomUUID(), crypto.randomUUID(), c.randomInt(2 ** 47), Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex'));"
                  "for (let i = 0; i < 2; i++) new Worker(\"const p = require('worker_threads').parentPort; p.postMessage(Math.random() + ' ' + require('crypto').randomUUID())\", { eval: true }).on('message', (m) => console.log(m))",
    "r": "cat(runif(2), rnorm(1), paste(sample(1000), collapse = ','), '\\n')",
    "java": "public class Main { public static void main(String[] a) { System.out.println(Math.random() + \" \" + new java.util.Random().nextLong() + \" \" + java.util.UUID.randomUUID()"
            " + \" \" + new java.security.SecureRandom().nextLong() + \" \" + java.util.concurrent.ThreadLocalRandom.current().nextLong() + \" \" + new java.util.SplittableRandom().nextLong()); } }",
    "ruby": "require 'securerandom'; puts rand, Random.new.rand, Random.new_seed, SecureRandom.hex, [*1..1000].shuffle.join(','), 'a'.hash, Object.new.hash",
    "php": "<?php echo mt_rand(), ' ', mt_getrandmax() * lcg_value(), ' ', random_int(0, PHP_INT_MAX), ' ', uniqid('', true), ' ', bin2hex(random_bytes(8)), ' ', str_shuffle(str_repeat('abcdefgh', 9));",
    "c": '// /proc\n#include <stdio.h>\n#include <sys/auxv.h>\nint main(void) { unsigned long *x = (void *)getauxval(AT_RANDOM); printf("%lx %lx %p %p\\n", x[0], x[1], (void *)&x, (void *)main); return 0; }\n',
}
POOLED = {"ruby": "ruby", "php": "php"}  # and what its process is called
WARM = ("fork", "parked", "pool")
HELLO = {"ruby": "puts 1", "php": "<?php echo \"1\\n\";",
         "python": "print(1)", "javascript": "console.log(1)", "r": "cat('1\\n')",
         "java": "public class Main { public static void main(String[] a) { System.out.println(1); } }",
         "c": '// /proc\n#include <stdio.h>\nint main(void) { puts("1"); return 0; }\n'}
LANGUAGES = tuple(HELLO)


@pytest.fixture(scope="module")
def quick_runtimes(tmp_path_factory):
    """Interpreters that do little before they are frozen."""
    folder = tmp_path_factory.mktemp("runtimes") / "runtimes"
    shutil.copytree(RUNTIMES_DIR, folder)
    for described in folder.glob("*/runtime.yaml"):
        text = re.sub(r"(?m)^  preload: \[.*\]$", "  preload: []", described.read_text())
        described.write_text(text.replace("    - Warm\n", "    - Warm\n    - 2\n"))
    folder.parent.chmod(0o755)
    return folder


def open_frozen(corner, language, runtimes, installed):
    if missing := installed[language]:
        pytest.skip(f"toolchain not installed: {missing}")
    test_next_guest.RUNTIMES_DIR, kept = runtimes, test_next_guest.RUNTIMES_DIR
    try:
        opened = Engine(corner.scratch, warm=language.encode())
    finally:
        test_next_guest.RUNTIMES_DIR = kept
    opened.language = language
    opened.must(opened.lib.retort_engine_warm(opened.handle, language.encode(), 120000, ctypes.byref(opened.err)))
    assert eventually(lambda: opened.run(HELLO[language], language=language)["start"] == ("pool" if language in POOLED else "parked"), 20)
    return opened


@pytest.fixture(params=LANGUAGES)
def engine(request, corner, host_unchanged, quick_runtimes, installed_languages):
    opened = open_frozen(corner, request.param, quick_runtimes, installed_languages)
    yield opened
    opened.close()


def through_shell(language, script):
    return THROUGH_SHELL[language] % script


def test_the_next_fork_finds_nothing(engine, corner):
    language = engine.language
    fresh = engine.run(through_shell(language, FINDS), language=language)
    assert fresh["status"] == "ok" and fresh["stdout"].endswith("found\n"), fresh
    time.sleep(1)
    keepers = keeper_of(corner)
    first = engine.run(through_shell(language, LEAVES), language=language)
    assert (first["status"], first["stdout"]) == ("ok", "left\n"), first
    time.sleep(1)
    assert keeper_of(corner) == keepers, "meant to be the same slots, made as new"
    second = engine.run(through_shell(language, FINDS), language=language)
    assert (second["status"], second["stdout"]) == ("ok", fresh["stdout"]), second
    assert {one["start"] for one in (fresh, first, second)} <= set(WARM)


def test_a_fork_spoils_its_own_memory_only(engine):
    if engine.language not in SPOILS:
        pytest.skip("test_next_guest.py does it, or there is no such memory")
    spoils, asks, expected = SPOILS[engine.language]
    before = engine.run(asks, language=engine.language)
    assert before["stdout"] == expected, before
    assert engine.run(spoils, language=engine.language)["stdout"] == "spoilt\n"
    for _ in range(3):
        after = engine.run(asks, language=engine.language)
        assert after["stdout"] == expected and after["start"] in WARM, after


def test_forks_have_random_numbers_of_their_own(engine):
    seen = set()
    for _ in range(8):
        done = engine.run(RANDOM[engine.language], language=engine.language)
        assert done["status"] == "ok" and done["start"] in WARM, done
        words = done["stdout"].split()
        assert len(set(words)) == len(words)
        assert not seen & set(words)
        seen |= set(words)


def frozen_of(corner):
    """The frozen interpreter: of all that is below us the only one that the jailer has started as another user."""
    found = []
    for pid, what in corner.descendants().items():
        try:
            with open(f"/proc/{pid}/stat") as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{parent}/comm") as comm:
                if comm.read().strip() == "retort-jailer" and "retort" not in what:
                    found.append(pid)
        except OSError:
            continue
    return found


def test_a_frozen_interpreter_that_is_killed_is_replaced(engine, corner):
    language = engine.language
    if language in POOLED:
        pytest.skip("there is none")
    frozen = frozen_of(corner)
    assert len(frozen) == 1, corner.descendants()
    os.kill(frozen[0], signal.SIGKILL)
    for _ in range(10):
        done = engine.run(HELLO[language], language=language)
        assert (done["status"], done["stdout"]) == ("ok", "1\n"), done
    assert eventually(lambda: frozen_of(corner) not in ([], frozen), 60)

    def parked():
        done = engine.run(HELLO[language], language=language)
        assert (done["status"], done["stdout"]) == ("ok", "1\n"), done
        return done["start"] == "parked"
    assert eventually(parked, 60)


def waiting(corner, language):
    """Interpreters of this language that wait for a program."""
    return {pid for pid, what in corner.descendants().items() if f"({POOLED[language]})" in what}


def test_one_that_waits_and_is_killed_is_replaced(engine, corner):
    """No request fails for it, and none is told of the end of something that never was its own."""
    language = engine.language
    if language not in POOLED:
        pytest.skip("none waits")
    for _ in range(3):
        assert eventually(lambda: waiting(corner, language), 20)
        time.sleep(1)  # until they wait
        for pid in waiting(corner, language):
            os.kill(pid, signal.SIGKILL)
        done = engine.run(HELLO[language], language=language)
        assert (done["status"], done["stdout"]) == ("ok", "1\n"), done
    assert eventually(lambda: engine.run(HELLO[language], language=language)["start"] == "pool", 20)


def test_one_that_waits_serves_once(engine, corner):
    language = engine.language
    if language not in POOLED:
        pytest.skip("none waits")
    tell = {"ruby": "puts Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) && $$, File.stat('/proc/self').ino, File.read('/proc/self/stat').split[21]",
            "php": "<?php echo getmypid(), ' ', preg_split('/ /', file_get_contents('/proc/self/stat'))[21];"}[language]
    seen = set()
    for _ in range(6):
        done = engine.run(tell, language=language)
        assert done["status"] == "ok" and done["start"] in WARM, done
        begun = done["stdout"].split()[-1]
        assert begun not in seen
        seen.add(begun)


def test_fifty_of_them_leave_no_descriptor_and_no_process(engine, corner):
    language = engine.language
    if language not in POOLED:
        pytest.skip("none waits")

    def held():
        return len(os.listdir("/proc/self/fd")), len(corner.descendants())

    def ready():
        return eventually(lambda: len(waiting(corner, language)) == 1, 20)
    engine.run(HELLO[language], language=language)
    assert ready()
    before = held()
    for _ in range(50):
        assert engine.run(HELLO[language], language=language)["status"] == "ok"
    assert ready() and eventually(lambda: held() == before, 20), (before, held())


def test_what_it_used_before_it_had_a_program_is_not_charged(engine):
    """A Ruby takes 40 ms to start and PHP 12; a program that waits for none of it hardly anything."""
    language = engine.language
    if language not in POOLED:
        pytest.skip("none waits")
    cold = engine.run(HELLO[language], language=language, env={"LC_ALL": "C.UTF-8"})
    pool = engine.run(HELLO[language], language=language)
    assert (cold["start"], pool["start"]) == ("cold", "pool")
    assert pool["usage"]["cpu_ms"] < cold["usage"]["cpu_ms"] / 2
    assert pool["usage"]["peak_memory_bytes"] > 1 << 20, "what it holds is its own"
    assert engine.run({"ruby": "loop {}", "php": "<?php for (;;);"}[language], language=language, limits={"cpu_ms": 200})["status"] == "cpu_limit"


def test_an_interpreter_that_cannot_be_started_ahead_says_why(corner, host_unchanged, quick_runtimes, installed_languages, tmp_path):
    if missing := installed_languages["ruby"]:
        pytest.skip(f"toolchain not installed: {missing}")
    folder = tmp_path / "runtimes"
    shutil.copytree(quick_runtimes, folder)
    tmp_path.chmod(0o755)
    (folder / "ruby" / "warm.rb").write_text("abort 'not today'\n")
    test_next_guest.RUNTIMES_DIR, kept = folder, test_next_guest.RUNTIMES_DIR
    try:
        opened = Engine(corner.scratch, warm=b"ruby")
    finally:
        test_next_guest.RUNTIMES_DIR = kept
    try:
        with pytest.raises(RuntimeError, match="could not be started ahead: not today"):
            opened.must(opened.lib.retort_engine_warm(opened.handle, b"ruby", 30000, ctypes.byref(opened.err)))
        done = opened.run("puts 1", language="ruby")
        assert (done["start"], done["status"]) == ("cold", "ok"), done
        out = ctypes.c_char_p()
        opened.must(opened.lib.retort_engine_languages(opened.handle, ctypes.byref(out), ctypes.byref(opened.err)))
        warm = {one["name"]: one["warm"] for one in json.loads(out.value)}["ruby"]
        assert warm["state"] == "failed" and "not today" in warm["reason"], warm
    finally:
        opened.close()


def test_an_interpreter_that_cannot_be_frozen_says_why(corner, host_unchanged, quick_runtimes, installed_languages, tmp_path):
    """It is refused, its programs run all the same, and who asks is told."""
    if missing := installed_languages["javascript"]:
        pytest.skip(f"toolchain not installed: {missing}")
    folder = tmp_path / "runtimes"
    shutil.copytree(quick_runtimes, folder)
    tmp_path.chmod(0o755)
    with open(folder / "javascript" / "warm.cjs", "a") as script:
        script.write("\nfs.openSync('/tmp/gone', 'w+'); fs.unlinkSync('/tmp/gone');\n")
    test_next_guest.RUNTIMES_DIR, kept = folder, test_next_guest.RUNTIMES_DIR
    try:
        opened = Engine(corner.scratch, warm=b"javascript")
    finally:
        test_next_guest.RUNTIMES_DIR = kept
    try:
        with pytest.raises(RuntimeError, match="would be shared|ended"):
            opened.must(opened.lib.retort_engine_warm(opened.handle, b"javascript", 60000, ctypes.byref(opened.err)))
        done = opened.run("console.log(1)", language="javascript")
        assert (done["start"], done["status"]) == ("cold", "ok"), done
        out = ctypes.c_char_p()
        opened.must(opened.lib.retort_engine_languages(opened.handle, ctypes.byref(out), ctypes.byref(opened.err)))
        warm = {one["name"]: one["warm"] for one in json.loads(out.value)}["javascript"]
        assert warm["state"] in ("failed", "starting") and warm["reason"], warm
    finally:
        opened.close()
