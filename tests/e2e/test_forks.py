# SPDX-License-Identifier: Apache-2.0
"""A fork of a frozen interpreter, or one that was started ahead, against a fresh start of the same one: a program must not be able to tell, but by the clock.

Both run the same list of programs through `retort batch`. What is equal: status, exit code, signal, limit, output, error.
"""
import json
import re
import shutil
import subprocess

import pytest

from conftest import BIN, RUNTIMES, environment

# A program, or a request with one.
PYTHON = {
    "hello": "print(1)",
    "nothing": "pass",
    "exit code": "import sys; sys.exit(3)",
    "exit code beyond 255": "import sys; sys.exit(515)",
    "exit code negative": "import sys; sys.exit(-1)",
    "exit with words": "import sys; sys.exit('words')",
    "exit with an object": "raise SystemExit([1, 2])",
    "exit from a function": "def f():\n    import sys\n    sys.exit(7)\nf()",
    "exit in a thread": "import threading, sys\nt = threading.Thread(target=lambda: sys.exit(9))\nt.start(); t.join(); print('on')",
    "os._exit": "import os\nprint('lost?', flush=True)\nos._exit(4)",
    "uncaught": "def f(x):\n    return 1 / x\nf(0)",
    "uncaught with cause": "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e",
    "uncaught group": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
    "syntax error": "def f(:\n    pass",
    "indentation error": "if 1:\nprint(1)",
    "null byte": "print(1)\0",
    "encoding cookie": "# -*- coding: latin-1 -*-\nprint(len('\u00e9'))",
    "future": "from __future__ import annotations\ndef f(x: undefined) -> int: ...\nprint(f.__annotations__)",
    "recursion": "def f(n):\n    return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError as e:\n    n, t = 0, e.__traceback__\n    while t:\n        n, t = n + 1, t.tb_next\n    print(n)",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "abort": "import os; os.abort()",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "signal handler": "import signal, os\nsignal.signal(signal.SIGTERM, lambda *a: print('term'))\nos.kill(os.getpid(), 15)",
    "dispositions": "import signal\nprint([signal.getsignal(s) for s in (2, 13, 15, 17, 25)])",
    "names": "print(sorted(globals()), __name__, __file__, __doc__, __spec__, __package__, type(__loader__).__name__)",
    "main module": "import sys, __main__\nprint(__main__ is sys.modules['__main__'], __main__.__dict__ is globals())",
    "argv": {"code": "import sys\nprint(sys.argv, sys.orig_argv, sys.path, sys.flags, sys.executable)", "args": ["a", "b c", "\u00e4"]},
    "environment": {"code": "import os\nprint(sorted(os.environ.items()))\nos.system('env | sort')", "env": {"A": "1", "B": "\u00e4=2"}},
    "variables for the start": {"code": "import sys\nprint(hash('a'), sys.flags.hash_randomization)", "env": {"PYTHONHASHSEED": "1"}},
    "unbuffered": {"code": "import sys\nprint(sys.stdout.write_through)", "env": {"PYTHONUNBUFFERED": "1"}},
    "stdin": {"code": "import sys\nprint(sys.stdin.read().upper(), input if 0 else '')", "stdin": "some\nlines\n"},
    "input": {"code": "print(input('? ') + input())", "stdin": "one\ntwo\n"},
    "no stdin": "print(repr(__import__('sys').stdin.read()))\ntry:\n    input()\nexcept EOFError as e:\n    print('eof', e)",
    "seekable": {"code": "import sys\nprint(sys.stdin.seekable(), sys.stdout.seekable(), sys.stdin.name, sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering)", "stdin": "x"},
    "descriptors": "import os\nprint([f for f in range(100) if os.path.lexists(f'/proc/self/fd/{f}')])",
    "descriptors of a child": "import subprocess\nprint(subprocess.run(['/bin/ls', '/proc/self/fd'], capture_output=True, text=True, close_fds=False).stdout)",
    "who": "import os\nprint(os.getuid(), os.getgid(), os.getgroups(), os.getsid(0) == os.getpid(), os.getcwd(), os.umask(0), os.nice(0))",
    "limits": "import resource\nprint([(n, resource.getrlimit(getattr(resource, n))) for n in dir(resource) if n.startswith('RLIMIT_')])",
    "status": "print([line for line in open('/proc/self/status') if line.startswith(('Cap', 'NoNew', 'Seccomp', 'SigBlk', 'Groups', 'Threads'))])",
    "cgroup": "print(open('/proc/self/cgroup').read())",
    "files": {"files": [{"path": "pkg/main.py", "content": "import sys, helper\nprint(__file__, sys.argv, sys.path[0], helper.x)\nprint(open('pkg/data').read())\n1/0"},
                        {"path": "pkg/helper.py", "content": "x = 5"}, {"path": "pkg/data", "content": "data"}]},
    "traceback of a module": {"files": [{"path": "main.py", "content": "import m\nm.f()"}, {"path": "m.py", "content": "def f():\n    raise LookupError('deep')"}]},
    "no byte code": {"files": [{"path": "main.py", "content": "import m, os\nprint(os.listdir('.'))"}, {"path": "m.py", "content": ""}]},
    "atexit": "import atexit\natexit.register(print, 'bye')\nprint('hi')",
    "atexit and an error": "import atexit\natexit.register(print, 'bye')\n1/0",
    "atexit that fails": "import atexit\natexit.register(lambda: 1/0)",
    "finalizers": "class A:\n    def __del__(self):\n        print('del', self.n)\na = A(); a.n = 1\nb = A(); b.n = 2; b.me = b\ndef f():\n    return a\nprint('end')",
    "unflushed file": "f = open('/tmp/x', 'w')\nf.write('y')\nimport atexit, os\ng = f.fileno()\n",
    "stdout closed": "import os\nos.close(1)\nprint('lost')",
    "stdout replaced": "import sys, io\nsys.stdout = io.StringIO()\nprint('gone')",
    "stderr": "import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.stderr.write('no newline')",
    "excepthook of its own": "import sys\nsys.excepthook = lambda *a: print('mine', a[0].__name__)\n1/0",
    "unraisable": "class A:\n    def __del__(self):\n        1/0\nA()",
    "threads at the end": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.05), print('late'))).start()\nprint('main')",
    "daemon thread": "import threading, time\nthreading.Thread(target=lambda: time.sleep(60), daemon=True).start()\nprint('main')",
    "thread identities": "import threading\nprint(threading.main_thread().native_id == threading.get_native_id(), len(threading.enumerate()))",
    "asyncio": "import asyncio\nasync def f():\n    await asyncio.sleep(.001)\n    return 5\nprint(asyncio.run(f()))",
    "subprocess": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import os; print(sorted(os.environ))'], capture_output=True, text=True))",
    "fork": "import os\npid = os.fork()\nif pid == 0:\n    print('child', flush=True)\n    os._exit(5)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
    "a forked child that fails": "import os\npid = os.fork()\nif pid == 0:\n    1/0\nos.wait()\nprint('parent')",
    "multiprocessing": "import multiprocessing as m\ndef f(x):\n    return x * x\nif __name__ == '__main__':\n    with m.Pool(2) as pool:\n        print(pool.map(f, [1, 2, 3]))",
    "warnings": "import warnings\nwarnings.warn('careful')\nprint(warnings.filters[:1])",
    "inspection": "import inspect, sys, traceback\nprint(len(inspect.stack()), sys._getframe().f_back)\ntraceback.print_stack()",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "pickle": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nprint(P(1))",
    "gc": "import gc\nprint(gc.isenabled(), gc.get_threshold(), gc.callbacks)",
    "locale": "import locale, time\nprint(locale.getlocale(), locale.setlocale(locale.LC_ALL, None), time.tzname)",
    "tempfile": "import tempfile\nwith tempfile.TemporaryDirectory() as d:\n    print(d[:5])",
    "large output": "print('x' * 300000)",
    "binary output": "import sys\nsys.stdout.buffer.write(bytes(range(256)))",
    "cpu limit": {"code": "while True: pass", "limits": {"cpu_ms": 300}},
    "wall limit": {"code": "import time\ntime.sleep(60)", "limits": {"wall_ms": 300}},
    "memory limit": {"code": "x = []\nwhile True: x.append(bytearray(1 << 20))", "limits": {"memory_bytes": 100 << 20}},
    "file limit": {"code": "open('/tmp/x', 'wb').write(b'x' * (2 << 20))", "limits": {"file_bytes": 1 << 20}},
    "denied": "import ctypes\nctypes.CDLL(None).unshare(0x20000)",
}

JAVASCRIPT = {
    "hello": "console.log(1)",
    "nothing": ";",
    "objects": "console.log({ a: [1, { b: 2 }], c: new Map([[1, 2]]), d: new Date(0), e: /r/g, f() {} }); console.error('e')",
    "exit": "process.on('exit', (c) => console.log('exit', c)); process.exit(3)",
    "exit code": "process.exitCode = 4; console.log('on')",
    "exit of a promise": "(async () => { await 1; process.exit(5) })()",
    "before exit": "let n = 0; process.on('beforeExit', () => { if (n++ < 2) setTimeout(() => console.log(n), 1) })",
    "uncaught": "function f(x) { return x.y.z }\nf({})",
    "uncaught late": "setTimeout(() => { throw new RangeError('late \u00e9\"') }, 1)",
    "thrown words": "throw 'words'",
    "thrown null": "throw null",
    "cause": "try { null.x } catch (e) { throw new Error('v', { cause: e }) }",
    "rejection": "Promise.reject(new TypeError('nobody'))",
    "rejection of words": "Promise.reject('words')",
    "rejection handled late": "process.on('unhandledRejection', (e) => console.log('seen', e.message)); Promise.reject(new Error('x'))",
    "uncaught handler": "process.on('uncaughtException', (e, o) => console.log('mine', e.message, o)); null.x",
    "syntax error": "let x = ;",
    "strict": "'use strict'; undeclared = 1",
    "recursion": "function f() { f() }\ntry { f() } catch (e) { console.log(e.name, e.message) }",
    "deep": "function f(n) { return n ? f(n - 1) + 1 : 0 } console.log(f(8000))",
    "killed": "process.kill(process.pid, 'SIGKILL')",
    "terminated": "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 5000)",
    "abort": "process.abort()",
    "signal handler": "process.on('SIGUSR2', (s) => { console.log(s); process.exit() }); setTimeout(() => {}, 5000); process.kill(process.pid, 'SIGUSR2')",
    "interrupt handler": "process.once('SIGINT', () => { console.log('int'); clearInterval(i) }); const i = setInterval(() => {}, 1000); process.kill(process.pid, 'SIGINT')",
    "dispositions": "console.log(require('fs').readFileSync('/proc/self/status', 'utf8').match(/Sig(Ign|Cgt|Blk).*/g))",
    "argv": {"code": "console.log(process.argv, process.execArgv, process.argv0, process.execPath, process.title)", "args": ["a", "b c", "\u00e4", "--flag"]},
    "module": "console.log(module.id, module.filename, module.paths, require.main === module, __filename, __dirname, Object.keys(require.cache).length, module.children.length)",
    "globals": "console.log(Object.getOwnPropertyNames(globalThis).join(), Object.keys(process).join())",
    "environment": {"code": "console.log(Object.entries(process.env).sort()); require('child_process').execSync('env | sort', { stdio: 'inherit' })", "env": {"A": "1", "B": "\u00e4=2", "EMPTY": ""}},
    "time zone": {"code": "console.log(new Date(0).getHours(), process.env.TZ)", "env": {"TZ": "Asia/Tokyo"}},
    "variables for the start": {"code": "console.log(process.env.NODE_OPTIONS, process.execArgv)", "env": {"NODE_OPTIONS": "--no-warnings"}},
    "stdin": {"code": "process.stdin.on('data', (d) => process.stdout.write(String(d).toUpperCase())); process.stdin.on('end', () => console.log('end'))", "stdin": "some\nlines\n"},
    "stdin at once": {"code": "console.log(require('fs').readFileSync(0, 'utf8'))", "stdin": "some\nlines\n"},
    "no stdin": "process.stdin.on('data', (d) => console.log(d)).on('end', () => console.log('end'))",
    "read lines": {"code": "require('readline').createInterface({ input: process.stdin }).on('line', (l) => console.log('<' + l + '>'))", "stdin": "one\ntwo\n"},
    "streams": "for (const s of ['stdin', 'stdout', 'stderr']) console.log(s, process[s].constructor.name, process[s].isTTY, process[s].fd, process[s].writableHighWaterMark)",
    "descriptors": "console.log(require('fs').readdirSync('/proc/self/fd').filter((f) => f < 4 && require('fs').existsSync('/proc/self/fd/' + f)))",
    "descriptors of a child": "console.log(require('child_process').execFileSync('/bin/ls', ['/proc/self/fd']).toString())",
    "who": "console.log(process.getuid(), process.getgid(), process.getgroups(), process.cwd(), process.umask(), require('os').getPriority(), process.pid > 1, require('os').userInfo.length)",
    "status": "console.log(require('fs').readFileSync('/proc/self/status', 'utf8').match(/(Cap|NoNew|Seccomp|Groups).*/g))",
    "limits of the process": "console.log(require('fs').readFileSync('/proc/self/limits', 'utf8'))",
    "cgroup": "console.log(require('fs').readFileSync('/proc/self/cgroup', 'utf8'))",
    "processors": "console.log(require('os').cpus().length > 0, require('os').availableParallelism() > 0, require('os').tmpdir(), require('os').homedir(), require('os').hostname())",
    "timers": "setImmediate(() => { console.log('i'); setTimeout(() => console.log('t'), 20); }); process.nextTick(() => console.log('n')); Promise.resolve().then(() => console.log('p')); queueMicrotask(() => console.log('q'))",
    "clock": "const t = Date.now(); setTimeout(() => console.log(Date.now() - t >= 99, performance.now() >= 0, process.uptime() >= 0, Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 1e9), 100)",
    "interval": "let n = 0; const i = setInterval(() => { console.log(++n); if (n === 3) clearInterval(i) }, 3)",
    "top-level await": {"files": [{"path": "main.mjs", "content": "import fs from 'node:fs';\nconsole.log(import.meta.url, fs.existsSync('/work'), process.argv);\nawait 1;\nconsole.log(typeof require);"}]},
    "error in a module": {"files": [{"path": "main.mjs", "content": "import { x } from './lib.mjs';\nx();"}, {"path": "lib.mjs", "content": "export function x() { throw new TypeError('esm') }"}]},
    "missing export": {"files": [{"path": "main.mjs", "content": "import { y } from './lib.mjs';"}, {"path": "lib.mjs", "content": "export const x = 1"}]},
    "files": {"files": [{"path": "src/main.js", "content": "const { x } = require('./lib/helper'); console.log(x, __filename, process.argv[1], require('fs').readFileSync('src/data', 'utf8')); import('./lib/helper.js').then((m) => { console.log(m.default.x); null.x })"},
                        {"path": "src/lib/helper.js", "content": "exports.x = __filename"}, {"path": "src/data", "content": "data"}]},
    "json": {"files": [{"path": "main.cjs", "content": "console.log(require('./a.json'), require('./package.json').type)"}, {"path": "a.json", "content": "{\"a\": 1}"}, {"path": "package.json", "content": "{\"type\": \"module\"}"}]},
    "module by package": {"files": [{"path": "main.js", "content": "console.log(typeof require, import.meta.url)"}, {"path": "package.json", "content": "{\"type\": \"module\"}"}]},
    "missing module": "require('./nothing')",
    "missing package": "require('left-pad')",
    "files of its own": "const f = require('fs/promises'); (async () => { await f.mkdir('d/e', { recursive: true }); await f.writeFile('d/e/x', 'data'); console.log(await f.readFile('d/e/x', 'utf8'), await f.readdir('.'), (await Promise.all(Array.from({ length: 30 }, () => f.stat('d')))).length); await f.rm('d', { recursive: true }) })()",
    "watch": "const fs = require('fs'); fs.writeFileSync('w', '1'); const w = fs.watch('w', (e) => { console.log(e); w.close() }); setTimeout(() => fs.appendFileSync('w', '2'), 20)",
    "child": "const c = require('child_process'); console.log(c.execSync('echo sync').toString()); const p = c.spawn('sh', ['-c', 'cat; exit 3']); p.stdout.on('data', (d) => console.log(d.toString())); p.on('close', (n, s) => console.log(n, s)); p.stdin.end('through')",
    "child that is killed": "const p = require('child_process').spawn('sleep', ['60']); p.on('exit', (n, s) => console.log(n, s)); p.kill()",
    "node in node": "const r = require('child_process').spawnSync(process.execPath, ['-e', 'console.log(Object.keys(process.env).sort(), process.execArgv); process.exit(6)']); console.log(r.status, r.stdout.toString(), r.stderr.toString())",
    "forked child": "const c = require('child_process'); if (process.argv[2]) { process.send('from child'); process.disconnect() } else c.fork(__filename, ['x']).on('message', (m) => console.log(m)).on('exit', (n) => console.log(n))",
    "cluster": "const c = require('cluster'); if (c.isPrimary) c.fork().on('exit', (n) => console.log('worker', n)); else process.exit(7)",
    "worker": "const { Worker, isMainThread, parentPort, workerData } = require('worker_threads'); if (isMainThread) { const w = new Worker(__filename, { workerData: 7 }); w.on('message', (m) => console.log(m)); w.on('exit', (c) => console.log(c)) } else parentPort.postMessage(6 * workerData)",
    "workers": "const { Worker, isMainThread, parentPort } = require('worker_threads'); if (isMainThread) { let n = 0; for (let i = 0; i < 4; i++) new Worker(__filename).on('message', (m) => { n += m; if (n === 4000) console.log(n) }) } else { const a = []; for (let i = 0; i < 1000; i++) a.push({ i }); parentPort.postMessage(a.length) }",
    "error in a worker": "new (require('worker_threads').Worker)('throw new Error(\"in worker\")', { eval: true }).on('error', (e) => { throw e })",
    "shared memory": "const a = new Int32Array(new SharedArrayBuffer(4)); console.log(Atomics.wait(a, 0, 0, 20))",
    "garbage": "let a; for (let k = 0; k < 40; k++) { a = []; for (let i = 0; i < 50000; i++) a.push({ i, s: 'x' + i }) } console.log(a.length)",
    "buffers": "let n = 0; for (let i = 0; i < 100; i++) n += Buffer.alloc(1 << 20, 1).length; console.log(n, new Float64Array(1e6).reduce((a, b) => a + b), Buffer.allocUnsafe(100).length)",
    "hot loop": "let t = 0; for (let i = 0; i < 3e7; i++) t = (t * 31 + i) | 0; console.log(t)",
    "crypto": "const c = require('crypto'); console.log(c.createHash('sha256').update('x').digest('hex')); c.pbkdf2('a', 'b', 10, 8, 'sha1', (e, k) => { console.log(k); c.generateKeyPair('ec', { namedCurve: 'P-256' }, (e, k) => console.log(k.type)) })",
    "zlib": "const z = require('zlib'); z.gzip('x'.repeat(1000), (e, b) => z.gunzip(b, (e, r) => console.log(r.length)))",
    "http": "const h = require('http'); const s = h.createServer((q, r) => r.end('served')).listen(0, '127.0.0.1', () => h.get({ port: s.address().port, host: '127.0.0.1' }, (r) => r.on('data', (d) => { console.log(d.toString()); s.close() })))",
    "no network": "require('net').connect(9, '192.0.2.1').on('error', (e) => console.log(e.code))",
    "intl": "console.log(new Intl.NumberFormat('de-DE').format(1234.5), (1e6).toLocaleString(), 'a'.localeCompare('B'), Intl.DateTimeFormat().resolvedOptions().locale)",
    "wasm": "WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11])).then((m) => console.log(m.instance.exports.f()))",
    "inspection": "console.trace('here'); function f() { return new Error('x').stack } console.log(f()); console.log(process.getActiveResourcesInfo(), process._getActiveHandles().length)",
    "warnings": "process.emitWarning('careful'); new Buffer(1)",
    "vm": "const vm = require('vm'); console.log(vm.runInNewContext('a + 1', { a: 1 }), vm.runInThisContext('typeof require'), new vm.Script('1+1').runInThisContext())",
    "eval": "console.log(eval('1 + 1'), new Function('a', 'return a * 2')(4))",
    "large output": "process.stdout.write('x'.repeat(300000)); console.log('end')",
    "large output and exit": "process.stdout.write('x'.repeat(60000)); process.exit(2)",
    "binary output": "process.stdout.write(Buffer.from(Array.from({ length: 256 }, (_, i) => i)))",
    "stdout closed": "require('fs').closeSync(1); console.log('lost')",
    "heap limit": "console.log(Math.round(require('v8').getHeapStatistics().heap_size_limit / 2 ** 20))",
    "heap filled": "const x = []; for (;;) x.push(new Array(1000).fill(0).map((_, i) => ({ i })))",
    "other memory": {"code": "console.log(Math.round(require('v8').getHeapStatistics().heap_size_limit / 2 ** 20))", "limits": {"memory_bytes": 256 << 20}},
    "cpu limit": {"code": "for (;;);", "limits": {"cpu_ms": 300}},
    "wall limit": {"code": "setTimeout(() => {}, 60000)", "limits": {"wall_ms": 300}},
    "memory limit": {"code": "const x = []; for (;;) x.push(Buffer.alloc(1 << 22, 1))"},
    "process limit": {"code": "const c = require('child_process'); for (let i = 0; i < 100; i++) c.spawn('sleep', ['10']).on('error', () => {})", "limits": {"processes": 40}},
    "file limit": {"code": "require('fs').writeFileSync('/tmp/x', Buffer.alloc(2 << 20))", "limits": {"file_bytes": 1 << 20}},
    "output limit": {"code": "for (;;) require('fs').writeSync(1, 'x'.repeat(1000))", "limits": {"output_bytes": 100000}},
}
JAVASCRIPT_COLD = {"variables for the start", "other memory"}


R = {
    "hello": "cat('hello\\n')",
    "nothing": "#",
    "visible": "1 + 1\nx <- 3\nx\ninvisible(4)\nsummary(lm(dist ~ speed, cars))$r.squared; head(iris, 2); y ~ x",
    "arguments": {"code": "print(commandArgs(TRUE)); print(commandArgs())", "args": ["a", "b c", "--flag", "-e"]},
    "session": "print(search()); print(loadedNamespaces()[1:3]); print(ls(all.names = TRUE)); print(interactive()); print(sys.nframe()); print(getwd())",
    "environment": {"code": "x <- Sys.getenv(); x <- x[names(x) != 'R_SESSION_TMPDIR']; cat(paste0(names(x), '=', x), sep = '\\n'); system('env | grep -v RTMP | grep -v R_SESSION | sort')", "env": {"A": "1", "B": "x=2", "EMPTY": ""}},
    "variables for the start": {"code": "cat(Sys.time() > 0, format(as.POSIXct(0, origin = '1970-01-01'), '%H'))", "env": {"TZ": "Asia/Tokyo"}},
    "temporary": "cat(file.exists(tempdir()), dirname(tempdir()), Sys.getenv('R_SESSION_TMPDIR') == tempdir(), basename(tempfile('a')) != ''); writeLines('a', tempfile())",
    "who": "cat(Sys.getpid() > 1, Sys.info()[['user']], Sys.info()[['nodename']], file.access('.', 2))",
    "status": "x <- readLines('/proc/self/status'); cat(grep('^(Cap|NoNew|Seccomp|Groups|SigBlk|SigIgn)', x, value = TRUE), sep = '\\n')",
    "descriptors": "print(list.files('/proc/self/fd'))",
    "descriptors of a child": "system('ls /proc/self/fd')",
    "stop": "f <- function(x) stop('bad: ', x)\nf(1)",
    "log": "log('a')",
    "syntax error": "cat('first\\n')\nx +",
    "unexpected": "cat('first\\n')\n1 2",
    "unknown": "nope",
    "unknown function": "nope(1)",
    "own condition": "stop(structure(class = c('mine', 'error', 'condition'), list(message = 'own', call = NULL)))",
    "warnings": "warning('careful'); message('note'); f <- function() warning('in f'); f(); as.integer('x')",
    "warning as error": "options(warn = 2); as.integer('x')",
    "finally": "tryCatch(stop('inner'), finally = cat('finally\\n'))",
    "caught": "try(stop('caught'), silent = TRUE)\ntryCatch(stop('a'), error = function(e) print(conditionMessage(e)))\nwithCallingHandlers(warning('w'), warning = function(w) invokeRestart('muffleWarning'))",
    "calls": "f <- function() { print(sys.calls()); print(sys.function()) }\nf()",
    "quit": "quit(status = 3)",
    "quit in a function": "f <- function() q('no', 255, FALSE)\nf(); cat('never')",
    "last": ".Last <- function() cat('last\\n')",
    "at exit": "reg.finalizer(globalenv(), function(e) cat('final\\n'), onexit = TRUE); invisible(1)",
    "on exit": "f <- function() { on.exit(cat('left\\n')); stop('x') }\nf()",
    "recursion": "f <- function(n) f(n + 1)\ntryCatch(f(0), error = function(e) cat(class(e), '\\n'))",
    "stdin": {"code": "print(readLines(file('stdin'), warn = FALSE)); print(readline('? '))", "stdin": "some\nlines"},
    "scan": {"code": "print(sum(scan(file('stdin'), quiet = TRUE)))", "stdin": "1 2\n3"},
    "no stdin": "print(readLines(file('stdin')))",
    "rest of the file": "x <- readLines(stdin(), 1)\nprint(x)",
    "frame": "d <- data.frame(a = 1:4, b = c('x', 'y', 'x', 'y')); print(tapply(d$a, d$b, sum)); print(aggregate(a ~ b, d, mean)); str(d); summary(d); d[order(-d$a), ]; merge(d, d, by = 'b')",
    "csv": "write.csv(data.frame(a = 1:2), 'x.csv', row.names = FALSE); print(sum(read.csv('x.csv')$a)); saveRDS(1:3, 'x.rds'); print(readRDS('x.rds'))",
    "plot": "pdf('x.pdf'); plot(1:10); hist(c(1, 2, 2)); invisible(dev.off()); cat(file.size('x.pdf') > 500); plot(1:3); cat(file.exists('Rplots.pdf'))",
    "svg": "svg('x.svg'); plot(1:3); invisible(dev.off()); cat(file.size('x.svg') > 500)",
    "files": {"files": [{"path": "a/main.R", "content": "source('a/lib.R'); cat(f(), getwd(), commandArgs()[4], readLines('a/data'), '\\n'); stop('here')"}, {"path": "a/lib.R", "content": "f <- function() 'sourced'"}, {"path": "a/data", "content": "data\n"}]},
    "parallel": "library(parallel); cat(unlist(mclapply(1:4, function(i) i^2, mc.cores = 2)), detectCores() >= 1)",
    "cluster": "library(parallel); k <- makeCluster(2); cat(parSapply(k, 1:3, function(x) x + 1)); stopCluster(k)",
    "system": "cat(system('echo child', intern = TRUE), system2('sh', c('-c', shQuote('exit 3'))), system('kill -9 $$'))",
    "garbage": "x <- NULL; for (i in 1:50) x <- as.list(1:1e5); gc()[1] > 0; length(x)",
    "large": "x <- numeric(0); for (i in 1:20) x <- c(x, rnorm(2e5)); cat(length(x)); y <- matrix(runif(250000), 500); cat(dim(solve(y)))",
    "numbers": "set.seed(1); print(runif(3)); print(rnorm(2)); print(sample(10)); print(solve(matrix(c(2, 1, 1, 3), 2))); RNGkind()",
    "packages": "library(stats4); library(splines); library(tools); print(search()[2:4]); library(nosuchpackage)",
    "time": "cat(Sys.timezone(), format(as.POSIXct(0, origin = '1970-01-01'), '%H'), l10n_info()$`UTF-8`)",
    "locale": "print(Sys.getlocale()); print(sort(c('b', 'A', 'a'))); print(toupper('\u00e9')); print(nchar('\u00e9'))",
    "options": "o <- options(); print(names(o)); print(o[c('warn', 'digits', 'width', 'encoding', 'keep.source', 'echo', 'verbose', 'defaultPackages', 'device')])",
    "methods": "setClass('P', representation(x = 'numeric')); setMethod('show', 'P', function(object) cat('P', object@x, '\\n')); new('P', x = 1); A <- setRefClass('A', fields = list(n = 'numeric')); A$new(n = 1)$n",
    "strings": "print(sprintf('%5.2f %s', pi, 'x')); print(gsub('(a)', '<\\\\1>', 'banana')); print(strsplit('a,b', ',')); cat(format(Sys.Date(), '%Y') > '2000')",
    "killed": "tools::pskill(Sys.getpid(), 9); Sys.sleep(5)",
    "terminated": "tools::pskill(Sys.getpid(), 15); Sys.sleep(5)",
    "interrupt": "tools::pskill(Sys.getpid(), 2); Sys.sleep(5); cat('on')",
    "large output": "cat(strrep('x', 300000))",
    "stderr": "cat('err\\n', file = stderr()); write('more', stderr()); message('m')",
    "cpu limit": {"code": "repeat {}", "limits": {"cpu_ms": 600}},
    "wall limit": {"code": "Sys.sleep(60)", "limits": {"wall_ms": 600}},
    "memory limit": {"code": "x <- list(); repeat x <- c(x, list(numeric(1e6) + 1))", "limits": {"memory_bytes": 200 << 20}},
    "file limit": {"code": "writeBin(raw(2 * 1024 * 1024), '/tmp/x')", "limits": {"file_bytes": 1 << 20}},
    "process limit": {"code": "for (i in 1:60) system('sleep 10', wait = FALSE)", "limits": {"processes": 30}},
    "output limit": {"code": "repeat cat(strrep('x', 1000))", "limits": {"output_bytes": 100000}},
}
R_COLD = {"variables for the start"}


def java(body, around="import java.util.*;\nimport java.util.stream.*;\npublic class Main { %s }"):
    return around % body


def main(body):
    return java("public static void main(String[] a) throws Exception { %s }" % body)


JAVA = {
    "hello": main("System.out.println(1);"),
    "nothing": main(""),
    "arguments": {"code": main("System.out.println(Arrays.toString(a) + System.getProperty(\"sun.java.command\"));"), "args": ["a", "b c", "\u00e4"]},
    "environment": {"code": main("System.out.println(new TreeMap<>(System.getenv())); new ProcessBuilder(\"sh\", \"-c\", \"env | sort\").inheritIO().start().waitFor();"), "env": {"A": "1", "B": "x=2", "EMPTY": ""}},
    "variables for the start": {"code": main("System.out.println(System.getProperty(\"x\"));"), "env": {"JAVA_TOOL_OPTIONS": "-Dx=5"}},
    "properties": main("System.out.println(new TreeMap<Object, Object>(System.getProperties()));"),
    "thread": main("Thread t = Thread.currentThread(); System.out.println(t + \" \" + t.getId() + \" \" + t.isDaemon() + \" \" + Thread.activeCount() + \" \" + new Thread().getName());"),
    "loader": main("System.out.println(Main.class.getClassLoader().getClass() + \" \" + ClassLoader.getSystemClassLoader().getClass());"),
    "trace": main("new Exception(\"shown\", new RuntimeException(\"why\")).printStackTrace(); System.out.println(Thread.currentThread().getStackTrace().length); StackWalker.getInstance().forEach(System.out::println);"),
    "uncaught": java("static void f() { throw new IllegalStateException(\"a\\\"b\\n\u00e9\", new RuntimeException(\"why\")); } public static void main(String[] a) { f(); }"),
    "null": main("Object o = null; o.toString();"),
    "overflow": main("main(a);"),
    "heap filled": main("byte[][] x = new byte[9999][]; for (int i = 0;; i++) x[i] = new byte[1 << 24];"),
    "own exception": java("static class Mine extends Exception { } public static void main(String[] a) throws Mine { throw new Mine(); }"),
    "initialiser": java("static int x = 1 / Integer.parseInt(\"0\"); public static void main(String[] a) { }"),
    "no main": java("static void notMain() { }"),
    "exit": main("Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println(\"bye\"))); System.exit(3);"),
    "halt": main("Runtime.getRuntime().halt(4);"),
    "thread throws": main("Thread t = new Thread(() -> { throw new RuntimeException(\"other\"); }, \"w\"); t.start(); t.join();"),
    "outlived": main("new Thread(() -> { try { Thread.sleep(100); } catch (InterruptedException e) { } System.out.println(\"later\"); }).start(); throw new Exception(\"first\");"),
    "daemon": main("Thread t = new Thread(() -> { for (;;) { } }); t.setDaemon(true); t.start(); System.out.println(\"end\");"),
    "stdin": {"code": main("Scanner s = new Scanner(System.in); while (s.hasNextLine()) System.out.println(s.nextLine());"), "stdin": "some\nlines"},
    "no stdin": main("System.out.println(System.in.read());"),
    "who": main("System.out.println(new java.io.File(\".\").getCanonicalPath() + (ProcessHandle.current().pid() > 1) + java.net.InetAddress.getLocalHost().getHostName());"),
    "status": main("java.nio.file.Files.lines(java.nio.file.Path.of(\"/proc/self/status\")).filter(l -> l.matches(\"(Cap|NoNew|Seccomp|Groups).*\")).forEach(System.out::println);"),
    "descriptors of a child": main("new ProcessBuilder(\"ls\", \"/proc/self/fd\").inheritIO().start().waitFor();"),
    "limits of the process": main("java.nio.file.Files.lines(java.nio.file.Path.of(\"/proc/self/limits\")).forEach(System.out::println);"),
    "memory": main("System.out.println(Runtime.getRuntime().maxMemory() + \" \" + Runtime.getRuntime().availableProcessors());"),
    "streams": main("System.out.println(IntStream.range(0, 1000).parallel().sum()); System.out.println(IntStream.range(0, 10).boxed().map(x -> \"v\" + x * x).collect(Collectors.toList()));"),
    "pool": main("var p = java.util.concurrent.Executors.newFixedThreadPool(20); int s = 0; for (var f : p.invokeAll(Collections.nCopies(20, (java.util.concurrent.Callable<String>) () -> Thread.currentThread().getName()))) s += f.get().startsWith(\"pool-1-thread-\") ? 1 : 0; p.shutdown(); System.out.println(s);"),
    "future": main("System.out.println(java.util.concurrent.CompletableFuture.supplyAsync(() -> 6).thenApply(x -> x * 7).get());"),
    "garbage": main("List<byte[]> l = new ArrayList<>(); for (int i = 0; i < 400; i++) { l.add(new byte[1 << 20]); if (l.size() > 20) l.clear(); } System.gc(); System.out.println(\"gc\");"),
    "hot loop": main("long s = 0; for (int i = 0; i < 50_000_000; i++) s += i * 31L; System.out.println(s);"),
    "process": main("System.out.print(new String(new ProcessBuilder(\"echo\", \"child\").start().getInputStream().readAllBytes())); System.out.println(new ProcessBuilder(\"sh\", \"-c\", \"exit 3\").start().waitFor());"),
    "files of its own": main("var t = java.nio.file.Files.createTempFile(\"a\", \"b\"); java.nio.file.Files.writeString(t, \"x\"); System.out.println(java.nio.file.Files.readString(t) + java.nio.file.Files.list(java.nio.file.Path.of(\".\")).sorted().collect(Collectors.toList()) + new java.io.File(\"x\").getAbsolutePath());"),
    "sockets": main("var s = new java.net.ServerSocket(0); var c = new java.net.Socket(\"localhost\", s.getLocalPort()); s.accept().getOutputStream().write(7); System.out.println(c.getInputStream().read());"),
    "channels": main("var p = java.nio.channels.Pipe.open(); var s = java.nio.channels.Selector.open(); p.source().configureBlocking(false); p.source().register(s, 1); p.sink().write(java.nio.ByteBuffer.wrap(new byte[1])); System.out.println(s.select(1000));"),
    "timer": main("var t = new Timer(); t.schedule(new TimerTask() { public void run() { System.out.println(\"tick\"); t.cancel(); } }, 10);"),
    "shapes": java("record P(int x, int y) { } sealed interface S permits A { } record A(int v) implements S { } enum E { X, Y } public static void main(String[] a) { S s = new A(1); System.out.println(new P(1, 2) + \" \" + (s instanceof A q ? q.v() : 0) + switch (E.X) { case X -> \"x\"; case Y -> \"y\"; }); }"),
    "format": main("System.out.printf(\"%%d %%5.2f %%s %%x%%n\", 1, 1.5, \"s\", 255); System.out.println(new java.text.DecimalFormat(\"#,##0.0\").format(1234.5) + Locale.getDefault() + java.nio.charset.Charset.defaultCharset() + TimeZone.getDefault().getID());"),
    "another name": java("System.out.println(2);", "class Other { public static void main(String[] a) { %s } }"),
    "package": java("System.out.println(Main.class);", "package a.b;\npublic class Main { public static void main(String[] a) { %s } }"),
    "files": {"files": [{"path": "Main.java", "content": "public class Main { public static void main(String[] a) { System.out.println(Helper.x()); throw new RuntimeException(\"here\"); } }"}, {"path": "Helper.java", "content": "class Helper { static int x() { return 5; } }"}]},
    "compile error": java("int x = \"text\"; void f() { undefined(); }"),
    "compile error of syntax": java("void f( { "),
    "compile error in a file": {"files": [{"path": "Main.java", "content": "public class Main { public static void main(String[] a) { Helper.y(); } }"}, {"path": "lib/Helper.java", "content": "class Helper { }"}]},
    "warning": {"code": main("List l = new ArrayList(); l.add(1); System.out.println(l);"), "compile": {"args": ["-Xlint:all"]}},
    "warnings are errors": {"code": main("List l = new ArrayList(); l.add(1);"), "compile": {"args": ["-Xlint:all", "-Werror"]}},
    "unknown option": {"code": main(""), "compile": {"args": ["-nosuchflag"]}},
    "options for the JVM": {"code": main("System.out.println(1);"), "compile": {"args": ["-J-Xmx200m"]}},
    "older language": {"code": main("var x = 1;"), "compile": {"args": ["--release", "8"]}},
    "large output": main("System.out.println(\"x\".repeat(300000));"),
    "killed": main("new ProcessBuilder(\"sh\", \"-c\", \"kill -9 \" + ProcessHandle.current().pid()).start().waitFor(); Thread.sleep(5000);"),
    "terminated": main("Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println(\"bye\"))); new ProcessBuilder(\"sh\", \"-c\", \"kill \" + ProcessHandle.current().pid()).start().waitFor(); Thread.sleep(5000);"),
    "other memory": {"code": main("System.out.println(Runtime.getRuntime().maxMemory());"), "limits": {"memory_bytes": 256 << 20}},
    "cpu limit": {"code": main("for (;;);"), "limits": {"cpu_ms": 600}},
    "wall limit": {"code": main("Thread.sleep(60000);"), "limits": {"wall_ms": 600}},
    "memory limit": main("var u = Class.forName(\"sun.misc.Unsafe\").getDeclaredField(\"theUnsafe\"); u.setAccessible(true); var m = (sun.misc.Unsafe) u.get(null); for (;;) { long p = m.allocateMemory(1 << 22); m.setMemory(p, 1 << 22, (byte) 1); }"),
    "process limit": {"code": main("for (int i = 0; i < 200; i++) { Thread t = new Thread(() -> { try { Thread.sleep(9000); } catch (Exception e) { } }); t.setDaemon(true); t.start(); }"), "limits": {"processes": 60}},
    "file limit": {"code": main("java.nio.file.Files.write(java.nio.file.Path.of(\"/tmp/x\"), new byte[2 << 20]);"), "limits": {"file_bytes": 1 << 20}},
    "output limit": {"code": main("for (;;) System.out.println(\"x\".repeat(1000));"), "limits": {"output_bytes": 100000}},
    "compiler's time": {"code": main("System.out.println(1);"), "compile": {"limits": {"cpu_ms": 30000}}},
}
JAVA_COLD = {"variables for the start", "options for the JVM", "other memory"}


RUBY = {
    "hello": "puts 1",
    "nothing": "\n",
    "short": "1",
    "no newline": "print 1",
    "exit code": "exit 3",
    "exit code of false": "exit false",
    "exit!": "puts 'lost?'; $stdout.flush; exit! 4",
    "abort": "abort 'words'",
    "uncaught": "def f(x)\n  1 / x\nend\nf(0)",
    "uncaught with cause": "begin\n  {}.fetch(:k)\nrescue KeyError\n  raise ArgumentError, 'v'\nend",
    "uncaught in the first line": "raise 'x'",
    "wrong name": "x = 5\nputs lenght(x)",
    "highlighted": "puts 1.time {}\n",
    "highlighted in a line": "[1].first.foo.bar",
    "syntax error": "def f(\nend",
    "syntax error in the first line": "puts )",
    "recursion": "def f() = f\nf",
    "thrown": "throw :x",
    "stack": "def f = puts(caller, caller_locations(0).map(&:to_s), __method__, __FILE__, __LINE__, __dir__)\nf",
    "comment first": "#\nraise 'x'",
    "document first": "=begin\nwords\n=end\nraise 'x'",
    "end first": "__END__\nraise 'x'",
    "magic comment": "# frozen_string_literal: true\np 'a'.frozen?, __ENCODING__",
    "encoding comment": "# encoding: iso-8859-1\np 'a'.encoding, __ENCODING__, __LINE__",
    "first line of options": "#!/usr/bin/ruby -w\np $VERBOSE, __LINE__",
    "byte order mark": "\ufeffp __LINE__, __ENCODING__",
    "not ascii": "é = 'ü'\nputs é, é.length, é.encoding",
    "data": "p DATA.read, DATA.pos, DATA.path, DATA.lineno\nDATA.rewind\np DATA.gets\n__END__\nsome\ndata",
    "much code": "# " + "x" * 9000 + "\n" + "$a = 1\n" * 3000 + "p __LINE__, $a\nraise 'end'",
    "argv": {"code": "p ARGV, $0, $PROGRAM_NAME, __FILE__, $*, ARGV.map(&:encoding), ARGV.map(&:frozen?), ARGF.filename", "args": ["a", "b c", "\u00e4", "--flag"]},
    "options": {"code": "require 'optparse'\np OptionParser.new { |o| o.on('-x N', Integer) { |n| p n } }.parse!, ARGV", "args": ["-x", "5", "rest"]},
    "environment": {"code": "p ENV.to_h.sort; system 'env | sort'; ENV['C'] = '3'; puts `echo $C`", "env": {"A": "1", "B": "\u00e4=2", "EMPTY": ""}},
    "variables for the start": {"code": "p $VERBOSE", "env": {"RUBYOPT": "-w"}},
    "stdin": {"code": "puts $stdin.read.upcase", "stdin": "some\nlines\n"},
    "gets": {"code": "p gets, STDIN.gets, $., ARGF.read", "stdin": "one\ntwo\nthree\n"},
    "no stdin": "p gets, $stdin.read, $stdin.eof?",
    "streams": {"code": "[$stdin, $stdout, $stderr].each { |io| p io.class, io.fileno, io.tty?, io.sync, io.external_encoding, io.lineno rescue p $!.class }", "stdin": "x"},
    "seekable": {"code": "p $stdin.pos, $stdin.seek(1), $stdin.read", "stdin": "abc"},
    "descriptors": "p Dir.children('/proc/self/fd').map(&:to_i).select { |n| File.exist?(\"/proc/self/fd/#{n}\") || File.symlink?(\"/proc/self/fd/#{n}\") }.sort",
    "descriptors of a child": "puts `ls /proc/self/fd`; system 'ls /proc/self/fd'",
    "next descriptor": "p File.open('/dev/null').fileno, IO.pipe.map(&:fileno)",
    "features": "p $LOADED_FEATURES.size, $LOADED_FEATURES, $LOAD_PATH, Object.constants.sort",
    "what there is": "p global_variables.sort, local_variables, self.inspect, ObjectSpace.each_object(Class).count { |c| c.name }, Thread.list.size, Signal.trap('INT', 'DEFAULT')",
    "required": "require 'json'; require 'set'; require 'time'; puts JSON.pretty_generate({ a: [1, nil] }), Time.at(0).utc.iso8601, $LOADED_FEATURES.size",
    "not required": "p defined?(JSON), defined?(Set), defined?(Date), defined?(OpenStruct), defined?(Gem), defined?(DidYouMean)",
    "gems": "p Gem::VERSION, Gem.path, Gem.user_dir, Gem.loaded_specs.keys.sort\ngem 'nothing'",
    "who": "p Process.uid, Process.gid, Process.groups, Process.getsid == Process.pid, Dir.pwd, File.umask, Process.getpriority(Process::PRIO_PROCESS, 0), Process.ppid, $$, Dir.home",
    "limits": "p %i[NOFILE CORE CPU FSIZE AS STACK NPROC MEMLOCK].map { |n| [n, Process.getrlimit(n)] }; puts File.read('/proc/self/limits')",
    "status": "puts File.readlines('/proc/self/status').grep(/^(Name|Cap|NoNew|Seccomp|Sig|Groups|Threads|Pid|PPid)/)",
    "scheduling": "puts File.read('/proc/self/sched_nice') rescue puts Process.getpriority(Process::PRIO_PROCESS, 0)\nbegin; Process.setpriority(Process::PRIO_PROCESS, 0, -5); rescue SystemCallError; p $!.class; end",
    "cgroup": "puts File.read('/proc/self/cgroup')",
    "files": {"files": [{"path": "main.rb", "content": "require_relative 'lib/helper'\np X, __dir__, File.read('data'), $0\nraise 'here'"}, {"path": "lib/helper.rb", "content": "X = __FILE__"}, {"path": "data", "content": "data"}]},
    "another name": {"files": [{"path": "pkg/other.rb", "content": "p __FILE__, $0, __LINE__\nraise 'there'"}]},
    "at_exit": "at_exit { puts 'first' }\nat_exit { puts 'last' }\nputs 'hi'",
    "at_exit and an error": "at_exit { p $! }\nraise 'x'",
    "at_exit that fails": "at_exit { raise 'y' }\nputs 1",
    "at_exit that exits": "at_exit { exit 7 }\nraise 'x'",
    "BEGIN and END": "END { puts 'end' }\nputs 'middle'\nBEGIN { puts 'begin' }",
    "finalizers": "ObjectSpace.define_finalizer(Object.new, proc { puts 'gone' })\nputs 'here'",
    "stdout closed": "$stdout.close\nputs 'lost'",
    "stderr": "puts 'out'; warn 'err'; $stderr.print 'no newline'",
    "warnings": "warn 'careful', uplevel: 0\np $VERBOSE, Warning[:deprecated], Warning[:experimental]",
    "threads": "t = 3.times.map { |i| Thread.new { sleep 0.01; i } }\np t.map(&:value), Thread.main == Thread.current",
    "a thread that fails": "Thread.report_on_exception = false\nThread.new { raise 'in thread' }.join",
    "threads at the end": "Thread.new { sleep 60 }\nputs 'main'",
    "ractor": "Warning[:experimental] = false\np Ractor.new { 6 * 7 }.take",
    "fork": "pid = fork { puts 'child'; exit! 5 }\np Process.wait2(pid)[1].exitstatus",
    "a forked child that fails": "fork { raise 'child' }\nProcess.wait\np $?.exitstatus",
    "subprocess": "p `ruby -e 'p ARGV, ENV.size, $0' a`, $?.exitstatus; p system('exit 3'), $?.exitstatus",
    "exec": "exec 'echo', 'became'",
    "timeout": "require 'timeout'\nbegin; Timeout.timeout(0.05) { sleep 5 }; rescue Timeout::Error; puts 'late'; end",
    "signal handler": "trap('USR1') { puts 'usr1' }\nProcess.kill('USR1', $$); sleep 0.05",
    "killed": "Process.kill(9, $$)",
    "terminated": "Process.kill('TERM', $$); sleep 5",
    "interrupted": "Process.kill('INT', $$); sleep 5",
    "locale": "p Encoding.default_external, Encoding.default_internal, Encoding.find('locale'), Encoding.find('filesystem'), Time.at(0).zone, Time.now.utc_offset",
    "clock": "p Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) < 5, Process.clock_gettime(Process::CLOCK_MONOTONIC) > 0, (Time.now.to_f - File.mtime('main.rb').to_f).abs < 5",
    "tempfile": "require 'tempfile'; Tempfile.create('x') { |f| p f.path[0, 6] }; p Dir.children('/tmp'), Dir.children('.')",
    "method objects": "p method(:puts).owner, Kernel.instance_method(:require).source_location&.first, TOPLEVEL_BINDING.local_variables, RubyVM::InstructionSequence.of(method(:p)).inspect",
    "garbage": "x = 200_000.times.map { |i| i.to_s }; GC.start; p x.size, GC.count > 0, GC.stress, GC.disable",
    "large output": "print 'x' * 300_000",
    "binary output": "$stdout.binmode; print (0..255).map(&:chr).join",
    "cpu limit": {"code": "loop {}", "limits": {"cpu_ms": 300}},
    "wall limit": {"code": "sleep 60", "limits": {"wall_ms": 300}},
    "memory limit": {"code": "x = []; loop { x << 'x' * (1 << 20) }", "limits": {"memory_bytes": 100 << 20}},
    "little memory": {"code": "puts 1", "limits": {"memory_bytes": 24 << 20}},
    "process limit": {"code": "loop { fork { sleep 5 } }", "limits": {"processes": 20}},
    "file limit": {"code": "File.write('/tmp/x', 'x' * (2 << 20))", "limits": {"file_bytes": 1 << 20}},
    "output limit": {"code": "loop { puts 'x' * 1000 }", "limits": {"output_bytes": 100000}},
    "few files": {"code": "f = []\nbegin\n  loop { f << File.open('/dev/null') }\nrescue Errno::EMFILE\n  p f.size\nend", "limits": {"open_files": 40}},
    "denied": "syscall 272, 0x20000",
}
RUBY_COLD = {"variables for the start", "another name", "first line of options", "little memory"}

PHP = {
    "hello": "<?php echo 1;",
    "nothing": "\n",
    "plain text": "text <?= 1 + 1 ?> more\n",
    "exit code": "<?php exit(3);",
    "exit with words": "<?php exit('words');",
    "uncaught": "<?php\nfunction f($x) { return intdiv(1, $x); }\nf(0);",
    "uncaught with cause": "<?php try { throw new LogicException('a'); } catch (Exception $e) { throw new RuntimeException('b', 0, $e); }",
    "syntax error": "<?php echo (;",
    "fatal error": "<?php abstract class A { abstract function f(); } class B extends A {}",
    "user error": "<?php trigger_error('mine', E_USER_ERROR); echo 'not reached';",
    "warnings": "<?php echo $undefined; $a = [1]; echo $a['k'], 1 / 3, PHP_EOL; trigger_error('w', E_USER_WARNING); @trigger_error('n');",
    "handlers of its own": "<?php set_error_handler(fn ($n, $m) => print $m); set_exception_handler(fn ($e) => print get_class($e)); echo $undefined; throw new Exception;",
    "shutdown": "<?php register_shutdown_function(function () { echo 'bye', json_encode(error_get_last()); }); echo 'hi'; nope();",
    "destructors": "<?php class A { function __destruct() { echo 'gone'; } } $a = new A; echo 'here';",
    "backtrace": "<?php function f() { debug_print_backtrace(); var_dump(debug_backtrace()); } f(); echo __FILE__, __LINE__, __DIR__;",
    "first line": "#!/usr/bin/php\n<?php echo __LINE__;",
    "strict": "<?php declare(strict_types=1); strlen(5);",
    "halt": "<?php echo file_get_contents(__FILE__, false, null, __COMPILER_HALT_OFFSET__); __halt_compiler();some data",
    "much code": "<?php // " + "x" * 9000 + "\n" + "$a = 1;\n" * 3000 + "echo __LINE__;",
    "argv": {"code": "<?php var_dump($argv, $argc, $_SERVER['argv'], $_SERVER['argc'], getopt('x:'), $GLOBALS['argv']); function f() { global $argv; return count($argv); } echo f();", "args": ["-x", "b c", "\u00e4", "--flag"]},
    "arguments": {"code": "<?php echo $argc;", "args": ["a"]},
    "no arguments": "<?php var_dump($argv, $argc, $_SERVER['argc']);",
    "server": "<?php $s = $_SERVER; unset($s['REQUEST_TIME'], $s['REQUEST_TIME_FLOAT']); var_dump($s, $_GET, $_ENV, abs($_SERVER['REQUEST_TIME'] - time()) < 3);",
    "environment": {"code": "<?php var_dump(getenv(), getenv('A'), $_SERVER['B']); putenv('C=3'); system('env | sort');", "env": {"A": "1", "B": "\u00e4=2", "EMPTY": ""}},
    "variables for the start": {"code": "<?php echo php_ini_scanned_files();", "env": {"PHP_INI_SCAN_DIR": "/nowhere"}},
    "stdin": {"code": "<?php echo strtoupper(stream_get_contents(STDIN));", "stdin": "some\nlines\n"},
    "lines": {"code": "<?php echo trim(fgets(STDIN)), '|', fgets(STDIN), '|', file_get_contents('php://stdin'); var_dump(feof(STDIN), readline());", "stdin": "one\ntwo\nthree\n"},
    "no stdin": "<?php var_dump(fgets(STDIN), feof(STDIN));",
    "streams": {"code": "<?php foreach ([STDIN, STDOUT, STDERR] as $s) { var_dump($s, stream_get_meta_data($s), stream_isatty($s), fstat($s)['mode']); }", "stdin": "x"},
    "seekable": {"code": "<?php var_dump(ftell(STDIN), fseek(STDIN, 1), fgets(STDIN));", "stdin": "abc"},
    "descriptors": "<?php foreach (scandir('/proc/self/fd') as $f) if (is_link(\"/proc/self/fd/$f\")) echo $f, ' ';",
    "descriptors of a child": "<?php system('ls /proc/self/fd');",
    "numbers of things": "<?php var_dump(new stdClass, fopen('/dev/null', 'r'), fn () => 1, spl_object_id(new ArrayObject));",
    "what there is": "<?php var_dump(array_keys(get_defined_vars()), get_defined_functions()['user'], count(get_declared_classes()), get_included_files(), get_defined_constants(true)['user'] ?? null, get_loaded_extensions(), get_include_path(), ob_get_level(), error_reporting());",
    "settings": "<?php foreach (['memory_limit', 'display_errors', 'log_errors', 'max_execution_time', 'html_errors', 'implicit_flush', 'auto_prepend_file', 'variables_order', 'register_argc_argv', 'date.timezone', 'precision', 'include_path', 'sys_temp_dir'] as $n) var_dump($n, ini_get($n)); echo php_ini_loaded_file(), php_ini_scanned_files(), PHP_BINARY, PHP_SAPI, PHP_VERSION, PHP_OS;",
    "memory": "<?php var_dump(memory_get_usage() < 1 << 20, memory_get_peak_usage(true) <= 4 << 20, gc_status()['runs']);",
    "who": "<?php var_dump(posix_getuid(), posix_getgid(), posix_getgroups(), posix_getsid(0) === posix_getpid(), getcwd(), umask(), getmypid(), posix_getppid(), get_current_user(), pcntl_getpriority(), getmyuid(), getlastmod() > 1e9);",
    "limits": "<?php var_dump(posix_getrlimit()); echo file_get_contents('/proc/self/limits');",
    "status": "<?php echo implode(preg_grep('/^(Name|Cap|NoNew|Seccomp|Sig|Groups|Threads|Pid|PPid)/', file('/proc/self/status')));",
    "cgroup": "<?php echo file_get_contents('/proc/self/cgroup');",
    "random": "<?php mt_srand(5); echo mt_rand(), ' ', rand() >= 0, strlen(random_bytes(5)), strlen(uniqid()), ' '; mt_srand(7, MT_RAND_PHP); echo mt_rand();",
    "files": {"files": [{"path": "main.php", "content": "<?php require 'lib/helper.php'; echo X, __DIR__, file_get_contents('data'); throw new Exception('here');"}, {"path": "lib/helper.php", "content": "<?php const X = __FILE__;"}, {"path": "data", "content": "data"}]},
    "another name": {"files": [{"path": "pkg/other.php", "content": "<?php echo __FILE__, $argv[0], __LINE__; throw new Exception('there');"}]},
    "missing file": "<?php include 'nothing.php'; require 'nothing.php';",
    "stdout closed": "<?php fclose(STDOUT); echo 'lost';",
    "stderr": "<?php echo 'out'; fwrite(STDERR, 'err'); error_log('logged');",
    "output buffers": "<?php ob_start(fn ($b) => strtoupper($b)); echo 'text'; ob_end_flush(); flush(); header('X-A: b'); var_dump(headers_sent(), headers_list());",
    "fork": "<?php $p = pcntl_fork(); if ($p == 0) { echo 'child'; exit(5); } pcntl_wait($s); echo pcntl_wexitstatus($s);",
    "a forked child that fails": "<?php if (pcntl_fork() == 0) throw new Exception('child'); pcntl_wait($s); echo pcntl_wexitstatus($s);",
    "subprocess": "<?php echo shell_exec('php -r \"echo getenv(\\'HOME\\'), count(getenv());\"'); exec('exit 3', $o, $s); echo $s; $p = proc_open(['cat'], [['pipe', 'r'], ['pipe', 'w']], $pipes); fwrite($pipes[0], 'x'); fclose($pipes[0]); echo stream_get_contents($pipes[1]), proc_close($p);",
    "signal handler": "<?php pcntl_async_signals(true); pcntl_signal(SIGUSR1, fn () => print('usr1')); posix_kill(posix_getpid(), SIGUSR1); usleep(1000);",
    "alarm": "<?php pcntl_async_signals(true); pcntl_signal(SIGALRM, fn () => print('alarm')); pcntl_alarm(1); sleep(5); echo 'on';",
    "time limit of its own": "<?php set_time_limit(1); for (;;);",
    "killed": "<?php posix_kill(posix_getpid(), 9);",
    "terminated": "<?php posix_kill(posix_getpid(), 15); sleep(5);",
    "locale": "<?php var_dump(setlocale(LC_ALL, 0), date_default_timezone_get(), date('T', 0), localeconv()['decimal_point']);",
    "tempfile": "<?php $t = tempnam('', 'x'); echo substr($t, 0, 6), fwrite(tmpfile(), 'x'); unlink($t); var_dump(scandir('/tmp'), scandir('.'));",
    "large output": "<?php echo str_repeat('x', 300000);",
    "binary output": "<?php for ($i = 0; $i < 256; $i++) echo chr($i);",
    "generators and fibers": "<?php function g() { $x = yield 1; echo $x; } $g = g(); echo $g->current(); $g->send('s'); $f = new Fiber(fn () => Fiber::suspend(5)); echo $f->start();",
    "own memory limit": "<?php ini_set('memory_limit', '8M'); $x = str_repeat('x', 1 << 27);",
    "cpu limit": {"code": "<?php for (;;);", "limits": {"cpu_ms": 300}},
    "wall limit": {"code": "<?php sleep(60);", "limits": {"wall_ms": 300}},
    "memory limit": {"code": "<?php for (;;) $x[] = str_repeat('x', 1 << 20);", "limits": {"memory_bytes": 100 << 20}},
    "little memory": {"code": "<?php echo 1;", "limits": {"memory_bytes": 12 << 20}},
    "file limit": {"code": "<?php file_put_contents('/tmp/x', str_repeat('x', 2 << 20));", "limits": {"file_bytes": 1 << 20}},
    "output limit": {"code": "<?php for (;;) echo str_repeat('x', 1000);", "limits": {"output_bytes": 100000}},
    "few files": {"code": "<?php $f = []; while ($h = @fopen('/dev/null', 'r')) $f[] = $h; echo count($f);", "limits": {"open_files": 40}},
}
PHP_COLD = {"argv", "arguments", "variables for the start", "another name", "little memory"}


# A C program is compiled by a fork of cc1, and started as ever.
ITSELF = """#include <stdio.h>
%s
int main(void) {
        unsigned long hash = 5381, size = 0;
        FILE *program = fopen("/proc/self/exe", "rb");
        for (int c; (c = getc(program)) != EOF; size++)
                hash = hash * 33 + c;
        printf("%%lu bytes, %%lx\\n", size, hash);
        return 0;
}
"""


def c_main(body, before="#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"):
    return f"{before}int main(int argc, char **argv) {{\n        {body}\n}}\n"


C = {
    "hello": c_main('puts("hello"); return 0;'),
    "nothing at all": "\n",
    "no main": "int x;\n",
    "exit code": c_main("return 3;"),
    "itself": ITSELF % "",
    "itself, with mathematics": ITSELF % "#include <math.h>\ndouble f(double x) { return sin(x) * pow(x, 3) + cbrt(x); }\nstatic double table[64];\nvoid fill(void) { for (int i = 0; i < 64; i++) table[i] = f(i); }",
    "itself, with threads": ITSELF % "#include <pthread.h>\n#include <stdatomic.h>\nstatic atomic_int n;\nvoid *f(void *x) { n++; return x; }\nint g(void) { pthread_t t; return pthread_create(&t, 0, f, 0) || pthread_join(t, 0) || n; }",
    "itself, with vectors": ITSELF % "void f(float *restrict a, const float *restrict b, int n) { for (int i = 0; i < n; i++) a[i] += b[i] * 2; }\n__thread int here; const char *words[] = { \"a\", \"b\" };\n__attribute__((constructor)) static void first(void) { here = 1; }",
    "itself, with an assembler": ITSELF % "__asm__(\".globl f\\nf: ret\\n\");\nvoid f(void);\nunsigned long g(void) { unsigned long x; f(); __asm__ volatile(\"rdtsc\" : \"=a\"(x) : : \"rdx\"); return x; }",
    "itself, with a switch": ITSELF % "int f(int x) { switch (x) { case 1: return 7; case 2: return 9; case 3: return 4; case 4: return 99; case 5: return 3; } return __builtin_popcount(x); }\n_Complex double z = 1.0 + 2.0i; long double d = 1.5L; __int128 wide = 5; struct { unsigned a : 3, b : 5; } bits = { 1, 2 };",
    "where it is": c_main('printf("%s %d %s %d\\n", __FILE__, __LINE__, __func__, __COUNTER__); puts(__BASE_FILE__); return __INCLUDE_LEVEL__;'),
    "the compiler": c_main('puts(__VERSION__); printf("%ld %d %d %d\\n", __STDC_VERSION__, __OPTIMIZE__, __GNUC__, (int)sizeof(void *)); return 0;'),
    "a fixed date": {"code": c_main('puts(__DATE__ " " __TIME__ " " __TIMESTAMP__ + 0 * argc); return 0;'.replace(' " " __TIMESTAMP__', "")), "env": {"SOURCE_DATE_EPOCH": "1000000000"}},
    "arguments and stdin": {"code": c_main("char line[99]; while (fgets(line, 99, stdin)) fputs(line, stdout); while (*++argv) puts(*argv); return argc;"), "args": ["a", "b c"], "stdin": "one\ntwo\n"},
    "environment": {"code": c_main('extern char **environ; for (char **e = environ; *e; e++) puts(*e); return 0;'), "env": {"A": "1", "B": "x=2"}},
    "who": c_main('printf("%d %d %d\\n", getuid(), getppid() == 1, getsid(0) == getpid()); char b[99]; puts(getcwd(b, 99)); return 0;', "#include <stdio.h>\n#include <unistd.h>\n"),
    "descriptors": c_main('for (int i = 0; i < 99; i++) if (fcntl(i, F_GETFD) >= 0) printf("%d ", i); return 0;', "#include <stdio.h>\n#include <fcntl.h>\n"),
    "status": c_main('char l[200]; FILE *f = fopen("/proc/self/status", "r"); while (fgets(l, 200, f)) if (!strncmp(l, "Cap", 3) || !strncmp(l, "Sig", 3) || strstr(l, "NoNew") || strstr(l, "Seccomp:") || !strncmp(l, "Groups", 6)) fputs(l, stdout); return 0;'),
    "limits": c_main('char l[200]; FILE *f = fopen("/proc/self/limits", "r"); while (fgets(l, 200, f)) fputs(l, stdout); return 0;'),
    "abort": c_main("abort();"),
    "segmentation fault": c_main("*(volatile int *)0 = 1; return 0;"),
    "warnings": c_main('int unused; printf("%s %d\\n", 5, "x"); if (argc = 1) return argc;'),
    "warned by the linker": c_main("char name[L_tmpnam]; return !tmpnam(name);"),
    "errors": c_main('int x = "text" return y; undeclared(1, 2; struct nothing z;'),
    "errors at the end": "#include <stdio.h>\nint main(void) {\n        if (1) {\n                puts(\"x\");\n",
    "many errors": c_main("".join(f"a{i} = b{i}; " for i in range(60))),
    "suggestions": c_main('prinft("x"); struct s { int count; } s; return s.cuont + strlne("x");'),
    "error in a macro": "#define A(x) B(x)\n#define B(x) (x + undeclared)\n" + c_main("return A(1);"),
    "error beside tabs and letters": c_main("\tchar *\u00e4\u00f6 = \"\u00fc\"; \treturn \u00e4\u00f6 + nicht;"),
    "error directive": "#error  stop here\n#warning and here\n" + c_main("return 0;"),
    "messages": '#pragma message "said"\n#pragma GCC warning "warned"\n#pragma GCC optimize ("O0")\n#pragma nonsense\n' + c_main("return 0;"),
    "lines of their own": '#line 77 "other.y"\n' + c_main("return undeclared;"),
    "lines of a strange file": "".join(f'#line 1 "{name}"\nint x = ;\n' for name in ("/retort/go", "/retort/park", "/retort/main", "/dev/null", "/work")),
    "headers of strange names": "".join(f'#if __has_include("{name}")\n#error found\n#endif\n' for name in ("/retort/go", "/retort/park", "/retort/main", "./" * 150 + "main.c", "/tmp"))
                                + '#include "/retort/go"\n',
    "no such header": '#include <no/such.h>\n#include "nor/this.h"\n' + c_main("return 0;"),
    "undefined": c_main("int f(void); int g(void); return f() + g() + f();"),
    "undefined, static": "static int f(void);\n" + c_main("return f();"),
    "unknown to the assembler": c_main('__asm__("nonsense %rax"); __asm__("alsonot"); return 0;'),
    "end of line, end of file": "#include <stdio.h>\r\nint main(void) {\r\n        puts(\"x\"); // comment \\\r\n        still one\r\n        return 0;\r\n}",
    "null byte": "int main(void) { return 0; }\0",
    "byte order mark": "\ufeffint main(void) { return 0; }\n",
    "open comment": "int main(void) { return 0; } /* never closed\n\n",
    "trigraphs": "int main(void) ??< return 0; ??>\n",
    "includes itself": {"files": [{"path": "main.c", "content": "#ifndef AGAIN\n#define AGAIN\n#include \"main.c\"\nint main(void) { return once() + __LINE__; }\n#else\nint once(void) { return __INCLUDE_LEVEL__; }\n#endif\n"}]},
    "includes itself for ever": {"files": [{"path": "main.c", "content": "#include \"main.c\"\n"}]},
    "included once": {"files": [{"path": "main.c", "content": "#pragma once\n#include \"one.h\"\n#include \"./one.h\"\nint main(void) { return x; }\n"}, {"path": "one.h", "content": "#pragma once\nint x = 4;\n"}]},
    "files": {"files": [{"path": "main.c", "content": "#include \"lib/f.h\"\n#include <stdio.h>\nint main(void) { printf(\"%d %s\\n\", f(2), __FILE__); return 0; }\n"},
                        {"path": "lib/f.c", "content": "#include \"f.h\"\n#include <stdio.h>\nint f(int x) { puts(__FILE__); return x * 21; }\n"}, {"path": "lib/f.h", "content": "int f(int);\n"}]},
    "errors in some files": {"files": [{"path": f"{n}.c", "content": f"int f{n}(void) {{ {'return wrong;' if n % 2 else 'int unused; return 1;'} }}\n"} for n in range(5)]},
    "defined twice": {"files": [{"path": "a.c", "content": "int x = 1; int f(void) { return x; }\n"}, {"path": "b.c", "content": "int x = 2; int f(void) { return x; }\nint main(void) { return f(); }\n"}]},
    "undefined in a file": {"files": [{"path": "a.c", "content": "int g(void);\nint f(void) { return g(); }\n"}, {"path": "b.c", "content": "int f(void);\nint main(void) { return f(); }\n"}]},
    "main in two files": {"files": [{"path": "a.c", "content": "int main(void) { return 1; }\n"}, {"path": "b.c", "content": "int main(void) { return 2; }\n"}]},
    "twenty files": {"files": [{"path": f"{n}.c", "content": f"int f{n}(void) {{ return {n}; }}\n"} for n in range(19)]
                     + [{"path": "main.c", "content": "".join(f"int f{n}(void);\n" for n in range(19)) + "int main(void) { return " + " + ".join(f"f{n}()" for n in range(19)) + "; }\n"}]},
    "names": {"files": [{"path": "-o.c", "content": "int f(void) { return wrong; }\n"}, {"path": "@x.c", "content": "int g(void) { return wrong; }\n"}, {"path": "a b'c\".c", "content": "int h(void) { return wrong; }\n"}, {"path": "%s$(x).c", "content": "int i(void) { return wrong; }\n"}]},
    "long name": {"files": [{"path": "d" * 120 + "/" + "n" * 120 + ".c", "content": "#include <stdio.h>\nint main(void) { puts(__FILE__); return 0; }\n"}]},
    "error in a long name": {"files": [{"path": "d" * 120 + "/" + "n" * 120 + ".c", "content": "int main(void) { return wrong; }\n"}]},
    "a language level": {"code": c_main("for (int i = 0; i < 3; i++) puts(\"x\"); return 0;"), "compile": {"args": ["-std=c89", "-pedantic-errors"]}},
    "another optimisation": {"code": ITSELF % "", "compile": {"args": ["-O0", "-g"]}},
    "linked statically": {"code": c_main('puts("static"); return 0;'), "compile": {"args": ["-static"]}},
    "a library": {"code": c_main('puts("z"); return 0;'), "compile": {"args": ["-lm", "-pthread"]}},
    "warnings are errors": {"code": c_main("int unused; return 0;"), "compile": {"args": ["-Werror", "-Wextra"]}},
    "unknown option": {"code": c_main("return 0;"), "compile": {"args": ["-nosuchflag"]}},
    "a plugin": {"code": c_main("return 0;"), "compile": {"args": ["-fplugin=./plugin.so"]}},
    "variables for the compiler": {"code": '#include "/proc/self/nothing"\n', "env": {"CPATH": "/tmp"}},
    "too deep for the compiler": "int x = " + "(" * 400000 + "1" + ")" * 400000 + ";\n" + c_main("return 0;"),
    "too large for a file": "int a[1 << 30] = { 1 };\n" + c_main("return a[0];"),
    "compiler's time": {"code": '#include "/dev/urandom"\n', "compile": {"limits": {"cpu_ms": 500, "memory_bytes": 2 << 30}}},
    "compiler's clock": {"code": '#include "/dev/urandom"\n', "compile": {"limits": {"wall_ms": 500, "memory_bytes": 2 << 30}}},
    "compiler's memory": {"code": '#include "/dev/zero"\n', "compile": {"limits": {"memory_bytes": 64 << 20}}},
    "compiler's output": {"code": "#define A _Pragma(\"message \\\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\\\"\")\n#define B A A A A A A A A A A\n#define C B B B B B B B B B B\nC C C\n" + c_main("return 0;"),
                          "compile": {"limits": {"output_bytes": 20000}}},
    "compiler's room": {"code": c_main("return 0;"), "compile": {"limits": {"memory_bytes": 16 << 20}}},
    "file of the compiler": {"code": "char a[4 << 20] = { 1 };\n" + c_main("return a[0];"), "compile": {"limits": {"file_bytes": 1 << 20}}},
    "disk of the compiler": {"code": "char a[9 << 20] = { 1 };\n" + c_main("return a[0];"), "compile": {"limits": {"disk_bytes": 4 << 20}}},
}
C_COLD = {"a language level", "another optimisation", "linked statically", "a library", "warnings are errors", "unknown option", "a plugin", "variables for the compiler", "compiler's room"}


MASKS = [(r"/tmp/cc\w{6}\b", "/tmp/ccNAME"), (r"0x[0-9a-f]+", "0xADDRESS"), (r"\(node:\d+\)", "(node:PID)"), (r"(sh: 0: Cannot fork\\n)+", ""), (r"<--- Last few GCs --->.*?<--- JS", "<--- JS"),
         (r"(Ineffective mark-compacts near heap limit|Reached heap limit) Allocation.*", "HEAP FULL\"}")]


def as_request(language, program):
    request = {"language": language, **(program if isinstance(program, dict) else {"code": program})}
    request["limits"] = {"wall_ms": 20000, "cpu_ms": 10000, **request.get("limits", {})}
    return request


def run_all(language, programs, warm, runtimes):
    lines = "".join(json.dumps(as_request(language, p)) + "\n" for p in programs.values())
    done = subprocess.run([BIN / "retort", "batch", "--jobs", "1", "--warm", language if warm else ""], input=lines, text=True,
                          capture_output=True, timeout=600, env=environment(RETORT_RUNTIMES=str(runtimes)))
    assert done.returncode == 0, done.stderr
    return dict(zip(programs, map(json.loads, done.stdout.splitlines()), strict=True))


def essence(outcome):
    made = {key: outcome.get(key) for key in ("status", "exit_code", "signal", "stdout", "stderr", "error")}
    made["limit"] = (outcome.get("limit") or {}).get("name")
    made["diagnostics"] = outcome["diagnostics"]
    made["steps"] = [{key: step.get(key) for key in ("name", "status", "exit_code", "signal", "stdout", "stderr")} for step in outcome["steps"]]
    text = json.dumps(made)
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return json.loads(text)


@pytest.fixture(scope="module")
def light_runtimes(tmp_path_factory):
    """The runtimes, with interpreters that import nothing to speak of before they are frozen."""
    folder = tmp_path_factory.mktemp("runtimes") / "runtimes"
    shutil.copytree(RUNTIMES, folder)
    for described in folder.glob("*/runtime.yaml"):
        text = re.sub(r"(?m)^  preload: \[.*\]$", "  preload: []", described.read_text())
        described.write_text(text.replace("    - Warm\n", "    - Warm\n    - 5\n"))
    folder.parent.chmod(0o755)
    return folder


def both_ways(language, programs, runtimes, installed):
    if missing := installed[language]:
        pytest.skip(f"toolchain not installed: {missing}")
    cold = run_all(language, programs, False, runtimes)
    forked = run_all(language, programs, True, runtimes)
    if all(outcome["start"] == "cold" for outcome in forked.values()):
        done = subprocess.run([BIN / "retort", "doctor", "--json"], capture_output=True, text=True, env=environment(), timeout=60)
        if json.loads(done.stdout)["level"] == "strong":
            pytest.fail(f"{language} was not frozen on a host that can")
        pytest.skip("this host freezes no interpreter")
    return cold, forked


def compare(pair, name, afresh):
    cold, forked = pair[0][name], pair[1][name]
    assert cold["start"] == "cold" and (forked["start"] == "cold") == (name in afresh)
    one, other = essence(forked), essence(cold)
    if other["status"] == "process_limit" or name == "compiler's memory":  # what it says in its last moments is a matter of luck
        one, other = ({key: made[key] for key in ("status", "limit")} for made in (one, other))
    assert one == other


@pytest.fixture(scope="module")
def python(light_runtimes, installed_languages):
    return both_ways("python", PYTHON, light_runtimes, installed_languages)


@pytest.mark.parametrize("name", PYTHON)
def test_python(python, name):
    compare(python, name, {"variables for the start", "unbuffered"})


@pytest.fixture(scope="module")
def javascript(light_runtimes, installed_languages):
    return both_ways("javascript", JAVASCRIPT, light_runtimes, installed_languages)


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript(javascript, name):
    compare(javascript, name, JAVASCRIPT_COLD)


@pytest.fixture(scope="module")
def r(light_runtimes, installed_languages):
    return both_ways("r", R, light_runtimes, installed_languages)


@pytest.mark.parametrize("name", R)
def test_r(r, name):
    compare(r, name, R_COLD)


@pytest.fixture(scope="module")
def forked_java(light_runtimes, installed_languages):
    return both_ways("java", JAVA, light_runtimes, installed_languages)


@pytest.mark.parametrize("name", JAVA)
def test_java(forked_java, name):
    compare(forked_java, name, JAVA_COLD)


@pytest.fixture(scope="module")
def ruby(light_runtimes, installed_languages):
    return both_ways("ruby", RUBY, light_runtimes, installed_languages)


@pytest.mark.parametrize("name", RUBY)
def test_ruby(ruby, name):
    compare(ruby, name, RUBY_COLD)


@pytest.fixture(scope="module")
def php(light_runtimes, installed_languages):
    return both_ways("php", PHP, light_runtimes, installed_languages)


@pytest.mark.parametrize("name", PHP)
def test_php(php, name):
    compare(php, name, PHP_COLD)


@pytest.fixture(scope="module")
def c(light_runtimes, installed_languages):
    return both_ways("c", C, light_runtimes, installed_languages)


@pytest.mark.parametrize("name", C)
def test_c(c, name):
    compare(c, name, C_COLD)
