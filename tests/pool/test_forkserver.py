# SPDX-License-Identifier: Apache-2.0
"""Forked interpreters behave as those that are started cold, one after the other and many at once.

Each program is run as runtime.yaml starts it, and in a fork of an interpreter that its warm-up script has made warm; exit
code, stdout, stderr and report must be the same. No sandbox is involved. RETORT_SOAK says how many forks the soaks make.

    RETORT_BUILD=$PWD/build /usr/bin/python3 -m pytest tests/pool
"""

import os
import shutil
import subprocess
import threading

import pytest

from forkserver import LIBRARY, RUNTIMES, ForkServer

SOAK = int(os.environ.get("RETORT_SOAK", "40"))
IMAGE = os.environ.get("RETORT_IMAGE", "")  # a folder on a tmpfs with huge pages, or nothing for a memfd
PATH = "/usr/local/bin:/usr/bin:/bin"

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="tests/pool/testserver.so is not built")


def which(program):
    found = shutil.which(program, path=PATH)
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


class Runtime:
    """A warm interpreter, and the command that starts the same one cold."""

    def __init__(self, folder, warm, cold, file, warm_env=None, cold_env=None, main=None):
        self.folder, self.cold, self.file, self.cold_env = folder, cold, file, cold_env or {}
        self.env = {"PATH": PATH, "LANG": "C.UTF-8", "USER": "guest", "HOME": str(folder), "TMPDIR": str(folder)}
        self.server = ForkServer(warm, folder, self.env | (warm_env or {}), main=main, image=IMAGE)

    def write(self, code, file=None):
        (self.folder / (file or self.file)).write_text(code)

    def start(self, *args, env=None, stdin=b""):
        return self.server.start(args or [self.file], self.folder, self.env | self.cold_env | (env or {}), stdin)

    def run(self, *args, **more):
        return self.start(*args, **more).done()

    def run_cold(self, *args, env=None, stdin=b"", command=None):
        reader, writer = os.pipe()
        chunks = []

        def drain():
            while chunk := os.read(reader, 65536):
                chunks.append(chunk)

        thread = threading.Thread(target=drain)
        thread.start()
        done = subprocess.run([*(command or self.cold), *(args or [self.file])], cwd=self.folder,
                              env=self.env | self.cold_env | (env or {}), input=stdin, capture_output=True, timeout=60,
                              preexec_fn=lambda: os.dup2(writer, 3), close_fds=False)
        os.close(writer)
        thread.join()
        os.close(reader)
        return done.returncode, done.stdout.decode(), done.stderr.decode(), b"".join(chunks).decode()

    def check(self, code, *args, file=None, **more):
        self.write(code, file)
        words = [file or self.file, *args]
        cold = self.run_cold(*words, **more)
        assert self.run(*words, **more) == cold
        return cold

    def close(self):
        self.server.close()


def soak(runtime, count, at_once, args=(), expected=None):
    """Runs the same program many times; how long the median took, in seconds."""
    times, running = [], []
    for i in range(count + at_once):
        if i < count:
            running.append(runtime.start(*args))
        if len(running) >= at_once or i >= count:
            if running:
                fork = running.pop(0)
                result = fork.done()
                if callable(expected):
                    expected(result)
                else:
                    assert result == expected
                times.append(fork.took)
    assert len(times) == count
    return sorted(times)[count // 2]


# ---- JavaScript -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    base = [which("node"), "--max-old-space-size=384", "--require"]
    runtime = Runtime(tmp_path_factory.mktemp("node"), [*base, f"{RUNTIMES}/javascript/warm.cjs", "main.js"],
                      [*base, f"{RUNTIMES}/javascript/hook.cjs"], "main.js")
    yield runtime
    runtime.close()


NODE = {
    "hello": "console.log('hello')",
    "object": "console.log({ a: [1, { b: 2 }], c: new Map([[1, 2]]) }); console.error('e')",
    "arguments": "console.log(process.argv, process.execArgv, process.argv0, module.id, require.main === module, __filename)",
    "environment": "console.log(process.env, require('child_process').execSync('env | sort').toString())",
    "requires": "console.log(Object.keys(require.cache).length, module.paths, module.children.length)",
    "globals": "console.log(Object.getOwnPropertyNames(globalThis).join())",
    "trace": "console.trace('here'); function f() { return new Error('x').stack } console.log(f())",
    "throw": "function f() { null.x }\nf()",
    "syntax": "let x = ;",
    "throw words": "throw 'words'",
    "reject": "Promise.reject(new RangeError('late'))",
    "late": "setTimeout(() => { throw new Error('a\\u00e9\"') }, 1)",
    "async throw": "(async () => { await 1; throw new Error('async') })()",
    "in a worker": "new (require('worker_threads').Worker)('throw new Error(\"in worker\")', { eval: true })",
    "exit": "process.on('exit', (c) => console.log('exit', c)); process.exit(3)",
    "exit code": "process.exitCode = 4",
    "abort": "process.kill(process.pid, 'SIGKILL')",
    "signal": "process.on('SIGUSR2', () => { console.log('usr2'); process.exit() }); setTimeout(() => {}, 5000); process.kill(process.pid, 'SIGUSR2')",
    "stdin": "process.stdin.on('data', (d) => process.stdout.write(d)); process.stdin.on('end', () => console.log('end'))",
    "stdin sync": "console.log(require('fs').readFileSync(0, 'utf8'))",
    "streams": "console.log(process.stdout.isTTY, process.stdout.constructor.name, process.stderr.constructor.name, process.stdin.constructor.name)",
    "large output": "process.stdout.write('x'.repeat(3e6)); console.log('end')",
    "timers": "const t = Date.now(); setTimeout(() => console.log(Date.now() - t >= 99), 100); setImmediate(() => console.log(1)); process.nextTick(() => console.log(0))",
    "interval": "let n = 0; const i = setInterval(() => { console.log(++n); if (n == 3) clearInterval(i) }, 3)",
    "promises": "(async () => { for (const x of [1, 2]) { await null; console.log(x) } await require('timers/promises').setTimeout(5); console.log('slept') })()",
    "async fs": "const f = require('fs/promises'); (async () => { await f.writeFile('x', 'data'); console.log(await f.readFile('x', 'utf8'), (await Promise.all(Array.from({ length: 20 }, () => f.stat('x')))).length) })()",
    "child": "const c = require('child_process'); console.log(c.execSync('echo sync').toString()); const p = c.spawn('sh', ['-c', 'cat; exit 3']); p.stdout.on('data', d => console.log(d.toString())); p.on('close', (n) => console.log(n)); p.stdin.end('through')",
    "fork": "const c = require('child_process'); if (process.argv[2]) process.send('from child'); else c.fork(__filename, ['x']).on('message', m => console.log(m))",
    "worker": "const { Worker, isMainThread, parentPort } = require('worker_threads'); if (isMainThread) { const w = new Worker(__filename); w.on('message', (m) => console.log(m)); w.on('exit', (c) => console.log(c)) } else parentPort.postMessage(6 * 7)",
    "workers": "const { Worker, isMainThread, parentPort } = require('worker_threads'); if (isMainThread) { let n = 0; for (let i = 0; i < 4; i++) new Worker(__filename).on('message', (m) => { n += m; if (n == 4000) console.log(n) }) } else { let a = []; for (let i = 0; i < 1000; i++) a.push({ i }); parentPort.postMessage(a.length) }",
    "garbage": "let a; for (let k = 0; k < 60; k++) { a = []; for (let i = 0; i < 50000; i++) a.push({ i, s: 'x' + i }) } console.log(a.length)",
    "buffers": "let n = 0; for (let i = 0; i < 200; i++) n += Buffer.alloc(1 << 20, 1).length; console.log(n, new Float64Array(1e6).reduce((a, b) => a + b))",
    "hot loop": "let t = 0; for (let i = 0; i < 3e7; i++) t = (t * 31 + i) | 0; console.log(t)",
    "regexp": "console.log('a1b22'.match(/[0-9]+/g), 'x'.replace(/(x)/, '<$1>'), RegExp.$1)",
    "crypto": "const c = require('crypto'); console.log(c.createHash('sha256').update('x').digest('hex')); c.pbkdf2('a', 'b', 10, 8, 'sha1', (e, k) => { console.log(k); c.randomBytes(4, (e, b) => { console.log(b.length); c.generateKeyPair('ec', { namedCurve: 'P-256' }, (e, k) => console.log(k.type)) }) })",
    "zlib": "const z = require('zlib'); z.gzip('x'.repeat(1000), (e, b) => z.gunzip(b, (e, r) => console.log(r.length)))",
    "http": "const h = require('http'); const s = h.createServer((q, r) => r.end('served')).listen(0, '127.0.0.1', () => h.get({ port: s.address().port, host: '127.0.0.1' }, r => r.on('data', d => { console.log(d.toString()); s.close() })))",
    "intl": "console.log(new Intl.NumberFormat('de-DE').format(1234.5), new Date(0).toISOString(), (1e6).toLocaleString(), 'a'.localeCompare('B'))",
    "wasm": "WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11])).then((m) => console.log(m.instance.exports.f()))",
    "heap limit": "console.log(Math.round(require('v8').getHeapStatistics().heap_size_limit / 2 ** 20))",
    "stack": "function f(n) { return n ? f(n - 1) + 1 : 0 } console.log(f(8000)); try { (function g() { g() })() } catch (e) { console.log(e.message) }",
    "weak": "const r = new FinalizationRegistry(() => {}); for (let i = 0; i < 1e5; i++) r.register({}, i); console.log(new WeakRef({ a: 1 }).deref())",
    "atomics": "const a = new Int32Array(new SharedArrayBuffer(4)); console.log(Atomics.wait(a, 0, 0, 20))",
}


@pytest.mark.parametrize("name", NODE)
def test_node_is_as_cold(node, name):
    node.check(NODE[name], "a", "b c", stdin=b"in\nput", env={"EXTRA": "a=b", "EMPTY": ""})


def test_node_modules(node):
    node.check("import fs from 'node:fs';\nconsole.log(import.meta.url, fs.existsSync('/'));\nawait 1;\nthrow new TypeError('esm')", file="main.mjs")
    node.write("exports.x = __filename", "lib.js")
    node.check("console.log(require('./lib').x); import('./lib.js').then((m) => console.log(m.default))")
    assert node.run("missing.js")[0] == node.run_cold("missing.js")[0] == 1


def test_node_time_zone(node):
    code = "console.log(new Date(0).getHours())"
    assert node.check(code, env={"TZ": "Asia/Tokyo"})[1] == "9\n"
    assert node.check(code, env={"TZ": "UTC"})[1] == "0\n"


def test_node_random_numbers_differ(node):
    node.write("const { Worker, isMainThread, parentPort } = require('worker_threads'); if (isMainThread) { "
               "console.log(Math.random(), require('crypto').randomBytes(8).toString('hex'), crypto.randomUUID());"
               "for (let i = 0; i < 2; i++) new Worker(__filename).on('message', m => console.log(m)) } else parentPort.postMessage(Math.random())")
    words = [word for _ in range(8) for word in node.run()[1].split()]
    assert len(words) == 8 * 5 and len(set(words)) == len(words)


def test_node_many_at_once(node):
    """Siblings share open files unless these were made anew: then one would be woken for the other, and hang."""
    node.write("const c = require('child_process'), f = require('fs/promises'); (async () => { for (let i = 0; i < 5; i++) {"
               "await Promise.all([f.stat('/'), f.readdir('/'), new Promise((r) => c.exec('true', r)), new Promise((r) => setTimeout(r, 3))]) }"
               "let a; for (let k = 0; k < 10; k++) { a = []; for (let i = 0; i < 20000; i++) a.push({ i }) } console.log('done', a.length) })()")
    soak(node, SOAK, 8, expected=(0, "done 20000\n", "", ""))


def test_node_soak(node):
    node.write("console.log('hello')")
    print(f"node: {soak(node, SOAK, 1, expected=(0, chr(10).join(['hello', '']), '', '')) * 1000:.1f} ms")


# ---- R --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def r(tmp_path_factory):
    start = [which("sh"), f"{RUNTIMES}/r/start.sh", which("R")]
    runtime = Runtime(tmp_path_factory.mktemp("r"), [*start, "/retort/main"], start, "main.R",
                      {"R_PROFILE_USER": f"{RUNTIMES}/r/warm.R", "R_ENVIRON_USER": ""},
                      {"R_PROFILE_USER": f"{RUNTIMES}/r/profile.R", "R_ENVIRON_USER": ""}, main="/retort/main")
    yield runtime
    runtime.close()


R = {
    "hello": "cat('hello\\n')",
    "visible": "1 + 1\nx <- 3\nx\ninvisible(4)\nsummary(lm(dist ~ speed, cars))$r.squared; head(iris, 2); y ~ x",
    "arguments": "print(commandArgs(TRUE)); print(commandArgs())",
    "session": "print(search()); print(loadedNamespaces()[1:3]); print(ls(all.names = TRUE)); print(interactive()); print(sys.nframe()); print(getwd())",
    "environment": "x <- Sys.getenv(); x <- x[names(x) != 'R_SESSION_TMPDIR']; cat(paste0(names(x), '=', x), sep = '\\n'); system('env | grep -v RTMP | grep -v R_SESSION | grep -v ^_= | sort')",
    "temporary": "cat(file.exists(tempdir()), Sys.getenv('R_SESSION_TMPDIR') == tempdir(), basename(tempfile('a')) != '')",
    "stop": "f <- function(x) stop('bad: ', x)\nf(1)",
    "log": "log('a')",
    "syntax": "cat('first\\n')\nx +",
    "unknown": "nope",
    "warning": "warning('careful'); message('note'); f <- function() warning('in f'); f()",
    "warn 2": "options(warn = 2); as.integer('x')",
    "finally": "tryCatch(stop('inner'), finally = cat('finally\\n'))",
    "caught": "try(stop('caught'), silent = TRUE)\ntryCatch(stop('a'), error = function(e) print(conditionMessage(e)))\nwithCallingHandlers(warning('w'), warning = function(w) invokeRestart('muffleWarning'))",
    "traceback": "f <- function() { print(sys.calls()); print(sys.function()) }\nf()",
    "quit": "quit(status = 3)",
    "last": ".Last <- function() cat('last\\n')",
    "exit handler": "reg.finalizer(globalenv(), function(e) cat('final\\n'), onexit = TRUE); invisible(1)",
    "stdin": "print(readLines(file('stdin'), warn = FALSE))",
    "frame": "d <- data.frame(a = 1:4, b = c('x', 'y', 'x', 'y')); print(tapply(d$a, d$b, sum)); print(aggregate(a ~ b, d, mean)); str(d); summary(d)",
    "csv": "write.csv(data.frame(a = 1:2), 'x.csv', row.names = FALSE); print(sum(read.csv('x.csv')$a))",
    "plot": "pdf('x.pdf'); plot(1:10); hist(c(1, 2, 2)); invisible(dev.off()); cat(file.size('x.pdf') > 500)",
    "parallel": "library(parallel); cat(unlist(mclapply(1:4, function(i) i^2, mc.cores = 2)), detectCores() >= 1)",
    "cluster": "library(parallel); k <- makeCluster(2); cat(parSapply(k, 1:3, function(x) x + 1)); stopCluster(k)",
    "system": "cat(system('echo child', intern = TRUE), system2('sh', c('-c', shQuote('exit 3'))))",
    "garbage": "x <- NULL; for (i in 1:50) x <- as.list(1:1e5); gc()[1] > 0; length(x)",
    "numbers": "set.seed(1); print(runif(3)); print(rnorm(2)); print(sample(10)); print(solve(matrix(c(2, 1, 1, 3), 2)))",
    "packages": "library(stats4); library(splines); library(tools); print(search()[2:4]); library(nosuchpackage)",
    "time": "cat(Sys.timezone(), format(as.POSIXct(0, origin = '1970-01-01'), '%H'), l10n_info()$`UTF-8`)",
    "locale": "print(Sys.getlocale()); print(sort(c('b', 'A', 'a'))); print(toupper('\\u00e9'))",
    "options": "o <- options(); o$rl_word_breaks <- NULL; print(names(o)); print(o[c('warn', 'digits', 'width', 'encoding', 'keep.source', 'echo', 'verbose', 'defaultPackages')])",
    "methods": "setClass('P', representation(x = 'numeric')); setMethod('show', 'P', function(object) cat('P', object@x, '\\n')); new('P', x = 1); A <- setRefClass('A', fields = list(n = 'numeric')); A$new(n = 1)$n",
    "recursion": "options(expressions = 200); f <- function(n) f(n + 1)\nf(1)",
    "sink": "sink('s.txt'); print(1); sink(); cat(readLines('s.txt'), '\\n'); capture.output(print(2))",
}


@pytest.mark.parametrize("name", R)
def test_r_is_as_cold(r, name):
    r.check(R[name], "a", "b c", stdin=b"in\nput\n", env={"EXTRA": "a=b", "EMPTY": ""})


def test_r_environment_of_the_request(r):
    code = "cat(Sys.getenv(c('TZ', 'LD_LIBRARY_PATH', 'PAGER')), format(as.POSIXct(0, origin = '1970-01-01'), '%H'), '\\n')"
    r.check(code, env={"TZ": "Asia/Tokyo", "LD_LIBRARY_PATH": "/opt", "PAGER": "mine"})


def test_r_random_numbers_differ(r):
    r.write("cat(runif(1), rnorm(1), sample(1e9, 1), basename(tempfile()), '\\n')")
    words = [word for _ in range(8) for word in r.run()[1].split()]
    assert len(words) == 32 and len(set(words)) == 32


def test_r_many_at_once(r):
    r.write("x <- replicate(20, sum(rnorm(1000))); writeLines('a', tempfile()); cat(length(x), system('echo s', intern = TRUE), '\\n')")
    soak(r, SOAK, 8, expected=(0, "20 s \n", "", ""))


def test_r_soak(r):
    r.write("cat('hello\\n')")
    print(f"R: {soak(r, SOAK, 1, expected=(0, chr(10).join(['hello', '']), '', '')) * 1000:.1f} ms")


def test_r_leaves_no_temporary_folders(r):
    r.write("writeLines('a', tempfile()); cat('x')")
    r.run()
    assert [entry.name for entry in r.folder.iterdir() if entry.name.startswith("Rtmp")] == []


# ---- Java -----------------------------------------------------------------------------------------------------------

JAVAC = ["-proc:none", "-encoding", "UTF-8", "-d", "."]


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    classes = RUNTIMES / "java"
    if not (classes / "Warm.class").exists():
        pytest.skip("Warm.java is not compiled")
    base = [which("java"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData", "-XX:MaxRAM=536870912",
            "-XX:MaxRAMPercentage=60", "-XX:-PrintWarnings", "-Djava.system.class.loader=RetortHook"]
    cold = [*base, "-cp", f".:{classes}"]
    runtime = Runtime(tmp_path_factory.mktemp("java"), [*base, "-Dretort.park=/retort/park", "-Dretort.go=/retort/go", "-cp",
                                                        f".:{classes}", "Warm"], cold, "Main")
    yield runtime
    runtime.close()


def check_java(java, body, *args, around="public class Main { %s }", **more):
    """Compiled by the forked compiler and by javac, run by a forked and by a cold JVM: all the same."""
    (java.folder / "Main.java").write_text("import java.util.*;\nimport java.util.stream.*;\n" + around % body)
    for old in java.folder.glob("*.class"):
        old.unlink()
    compiled = java.run("--javac", *JAVAC, "Main.java")
    classes = {file.name: file.read_bytes() for file in java.folder.glob("*.class")}
    assert java.run_cold(*JAVAC, "Main.java", command=[which("javac")]) == compiled
    assert {file.name: file.read_bytes() for file in java.folder.glob("*.class")} == classes
    if compiled[0] != 0:
        assert java.run("--javac", *JAVAC, "Main.java", "--", "Main") == (*compiled[:3], '{"step": "compile"}')
        return compiled
    cold = java.run_cold("Main", *args, **more)
    assert java.run("Main", *args, **more) == cold
    both = java.run("--javac", *JAVAC, "Main.java", "--", "Main", *args, **more)
    assert both == (cold[0], cold[1], compiled[2] + cold[2], cold[3])
    return cold


MAIN = "public static void main(String[] a) throws Exception { %s }"
JAVA = {
    "hello": MAIN % 'System.out.println("hello");',
    "arguments": MAIN % 'System.out.println(Arrays.toString(a)); System.out.println(System.getProperty("sun.java.command"));',
    "environment": MAIN % 'System.out.println(new TreeMap<>(System.getenv())); System.out.println(System.getenv("EXTRA")); new ProcessBuilder("sh", "-c", "env | grep -v ^_= | sort").inheritIO().start().waitFor();',
    "thread": MAIN % 'Thread t = Thread.currentThread(); System.out.println(t + " " + t.getId() + " " + t.isDaemon() + " " + Thread.activeCount() + " " + new Thread().getName() + t.getContextClassLoader().getClass());',
    "loader": MAIN % 'System.out.println(Main.class.getClassLoader().getClass() + " " + Main.class.getModule().isNamed() + " " + ClassLoader.getSystemClassLoader().getClass());',
    "properties": MAIN % 'var p = new TreeMap<Object, Object>(System.getProperties()); System.out.println(p);',
    "trace": MAIN % 'new Exception("shown", new RuntimeException("why")).printStackTrace(); System.out.println(Thread.currentThread().getStackTrace().length); StackWalker.getInstance().forEach(System.out::println);',
    "throw": "static void f() { throw new IllegalStateException(\"a\\\"b\\n\u00e9\", new RuntimeException(\"why\")); }" + MAIN % "f();",
    "null": MAIN % "Object o = null; o.toString();",
    "overflow": MAIN % "main(a);",
    "memory": MAIN % "byte[][] x = new byte[9999][]; for (int i = 0;; i++) x[i] = new byte[1 << 24];",
    "own exception": "static class Mine extends Exception { }" + MAIN % "throw new Mine();",
    "initialiser": "static int x = 1 / Integer.parseInt(\"0\");" + MAIN % "",
    "inner initialiser": "static class A { static int x = 1 / Integer.parseInt(\"0\"); }" + MAIN % "System.out.println(A.x);",
    "no main": "static void notMain() { }",
    "not static": "public void main(String[] a) { }",
    "exit": MAIN % 'Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("bye"))); System.exit(3);',
    "halt": MAIN % "Runtime.getRuntime().halt(4);",
    "thread throws": MAIN % 'Thread t = new Thread(() -> { throw new RuntimeException("other"); }, "w"); t.start(); t.join();',
    "outlived": MAIN % 'new Thread(() -> { try { Thread.sleep(100); } catch (InterruptedException e) { } System.out.println("later"); }).start(); throw new Exception("first");',
    "daemon": MAIN % 'Thread t = new Thread(() -> { for (;;) { } }); t.setDaemon(true); t.start(); System.out.println("end");',
    "stdin": MAIN % 'Scanner s = new Scanner(System.in); while (s.hasNextLine()) System.out.println(s.nextLine());',
    "streams": MAIN % 'System.out.println(IntStream.range(0, 1000).parallel().sum()); System.out.println(IntStream.range(0, 10).boxed().map(x -> "v" + x * x).collect(Collectors.toList()));',
    "pool": MAIN % 'var p = java.util.concurrent.Executors.newFixedThreadPool(30); int s = 0; for (var f : p.invokeAll(Collections.nCopies(30, (java.util.concurrent.Callable<String>) () -> Thread.currentThread().getName()))) s += f.get().startsWith("pool-1-thread-") ? 1 : 0; p.shutdown(); System.out.println(s);',
    "future": MAIN % 'System.out.println(java.util.concurrent.CompletableFuture.supplyAsync(() -> 6).thenApply(x -> x * 7).get());',
    "garbage": MAIN % 'List<byte[]> l = new ArrayList<>(); for (int i = 0; i < 400; i++) { l.add(new byte[1 << 20]); if (l.size() > 20) l.clear(); } System.out.println("gc"); System.gc(); System.out.println(Runtime.getRuntime().maxMemory());',
    "hot loop": MAIN % "long s = 0; for (int i = 0; i < 50_000_000; i++) s += i * 31L; System.out.println(s);",
    "process": MAIN % 'System.out.print(new String(new ProcessBuilder("echo", "child").start().getInputStream().readAllBytes())); System.out.println(new ProcessBuilder("sh", "-c", "exit 3").start().waitFor());',
    "files": MAIN % 'var t = java.nio.file.Files.createTempFile("a", "b"); java.nio.file.Files.writeString(t, "\u00e9"); System.out.println(java.nio.file.Files.readString(t) + java.nio.file.Files.list(java.nio.file.Path.of(".")).filter(x -> x.toString().equals("./Main.java")).count() + new java.io.File("x").getAbsolutePath());',
    "sockets": MAIN % 'var s = new java.net.ServerSocket(0); var c = new java.net.Socket("localhost", s.getLocalPort()); s.accept().getOutputStream().write(7); System.out.println(c.getInputStream().read());',
    "channels": MAIN % 'var p = java.nio.channels.Pipe.open(); var s = java.nio.channels.Selector.open(); p.source().configureBlocking(false); p.source().register(s, 1); p.sink().write(java.nio.ByteBuffer.wrap(new byte[1])); System.out.println(s.select(1000));',
    "timer": MAIN % 'var t = new Timer(); t.schedule(new TimerTask() { public void run() { System.out.println("tick"); t.cancel(); } }, 10); long b = System.nanoTime(); Thread.sleep(30); System.out.println(System.nanoTime() - b >= 30_000_000);',
    "records": "record P(int x, int y) { } sealed interface S permits A { } record A(int v) implements S { } enum E { X, Y }" + MAIN % 'S s = new A(1); System.out.println(new P(1, 2) + " " + (s instanceof A q ? q.v() : 0) + switch (E.X) { case X -> "x"; case Y -> "y"; });',
    "reflection": MAIN % 'System.out.println(Stream.of(Main.class.getDeclaredMethods()).map(Object::toString).sorted().collect(Collectors.toList())); System.out.println(java.lang.reflect.Proxy.newProxyInstance(Main.class.getClassLoader(), new Class<?>[] { Runnable.class }, (p, m, x) -> "proxy"));',
    "format": MAIN % 'System.out.printf("%d %5.2f %s %x%n", 1, 1.5, "s", 255); System.out.println(new java.text.DecimalFormat("#,##0.0").format(1234.5) + Locale.getDefault() + java.nio.charset.Charset.defaultCharset());',
    "compile error": "int x = \"text\"; void f() { undefined(); }",
    "syntax error": "void f( { ",
    "warning": MAIN % "List l = new ArrayList(); l.add(1); new Thread().stop();",
}


@pytest.mark.parametrize("name", JAVA)
def test_java_is_as_cold(java, name):
    more = {"stdin": b"in\nput", "env": {"EXTRA": "a=b", "EMPTY": ""}}
    check_java(java, JAVA[name], "a", "b c", **more)


def test_java_other_shapes(java):
    check_java(java, MAIN % "System.out.println(1);", around="class Main { %s }")
    check_java(java, MAIN % "System.out.println(2);", around="final class Main { %s }")
    check_java(java, MAIN % "System.out.println(3);", around="interface Main { %s }")
    check_java(java, "X; " + MAIN % "System.out.println(X);", around="enum Main { %s }")
    check_java(java, "", around="class Base { public static void main(String[] a) { System.out.println(4); } } class Main extends Base { %s }")
    assert java.run("Missing")[:3] == java.run_cold("Missing")[:3]
    assert java.run("--javac", "-nosuchflag", "Main.java") == java.run_cold("-nosuchflag", "Main.java", command=[which("javac")])
    assert java.run("--javac", "Missing.java") == java.run_cold("Missing.java", command=[which("javac")])


def test_java_random_numbers_differ(java):
    check = MAIN % ('System.out.println(Math.random() + " " + new Random().nextLong() + " " + UUID.randomUUID() + " " + new java.security.SecureRandom().nextLong()'
                    ' + " " + java.util.concurrent.ThreadLocalRandom.current().nextLong() + " " + new SplittableRandom().nextLong());'
                    'var l = new ArrayList<Integer>(); for (int i = 0; i < 40; i++) l.add(i); Collections.shuffle(l); System.out.println(l.toString().replace(" ", ""));')
    (java.folder / "Main.java").write_text("import java.util.*; public class Main { %s }" % check)
    assert java.run("--javac", *JAVAC, "Main.java")[0] == 0
    words = [word for _ in range(8) for word in java.run("Main")[1].split()]
    assert len(words) == 56 and len(set(words)) == 56


def test_java_many_at_once(java):
    (java.folder / "Many.java").write_text(
        "import java.util.*; public class Many { public static void main(String[] a) throws Exception { var p = java.util.concurrent.Executors.newFixedThreadPool(8);"
        " int n = 0; for (var f : p.invokeAll(Collections.nCopies(50, (java.util.concurrent.Callable<Integer>) () -> new byte[100000].length))) n += f.get(); p.shutdown(); System.gc();"
        " System.out.println(n + new String(new ProcessBuilder(\"echo\", \"c\").start().getInputStream().readAllBytes())); } }")
    assert java.run("--javac", *JAVAC, "Many.java")[0] == 0
    soak(java, SOAK, 6, ["Many"], (0, "5000000c\n\n", "", ""))


def test_java_soak(java):
    (java.folder / "Hello.java").write_text('public class Hello { public static void main(String[] a) { System.out.println("hello"); } }')
    assert java.run("--javac", *JAVAC, "Hello.java")[0] == 0
    hello = (0, "hello\n", "", "")
    print(f"java, class: {soak(java, SOAK, 1, ['Hello'], hello) * 1000:.1f} ms")
    print(f"java, source: {soak(java, SOAK, 1, ['--javac', *JAVAC, 'Hello.java', '--', 'Hello'], hello) * 1000:.1f} ms")


# ---- Python, as a program that knows nothing of Retort ------------------------------------------------------------------

PYTHON_WARM = """
import os, sys
import numpy, pandas
numpy.random.seed(1)
open(os.environ["RETORT_PARK"]).close()
with open(os.environ["RETORT_GO"], "rb") as given:
    strings = given.read().split(b"\\0")
import random
random.seed(); numpy.random.seed()
sys.argv = [s.decode() for s in strings[1:1 + int(strings[0])]]
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    program = which("python3")
    if subprocess.run([program, "-c", "import pandas"], capture_output=True).returncode:
        pytest.skip("pandas is not installed")
    (folder / "warm.py").write_text(PYTHON_WARM)
    runtime = Runtime(folder, [program, "warm.py"], [program], "main.py")
    yield runtime
    runtime.close()


@pytest.mark.parametrize("code", [
    "print('hello')",
    "import pandas as p; d = p.DataFrame({'a': [1, 2, 3], 'b': list('xyx')}); print(d.groupby('b').sum(), d.describe())",
    "import numpy as n; a = n.arange(1e6).reshape(1000, 1000); print((a @ a).sum(), n.linalg.svd(n.eye(50))[1].sum())",
    "import threading, queue; q = queue.Queue(); [threading.Thread(target=q.put, args=(i,)).start() for i in range(20)]; print(sorted(q.get() for _ in range(20)))",
    "import asyncio\nasync def f(x):\n    await asyncio.sleep(.01)\n    return x\nasync def g(): print(await asyncio.gather(*map(f, range(5))))\nasyncio.run(g())",
    "from concurrent.futures import ProcessPoolExecutor as P\nwith P(2) as p: print(list(p.map(abs, [-1, 2])))",
    "import subprocess; print(subprocess.run(['echo', 'x'], capture_output=True).stdout)",
    "import sys; sys.exit(3)",
    "x = [bytearray(1000) for i in range(100000)]; print(len(x)); x = bytearray(50_000_000); x.extend(x); print(len(x))",
])
def test_python_programs(python, code):
    python.check(code)


def test_python_random_numbers_differ(python):
    python.write("import random, numpy, os, uuid; print(random.random(), numpy.random.rand(), os.urandom(4).hex(), uuid.uuid4())")
    words = [word for _ in range(8) for word in python.run()[1].split()]
    assert len(words) == 32 and len(set(words)) == 32


def test_python_soak(python):
    python.write("print('hello')")
    hello = (0, "hello\n", "", "")
    print(f"python: {soak(python, SOAK, 1, expected=hello) * 1000:.1f} ms")
    soak(python, SOAK, 8, expected=hello)


# ---- what is refused --------------------------------------------------------------------------------------------------


def test_a_thread_that_cannot_be_stopped_is_told(tmp_path):
    code = ("import ctypes, os, threading, time\ndef block():\n    m = ctypes.c_uint64(2**64 - 1); ctypes.CDLL(None).syscall(14, 2, ctypes.byref(m), None, 8); time.sleep(60)\n"
            "threading.Thread(target=block, daemon=True).start(); time.sleep(.1); open(os.environ['RETORT_PARK'])")
    with pytest.raises(RuntimeError, match="1 threads could not be stopped in time"):
        ForkServer([which("python3"), "-c", code], tmp_path, {"PATH": PATH})


@pytest.mark.parametrize("freeze", ["no", "data", "flat"])
def test_every_way_of_freezing(tmp_path, freeze):
    base = [which("node"), "--require"]
    (tmp_path / "main.js").write_text("require('fs').stat('/', () => { let a = []; for (let i = 0; i < 1e6; i++) a.push({}); console.log(a.length) })")
    server = ForkServer([*base, f"{RUNTIMES}/javascript/warm.cjs", "main.js"], tmp_path, {"PATH": PATH}, freeze=freeze)
    try:
        for _ in range(5):
            assert server.run(["main.js"], tmp_path, {"PATH": PATH}) == (0, "1000000\n", "", "")
    finally:
        server.close()
