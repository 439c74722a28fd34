// SPDX-License-Identifier: Apache-2.0
//
// Evaluating a cell through V8's own REPL mode, which only its inspector offers; what cells import and require; and stack
// traces in which there is nothing but the program.
'use strict';

const { BigInt, Error, Number, Object, process, String, Symbol, SyntaxError, TypeError } = globalThis; // a program may replace them
const fs = require('fs');
const inspector = require('inspector');
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const { isNativeError } = require('util').types;
const { promiseHooks } = require('v8');
const { IMPORT } = require('./runner-rewrite.cjs');

const GROUP = 'cell';
const OURS = path.join(__dirname, 'runner');
const hide = (name, value) => Object.defineProperty(globalThis, name, { configurable: true, enumerable: false, writable: true, value });

const session = new inspector.Session();
session.connect();

// What the inspector answers at once; {error} or {result}.
function post(method, params) {
  let answer = { error: { message: 'no answer' } };
  session.post(method, params, (error, result) => { answer = { error, result }; });
  return answer;
}

// An object that both JavaScript and the inspector know, to carry values from one to the other.
const holder = { value: undefined };
const holderId = (() => {
  hide(IMPORT, holder);
  const { result } = post('Runtime.evaluate', { expression: IMPORT });
  return result.result.objectId;
})();

let hasObjects = false; // the inspector keeps what it gave a number to

function valueOf(remote) {
  if (remote.objectId !== undefined) {
    hasObjects = true;
    post('Runtime.callFunctionOn', {
      objectId: holderId, functionDeclaration: 'function(value){this.value=value}', arguments: [{ objectId: remote.objectId }], silent: true,
    });
    const { value } = holder;
    holder.value = undefined;
    return value;
  }
  if (remote.unserializableValue === undefined) return remote.value;
  return remote.type === 'bigint' ? BigInt(remote.unserializableValue.slice(0, -1)) : Number(remote.unserializableValue);
}

// The comment ends at a blank.
const named = (code, name) => `${code}\n//# sourceURL=${name.replace(/\s/g, '_')}`;

// A script that waits for a promise which nothing can settle any more is garbage, and newer V8s tell the inspector so from within
// the collection, which ends the process. So the script's own promise, the first that it makes, is held. (Hooks cost time.)
const held = new Set();
const mustHold = Number.parseFloat(process.versions.v8) > 11.3; // Node 20 has that one

function hold(call) {
  if (!mustHold) {
    call(() => {});
    return;
  }
  let first = null;
  const stop = promiseHooks.onInit((promise) => {
    first ??= promise;
    stop();
  });
  call(() => held.delete(first));
  stop();
  if (first !== null) held.add(first);
}

// settled({value}) or settled({thrown, details}) is called once, in a microtask; never, when it was ended.
function evaluate({ before, again, main }, name, settled) {
  if (before) (0, eval)(named(before, name));
  const post = (text, over) => {
    session.post('Runtime.evaluate', { expression: named(text, name), replMode: true, silent: true, objectGroup: GROUP }, (error, answer) => {
      over();
      if (error || (text === again && !answer.exceptionDetails)) return; // an error of the inspector's: it was ended
      const details = answer.exceptionDetails;
      settled(details ? { thrown: valueOf(details.exception), details } : { value: valueOf(answer.result) });
    });
  };
  for (const text of again ? [again, main] : [main]) hold((over) => post(text, over));
}

// For completion: {value} of an expression that has no side effect; null: there is none.
function peek(expression) {
  const { error, result } = post('Runtime.evaluate', { expression, throwOnSideEffect: true, silent: true, timeout: 200, objectGroup: 'peek' });
  const value = error || result.exceptionDetails ? null : { value: valueOf(result.result) };
  post('Runtime.releaseObjectGroup', { objectGroup: 'peek' });
  return value;
}

const lexicalNames = () => (post('Runtime.globalLexicalScopeNames', {}).result || { names: [] }).names;

function release() {
  if (hasObjects) post('Runtime.releaseObjectGroup', { objectGroup: GROUP });
  hasObjects = false;
}

// ---- import and require, relative to the directory that the program is in ----

function compiled(directory, code) {
  const file = path.join(directory, 'cell.cjs');
  const module = new Module(file, null);
  module.filename = file;
  module.paths = Module._nodeModulePaths(directory);
  module._compile(`module.exports = ${code}`, file);
  return module.exports;
}

function inNodePath(require, specifier) {
  if (/^(\.{0,2}\/|[a-z]+:)/.test(specifier)) return null;
  try {
    return require.resolve(specifier);
  } catch {
    return null;
  }
}

function installModules(dialect) {
  const at = { directory: null, load: null, require: null };
  const here = () => {
    const directory = process.cwd();
    if (at.directory !== directory) {
      const load = compiled(directory, '(specifier, options) => options === undefined ? import(specifier) : import(specifier, options)');
      Object.assign(at, { directory, load, require: Module.createRequire(path.join(directory, 'cell.cjs')) });
    }
    return at;
  };
  const load = async (specifier, options) => {
    const { directory, load: native, require } = here();
    try {
      return await native(dialect.resolve ? dialect.resolve(String(specifier), directory) : specifier, options);
    } catch (error) {
      // import does not look into NODE_PATH, where a context's packages are; require does.
      const found = process.env.NODE_PATH && error && error.code === 'ERR_MODULE_NOT_FOUND' && inNodePath(require, String(specifier));
      if (!found) throw error;
      return native(pathToFileURL(found).href, options);
    }
  };
  // import {names} from: as strict as Node, but for CommonJS modules whose names it did not see.
  load.from = async (specifier, names, options) => {
    const module = await load(specifier, options);
    const inner = module.default;
    const ret = {};
    for (const name of names) {
      if (name in module) ret[name] = module[name];
      else if (inner && (typeof inner === 'object' || typeof inner === 'function') && name in inner) ret[name] = inner[name];
      else if (!dialect.hasTypes) throw new SyntaxError(`The requested module '${specifier}' does not provide an export named '${name}'`);
    }
    return ret;
  };
  load.constant = () => {
    throw new TypeError('Assignment to constant variable.');
  };
  Object.defineProperty(load, 'meta', {
    get() {
      const directory = process.cwd();
      const filename = path.join(directory, `cell.${dialect.extension}`);
      return { dirname: directory, filename, url: pathToFileURL(filename).href, resolve: (name) => pathToFileURL(here().require.resolve(name)).href };
    },
  });
  hide(IMPORT, load);
  Object.defineProperty(globalThis, 'require', { configurable: true, enumerable: false, get: () => here().require, set(value) { hide('require', value); } });
  const module = new Module('<cell>', null);
  hide('module', module);
  hide('exports', module.exports);
  Object.defineProperty(globalThis, '__dirname', { configurable: true, enumerable: false, get: () => process.cwd(), set(value) { hide('__dirname', value); } });
  // As in Node's REPL: fs, path and so on are there without being asked for.
  for (const name of Module.builtinModules) {
    if (name.startsWith('_') || name.includes('/') || name in globalThis) continue;
    Object.defineProperty(globalThis, name, {
      configurable: true,
      enumerable: false,
      get() {
        const value = require(name);
        hide(name, value);
        return value;
      },
      set(value) { hide(name, value); },
    });
  }
}

// ---- stack traces ----

const isOurs = (frame) => String(frame.getFileName()).startsWith(OURS);

// Up to where we called the inspector, and without what of ours was called from there.
function own(frames) {
  const last = frames.findIndex((frame, i) => frame.getFileName() === 'node:inspector' && i + 1 < frames.length && isOurs(frames[i + 1]));
  return (last < 0 ? frames : frames.slice(0, last)).filter((frame) => !isOurs(frame));
}

// What Node's own function makes of an error of Node's; there is no other way to tell one.
const isNodes = (() => {
  try {
    fs.openSync({});
  } catch (error) {
    for (let at = error; at; at = Object.getPrototypeOf(at)) {
      const found = Object.getOwnPropertySymbols(at).find((one) => one.description === 'kIsNodeError');
      if (found) return found;
    }
  }
  return Symbol('none');
})();

function headOf(error) {
  try {
    return isNodes in error ? `${error.name} [${error.code}]: ${error.message}` : Error.prototype.toString.call(error);
  } catch {
    return '<error>';
  }
}

// Functions of ours that an indirect eval declares: V8 calls what is anonymous in them eval.
function shown(frame) {
  const text = String(frame);
  return frame.isEval() && /^eval \([^()]*\)$/.test(text) && !String(frame.getEvalOrigin()).startsWith('eval at') ? text.slice('eval ('.length, -1) : text;
}

// where(frame, text) is what is shown of a frame; text: its usual words.
function installTraces(where) {
  Object.defineProperty(Error, 'prepareStackTrace', {
    configurable: true,
    enumerable: false,
    writable: true,
    value: (error, frames) => [headOf(error), ...own(frames).map((frame) => where(frame, shown(frame)))].join('\n    at '),
  });
}

// The line that V8 could not read, as Node shows it. Errors that were thrown while the cell ran have frames.
function placeOf(error, details, name, code) {
  if (!details || !isNativeError(error) || error.name !== 'SyntaxError' || /\n {4}at /.test(String(error.stack))) return '';
  const line = code.split(/\r\n|[\n\r\u2028\u2029]/)[details.lineNumber];
  if (line === undefined) return '';
  return `${name}:${details.lineNumber + 1}\n${line}\n${line.slice(0, details.columnNumber).replace(/[^\t]/g, ' ')}^\n\n`;
}

module.exports = { evaluate, installModules, installTraces, lexicalNames, peek, placeOf, release };
