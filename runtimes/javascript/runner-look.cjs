// SPDX-License-Identifier: Apache-2.0
//
// Completion and inspection. Expressions are evaluated only as far as V8 can tell that they change nothing.
'use strict';

const { Array, Function, Object, RegExp, Set } = globalThis; // a program may replace them
const { builtinModules } = require('module');
const { inspect, types } = require('util');
const { lexicalNames, peek } = require('./runner-evaluate.cjs');
const { IMPORT } = require('./runner-rewrite.cjs');

const MOST = 1000;
const NAME = '[\\p{ID_Start}$_][\\p{ID_Continue}$\\u200c\\u200d]*';
const STEP = `(?:\\s*\\??\\.\\s*${NAME}|\\[(?:\\d+|'[^'\\\\\\n]*'|"[^"\\\\\\n]*")\\])`;
const CHAIN = new RegExp(`(?:${NAME}|'[^'\\\\\\n]*'|"[^"\\\\\\n]*"|\\[[^[\\]]*\\])${STEP}*$`, 'u');
const isName = new RegExp(`^${NAME}$`, 'u');
const KEYWORDS = ['async', 'await', 'break', 'case', 'catch', 'class', 'const', 'continue', 'debugger', 'default', 'delete', 'do', 'else',
  'export', 'extends', 'false', 'finally', 'for', 'function', 'if', 'import', 'in', 'instanceof', 'let', 'new', 'null', 'of', 'return', 'static',
  'super', 'switch', 'this', 'throw', 'true', 'try', 'typeof', 'undefined', 'var', 'void', 'while', 'with', 'yield'];

// The protocol counts characters, JavaScript UTF-16.
const indexOf = (code, cursor) => [...code].slice(0, cursor).join('').length;
const countOf = (code, index) => [...code.slice(0, index)].length;

// A value's properties, its own first.
function propertiesOf(value) {
  const names = new Set();
  if (value === null || value === undefined) return names;
  for (let at = Object(value); at !== null && !types.isProxy(at) && names.size < MOST * 10; at = Object.getPrototypeOf(at)) {
    const isBig = types.isTypedArray(at) || Array.isArray(at);
    const own = isBig && at.length > MOST ? [] : Object.getOwnPropertyNames(at);
    for (const name of own.sort()) if (isName.test(name)) names.add(name);
  }
  return names;
}

function candidates(text, word) {
  const before = text.slice(0, text.length - word.length);
  const isMember = /\??\.\s*$/.exec(before);
  if (!isMember || /(?:^|[^\d.])\d+\.$|\.\.\.$/.test(before)) {
    return [...lexicalNames(), ...propertiesOf(globalThis), ...KEYWORDS].filter((name) => name !== IMPORT);
  }
  const chain = CHAIN.exec(before.slice(0, isMember.index));
  const found = chain && peek(chain[0]);
  return found ? [...propertiesOf(found.value)] : [];
}

function complete(code, cursor) {
  const text = code.slice(0, indexOf(code, cursor));
  const module = /(?:\brequire\s*\(\s*|\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]*)$/.exec(text);
  const word = module ? module[2] : /[\p{ID_Continue}$\u200c\u200d]*$/u.exec(text)[0];
  const names = module ? builtinModules : candidates(text, word);
  const matches = [...new Set(names)].filter((name) => name.startsWith(word)).slice(0, MOST);
  return { matches, start: countOf(code, text.length - word.length), end: cursor };
}

function describe(expression, value, detail) {
  if (typeof value !== 'function') {
    const kind = value === null ? 'null' : typeof value;
    const name = kind === 'object' && !types.isProxy(value) && value.constructor && typeof value.constructor.name === 'string' ? value.constructor.name : '';
    return `${expression}: ${name || kind}\n${inspect(value, { depth: detail ? 4 : 1, maxArrayLength: detail ? 100 : 20, maxStringLength: 2000 })}`;
  }
  const source = Function.prototype.toString.call(value);
  if (detail) return source;
  const head = source.startsWith('class') ? /^[^{]*/.exec(source)[0] : /^[^(]*\([^]*?\)(?=\s*(?:\{|=>))|^[^(]*\([^)]*\)|^[^=]*(?==>)/.exec(source)?.[0];
  return `${expression}: ${source.startsWith('class') ? 'class' : 'function'}, ${value.length} parameter${value.length === 1 ? '' : 's'}\n${(head || source).trim().slice(0, 2000)}`;
}

function look(code, cursor, detail) {
  const at = indexOf(code, cursor);
  const rest = /^[\p{ID_Continue}$\u200c\u200d]*/u.exec(code.slice(at))[0];
  const chain = CHAIN.exec((code.slice(0, at) + rest).replace(/\s*\(\s*$/, ''));
  const found = chain && !KEYWORDS.includes(chain[0]) && peek(chain[0]);
  return found ? { found: true, data: { 'text/plain': describe(chain[0], found.value, detail) } } : { found: false, data: {} };
}

module.exports = { complete, look };
