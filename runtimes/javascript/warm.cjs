// SPDX-License-Identifier: Apache-2.0
//
// Keeps a Node that can be forked: node [OPTIONS] --require warm.cjs main.js. Node loads this before the program; when it
// is about to start the program, everything a program is likely to use is loaded, and the process is parked (opening
// RETORT_PARK returns in a forked child only). In the child, RETORT_GO tells which program it is to be, and Node goes on
// to start that one by itself, so that nothing of this is on its stack.
'use strict';

const fs = require('fs');
const path = require('path');
const vm = require('vm');
const Module = require('module');

const park = process.env.RETORT_PARK;
const go = process.env.RETORT_GO;
const hookFile = path.join(__dirname, 'hook.cjs');

// As hook.cjs, but ready to be called: what it asks (who listens at descriptor 3?) only the child can answer.
const hook = vm.compileFunction(fs.readFileSync(hookFile, 'utf8').replace(/^#!.*/, ''),
  ['exports', 'require', 'module', '__filename', '__dirname'], { filename: hookFile });

// What is not touched here: process.stdin, stdout and stderr (they become what the descriptors are when they are first
// used), Math.random (it would give every child the same numbers), Intl (it keeps the locale), timers (no loop runs).
function warm() {
  for (const name of ['assert', 'async_hooks', 'buffer', 'child_process', 'crypto', 'events', 'fs', 'fs/promises', 'http',
    'net', 'os', 'path', 'perf_hooks', 'querystring', 'readline', 'stream', 'stream/promises', 'string_decoder', 'timers',
    'timers/promises', 'tty', 'url', 'util', 'v8', 'worker_threads', 'zlib']) {
    require(name);
  }
  // No real stream: it would leave ticks to be done, and so what follows the program's first turn would look different.
  const { Console } = require('console');
  const nowhere = new Console({ write: () => true, on() {}, once() {}, removeListener() {}, listenerCount: () => 0 });
  for (let i = 0; i < 3; i++) {
    nowhere.log('x', 1, 1.5, null, undefined, true, { a: 1, b: [1, 'two', { c: 3 }] }, [1, 2], () => 1, new Map([[1, 2]]),
      new Set([1]), new Error('e'), Symbol('s'), 10n, new Date(0), /r/, class A {}, Buffer.from('b'));
    nowhere.log('%s %d %i %j %o', 'a', 1, 2, { a: 1 }, [1]);
    nowhere.error('e');
    nowhere.table([{ a: 1 }, { a: 2 }]);
  }
  const crypto = require('crypto');
  crypto.createHash('sha256').update('x').digest('hex');
  JSON.stringify(JSON.parse('{"a":[1,2,{"b":"c"}]}'));
  new URL('http://localhost:80/a?b=c').searchParams.get('b');
  [3, 1, 2].sort().map((x) => x * 2).filter(Boolean).reduce((a, b) => a + b, 0);
  'a-b-c'.split('-').join('+').replace(/\+/g, '').padStart(5);
  // The way of a program: found, read, wrapped, compiled, run.
  const file = path.join(__dirname, 'warm-program.cjs');
  const program = new Module(file, null);
  program.filename = file;
  program.paths = Module._nodeModulePaths(__dirname);
  program._compile('module.exports = class { static f(...a) { return `${a}` } }; for (const x of [1]) module.exports.f(x);', file);
}

// What JavaScript cannot do. Forked children have the same random numbers in store; no context but this one exists, and
// nothing has been drawn in it.
function loadNative() {
  const native = { exports: {} };
  process.dlopen(native, path.join(__dirname, 'forked.node'));
  if (!native.exports.reseed()) throw new Error('the random numbers of this Node cannot be renewed in its forks');
  return native.exports;
}

// The number of arguments, the arguments, the environment.
function become(strings) {
  const count = Number(strings[0]);
  const args = strings.slice(1, 1 + count);
  const environment = strings.slice(1 + count);
  const given = new Set();
  for (const entry of environment) {
    const at = entry.indexOf('=', 1);
    given.add(entry.slice(0, at));
    process.env[entry.slice(0, at)] = entry.slice(at + 1);
  }
  for (const name of Object.keys(process.env)) if (!given.has(name)) delete process.env[name];
  // Node asks for its number once, and that was the server's.
  Object.defineProperty(process, 'pid', { value: Number(fs.readlinkSync('/proc/self')) });
  process.argv.splice(1, Infinity, path.resolve(args[0]), ...args.slice(1));
}

function waitForProgram() {
  const stderr = Object.getOwnPropertyDescriptor(process, 'stderr');
  Object.defineProperty(process, 'stderr', { configurable: true, value: {} }); // the console asks it for its colours
  const native = loadNative();
  warm();
  Object.defineProperty(process, 'stderr', stderr);
  if (global.gc) global.gc();
  fs.closeSync(fs.openSync(park, 'r')); // here the server stands; what returns is a child
  if (!native.reseed()) process.abort();
  const fd = fs.openSync(go, 'r');
  const strings = fs.readFileSync(fd, 'utf8').split('\0');
  fs.closeSync(fd);
  strings.pop();
  native.own();
  become(strings);
  delete require.cache[__filename]; // what a program can see here is hook.cjs, as in every start
  require.cache[hookFile] = module;
  module.id = module.filename = hookFile;
  hook({}, require, module, hookFile, path.dirname(hookFile));
}

// Node's last act before the program is to look Module.runMain up and to call it with the program's file. It is found
// here, and what is found is Node's own function with another file.
function becomeLast() {
  const runMain = Module.runMain;
  const found = { configurable: true, enumerable: true, writable: true, value: runMain };
  Object.defineProperty(Module, 'runMain', {
    configurable: true,
    enumerable: true,
    get() {
      Object.defineProperty(Module, 'runMain', found);
      waitForProgram();
      return runMain.bind(Module, process.argv[1]);
    },
  });
}

// A program's workers load this as well.
if (require('worker_threads').isMainThread) becomeLast();
else require(hookFile);
