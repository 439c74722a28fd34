// SPDX-License-Identifier: Apache-2.0
//
// node runner.cjs [DIALECT.cjs]: keeps state between the cells of a context (docs/internals/runner-protocol.md). This file is
// the life of a cell; what it is made of has files of its own: descriptors (-protocol), what programs print to and read from
// (-streams), what is changed of their text (-rewrite), V8 (-evaluate), rich results (-show), completion (-look).
//
// Cells run in Node's own global scope, on the main thread, in its event loop. A cell is over when its own promise is settled,
// and one turn of the loop later, so that promises that nobody handled are known by then. An interrupt, and process.exit, end
// all JavaScript that runs (runner.c); what a cell was waiting for may then never come, so nothing here waits for a promise
// of a program without being able to do without.
'use strict';

const { Array, Error, Map, Number, Object, process, Set, setImmediate, String, SyntaxError } = globalThis; // a program may replace them
const Module = require('module');
const os = require('os');
const util = require('util');
const { Protocol, leave, native } = require('./runner-protocol.cjs');
const streams = require('./runner-streams.cjs');
const { Rewriter } = require('./runner-rewrite.cjs');
const v8 = require('./runner-evaluate.cjs');
const { bundleOf, makeDisplay } = require('./runner-show.cjs');
const { complete, look } = require('./runner-look.cjs');

const TEXT_MAX = 1 << 20; // characters of an error's texts

const dialect = process.argv[2] === undefined ? { language: 'javascript', extension: 'js' } : require(process.argv[2]);
const rewriter = new Rewriter();
const maps = new Map(); // cells whose lines are not where they were written: their source maps

let count = 0; // of cells that were counted
let cell = null; // the one that runs
let leaving = null; // process.exit was called: {cell, code}
const waiting = []; // runs that came before the cell was over

// A box shows nothing of the host's /proc/cpuinfo; a program that starts a worker for each of os.cpus() would start none.
if (os.cpus().length === 0 && os.availableParallelism) {
  os.cpus = () => Array.from({ length: os.availableParallelism() }, () => (
    { model: 'unknown', speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } }));
}

const protocol = new Protocol(3, onMessage);
const io = streams.install(askForLine);

// ---- the end of a cell ----

// What was ended in the middle has not told Node that it is over: callbacks, and modules that were being loaded.
function recover() {
  native.take();
  asyncWrap.clearAsyncIdStack();
  for (const [name, module] of Object.entries(Module._cache)) if (!module.loaded) delete Module._cache[name];
}

function cut(text) {
  text = String(text);
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX / 2)}\n[...]\n${text.slice(-TEXT_MAX / 2)}` : text;
}

// An Error tells its name, message and stack, and what else it has; anything else is shown as the REPL would.
function describe(thrown, place) {
  const isError = util.types.isNativeError(thrown) || thrown instanceof Error;
  const shown = util.inspect(thrown);
  if (!isError) return { name: thrown === null ? 'null' : typeof thrown, value: cut(typeof thrown === 'string' ? thrown : shown), traceback: cut(`Uncaught ${shown}`) };
  const stack = shown.startsWith('[') && typeof thrown.stack === 'string' ? thrown.stack : shown; // without frames it is shown in brackets
  return { name: cut(thrown.name || 'Error'), value: cut(thrown.message), traceback: cut(place + stack) };
}

const UNKNOWN = { name: 'Error', value: 'an error that cannot be shown', traceback: 'Uncaught: an error that cannot be shown' };

function failed(mine) {
  const { thrown, details } = mine.failure;
  let told = UNKNOWN;
  native.guard(() => {
    try {
      told = describe(thrown, v8.placeOf(thrown, details, mine.name, mine.code));
    } catch { /* its own getters, or inspect, threw */ }
  });
  done(mine, 'error', {}, told);
}

// The last words about a cell, all of them or none.
function done(mine, status, more, error) {
  native.quiet(() => {
    if (mine.isOver) return;
    mine.isOver = true;
    for (const [name, value] of mine.environment) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    v8.release();
    cell = null;
    if (error) protocol.send({ type: 'error', id: mine.id, ...error });
    protocol.send({ type: 'done', id: mine.id, status, execution_count: mine.count, ...more });
    if (waiting.length > 0) setImmediate(() => cell === null && waiting.length > 0 && run(waiting.shift()));
  });
}

function interrupted(mine) {
  const value = 'Script execution was interrupted by `SIGINT`';
  done(mine, 'interrupted', {}, { name: 'Interrupted', value, traceback: `Interrupted: ${value}` });
}

// Runs what is the program's; false: it was ended, and the cell is over.
function guarded(mine, call) {
  if (!native.guard(call)) return true;
  recover();
  if (leaving !== null && leaving.cell === mine) left();
  else interrupted(mine);
  return false;
}

function left() {
  recover();
  const { cell: mine, code } = leaving || {};
  leaving = null;
  if (mine && !mine.isOver) done(mine, 'exit', { exit_code: code });
}

function exit(code) {
  const before = process.exitCode;
  if (code !== undefined) process.exitCode = code; // which refuses what Node refuses
  const status = process.exitCode ?? 0;
  process.exitCode = before;
  leaving = { cell, code: Number(status) & 255 };
  setImmediate(left); // nobody may be there to see it
  native.end();
  for (;;);
}

// The first one counts; what the cell was about to show is not shown.
function fail(mine, thrown, details) {
  if (mine.isOver || mine.failure) return;
  mine.failure = { thrown, details };
  setImmediate(conclude, mine);
}

function conclude(mine) {
  if (mine.isOver) return;
  if (native.take()) {
    recover();
    interrupted(mine);
  } else if (mine.failure) {
    failed(mine);
  } else if (mine.later.size === 0) { // displays, which come back here
    const value = mine.shows && !mine.isSilent ? mine.value : undefined;
    mine.shows = false;
    if (value === undefined) done(mine, 'ok');
    else showMain(mine, value);
  }
}

function showMain(mine, value) {
  const send = (data) => {
    if (!mine.isOver && !mine.failure) protocol.sendItem({ type: 'item', id: mine.id, data, main: true });
  };
  let bundle = null;
  const isThrough = guarded(mine, () => {
    try {
      bundle = bundleOf(value);
      if (!util.types.isPromise(bundle)) send(bundle);
    } catch (error) {
      fail(mine, error);
    }
  });
  if (!isThrough || mine.failure) return;
  if (util.types.isPromise(bundle)) waitFor(bundle).then(send).then(() => setImmediate(conclude, mine), (error) => fail(mine, error));
  else done(mine, 'ok');
}

// ---- a cell ----

function settled(mine, { value, thrown, details }) {
  if (mine.isOver) return;
  if (details) {
    fail(mine, mine.unread && /import|export|await/.test(thrown && thrown.message) ? mine.unread : thrown, details);
    return;
  }
  const store = (last) => {
    mine.value = last;
    mine.isSettled = true;
    setImmediate(conclude, mine);
  };
  if (mine.shows && util.types.isPromise(value)) waitFor(value).then(store, (error) => fail(mine, error));
  else store(value);
}

const waitFor = async (promise) => promise;

// A cell's text without what V8 does not know; what cannot be read is V8's to explain.
function read(mine, code) {
  if (dialect.warm) native.quiet(dialect.warm);
  const text = dialect.strip ? dialect.strip(code, mine.name, maps) : code;
  try {
    return rewriter.rewrite(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    mine.unread = new SyntaxError(error.message.replace(/ \(\d+:\d+\)$/, ''));
    return { before: '', again: '', main: text, shows: true, isEmpty: false };
  }
}

function begin(mine, message) {
  if (message.cwd !== undefined && message.cwd !== null) process.chdir(message.cwd);
  for (const [name, value] of Object.entries(message.env || {})) {
    mine.environment.push([name, process.env[name]]);
    if (value === null) delete process.env[name];
    else process.env[name] = value;
  }
  const parts = read(mine, message.code);
  mine.shows = parts.shows;
  if (parts.isEmpty) setImmediate(conclude, mine);
  else v8.evaluate(parts, mine.name, (answer) => settled(mine, answer));
}

function run(message) {
  native.take(); // an interrupt that came before is not for this cell
  keepListening();
  if (!message.silent) count++;
  const mine = {
    id: message.id,
    count,
    name: message.name || `cell-${count}.${dialect.extension}`,
    code: String(message.code),
    isSilent: Boolean(message.silent),
    environment: [],
    later: new Set(),
    shows: false,
    isOver: false,
    isSettled: false,
  };
  cell = mine;
  askForLine();
  guarded(mine, () => {
    try {
      begin(mine, message);
    } catch (error) {
      fail(mine, error);
    }
  });
}

// ---- what programs have ----

// Sends an item of the running cell: between cells there is nobody to send it to. A promise: it is on its way.
function show(data, metadata) {
  const mine = cell;
  if (mine === null) return undefined;
  const send = (bundle) => {
    if (!mine.isOver) protocol.sendItem({ type: 'item', id: mine.id, data: bundle, main: false, ...(metadata ? { metadata } : {}) });
  };
  if (!util.types.isPromise(data)) {
    send(data);
    return undefined;
  }
  const ret = data.then(send);
  const over = () => {
    mine.later.delete(ret);
    if (mine.isSettled) setImmediate(conclude, mine);
  };
  mine.later.add(ret);
  ret.then(over, over);
  return ret;
}

// A line, now; null at the end of the input.
function readLine(prompt, isPassword) {
  if (cell === null) return null;
  const { id } = cell;
  protocol.send({ type: 'input_request', id, prompt: String(prompt), password: isPassword });
  const message = protocol.readNow((one) => one.type === 'input' && one.id === id);
  if (message === null) for (native.end(); ;); // interrupted
  return message.eof ? null : message.text;
}

// process.stdin wants a line. While a cell only begins to listen, none is asked for.
function askForLine() {
  const mine = cell;
  if (mine === null || io.stdin === null || !io.stdin.isWanted || mine.isAsking) return;
  mine.isAsking = true;
  setImmediate(() => setImmediate(() => {
    mine.isAsking = false;
    if (mine.isOver || mine.isSettled || mine.failure || mine.asked || !io.stdin.isWanted) return;
    mine.asked = true;
    protocol.send({ type: 'input_request', id: mine.id, prompt: '', password: false });
  }));
}

function onUncaught(error) {
  if (process.listenerCount('uncaughtException') > 1) return; // the program's own affair
  if (cell !== null) {
    fail(cell, error);
    return;
  }
  let text = '';
  native.guard(() => { text = `Uncaught ${util.inspect(error)}\n`; });
  recover();
  process.stderr.write(text);
}

function onUnhandled(reason) {
  if (process.listenerCount('unhandledRejection') > 1) return;
  onUncaught(reason);
}

// A program may have removed all listeners.
function keepListening() {
  for (const [name, call] of [['uncaughtException', onUncaught], ['unhandledRejection', onUnhandled]]) {
    if (!process.listeners(name).includes(call)) process.on(name, call);
  }
}

function install() {
  v8.installModules(dialect);
  v8.installTraces((frame, text) => {
    const map = maps.get(frame.getScriptNameOrSourceURL());
    const at = map && map.findEntry(frame.getLineNumber() - 1, frame.getColumnNumber() - 1);
    if (!at || at.originalLine === undefined) return text;
    return text.replace(/:\d+:\d+(?=\)?$)/, `:${at.originalLine + 1}:${at.originalColumn + 1}`);
  });
  const globals = {
    display: makeDisplay(show),
    prompt: (text = '', otherwise = null) => readLine(text, false) ?? otherwise,
    readline: (text = '', { password = false } = {}) => readLine(text, Boolean(password)),
  };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { configurable: true, enumerable: false, writable: true, value });
  }
  process.exit = exit;
  process.mainModule = undefined;
  process.argv.splice(1);
  keepListening();
}

// ---- messages ----

function onMessage(message) {
  const { id } = message;
  switch (message.type) {
    case 'run':
      if (cell === null && waiting.length === 0) run(message);
      else waiting.push(message);
      break;
    case 'input':
      if (cell !== null && cell.asked && cell.id === id) {
        cell.asked = false;
        io.stdin.give(message);
      }
      break;
    case 'complete':
    case 'inspect': {
      const isInspect = message.type === 'inspect';
      let answer = isInspect ? { found: false, data: {} } : { matches: [], start: message.cursor, end: message.cursor };
      const isEnded = native.guard(() => {
        try {
          answer = (isInspect ? look : complete)(message.code, message.cursor, message.detail);
        } catch { /* nothing is known then */ }
      });
      if (isEnded) recover();
      protocol.send({ type: isInspect ? 'inspection' : 'completions', id, ...answer });
      break;
    }
    case 'fork':
      protocol.send({ type: 'forked', id, message: 'Node cannot be copied' });
      break;
    case 'shutdown':
      leave(0);
      break;
    default: // a later version's
  }
}

// Node warns of this one, and has no other that lasts for a process.
process.noDeprecation = true;
const asyncWrap = process.binding('async_wrap');
delete process.noDeprecation;
const isWatched = native.watch(() => {
  recover();
  if (leaving !== null) left();
  else if (cell !== null) interrupted(cell);
}, asyncWrap.async_hook_fields, asyncWrap.constants.kCheck, asyncWrap.constants.kTotals);
if (!isWatched) throw new Error('interrupts cannot be watched');
install();
protocol.listen();
protocol.send({ type: 'ready', protocol: 1, language: dialect.language, version: process.versions.node, mark: protocol.mark, features: ['complete', 'inspect', 'input'] });
if (dialect.warm) setImmediate(() => native.quiet(dialect.warm)); // while nobody waits
