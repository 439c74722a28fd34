// SPDX-License-Identifier: Apache-2.0
//
// Rich results: what a value looks like in each MIME type, and the program's display().
'use strict';

const { Array, ArrayBuffer, Buffer, JSON, Number, Object, Promise, Reflect, Set, String, Symbol, TypeError } = globalThis; // a program may replace them
const { inspect, types } = require('util');

const BUNDLE = Symbol.for('Jupyter.display');
const JSON_NODES = 200000; // values in a value: with more it is shown as text only
const JSON_BYTES = 4 << 20;

const isJsonType = (type) => /(?:^application\/json|\+json)$/.test(type);
const isBytes = (value) => types.isUint8Array(value) || types.isArrayBuffer(value) || types.isSharedArrayBuffer(value) || ArrayBuffer.isView(value);

function base64(value) {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  return Buffer.from(value).toString('base64');
}

// Text is taken to be base64 already; a data: URL is one with words in front.
function binary(value, type) {
  if (isBytes(value)) return base64(value);
  const text = String(value);
  const at = /^data:[^,]*;base64,/.exec(text);
  const bare = (at ? text.slice(at[0].length) : text).replace(/\s+/g, '');
  if (bare === '' || /[^A-Za-z0-9+/=_-]/.test(bare)) throw new TypeError(`${type} must be a Buffer, or base64 text`);
  return bare.replace(/-/g, '+').replace(/_/g, '/');
}

// A value as the protocol has it for this type.
function fitted(type, value) {
  if (isJsonType(type)) {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`${type} must be JSON`);
    return JSON.parse(text);
  }
  if (/^(?:image\/(?!svg)|audio\/|video\/|application\/(?:pdf|octet-stream|zip))/.test(type)) return binary(value, type);
  if (typeof value === 'string') return value;
  return isBytes(value) ? Buffer.from(base64(value), 'base64').toString('utf8') : String(value);
}

function fittedBundle(bundle) {
  if (bundle === null || typeof bundle !== 'object') throw new TypeError('a bundle is an object: MIME types and their values');
  const ret = {};
  for (const [type, value] of Object.entries(bundle)) {
    if (value !== undefined && value !== null) ret[type] = fitted(type, value);
  }
  return ret;
}

// Plain objects and arrays all the way down, with nothing that JSON would change or leave out.
function isPlain(value) {
  const stack = [[value, 0]];
  const seen = new Set();
  let n = 0;
  while (stack.length > 0) {
    const [one, depth] = stack.pop();
    if (++n > JSON_NODES || depth > 200) return false;
    if (one === null || typeof one === 'boolean' || typeof one === 'string') continue;
    if (typeof one === 'number') {
      if (!Number.isFinite(one)) return false;
      continue;
    }
    if (typeof one !== 'object' || types.isProxy(one) || seen.has(one)) return false;
    seen.add(one);
    const isArray = Array.isArray(one);
    const prototype = Object.getPrototypeOf(one);
    if (isArray ? prototype !== Array.prototype : prototype !== Object.prototype && prototype !== null) return false;
    const keys = Reflect.ownKeys(one);
    if (isArray && keys.length !== one.length + 1) return false;
    for (const key of keys) {
      if (isArray && key === 'length') continue;
      const property = Object.getOwnPropertyDescriptor(one, key);
      if (typeof key === 'symbol' || !('value' in property) || !property.enumerable || key === 'toJSON') return false;
      stack.push([property.value, depth + 1]);
    }
  }
  return true;
}

// As Node's REPL shows it; but a text is shown whole.
function textOf(value) {
  return inspect(value, typeof value === 'string' ? { maxStringLength: Infinity } : { showProxy: true });
}

function jsonOf(value) {
  if (value === null || typeof value !== 'object' || !isPlain(value)) return {};
  const text = JSON.stringify(value);
  return text.length > JSON_BYTES ? {} : { 'application/json': value };
}

// A value's bundle, or a promise of it: an object may know its own.
function bundleOf(value) {
  const isObject = value !== null && (typeof value === 'object' || typeof value === 'function') && !types.isProxy(value);
  if (!isObject || typeof value[BUNDLE] !== 'function') return { 'text/plain': textOf(value), ...jsonOf(value) };
  const own = value[BUNDLE]();
  const whole = (bundle) => {
    const ret = fittedBundle(bundle);
    return Object.keys(ret).length > 0 ? ret : { 'text/plain': textOf(value) };
  };
  return types.isPromise(own) ? own.then(whole) : whole(own);
}

// The program's display. send(data, metadata, isLater): data may be a promise when a value makes its bundle asynchronously.
function makeDisplay(send) {
  const show = (type) => (value, metadata) => send({ [type]: fitted(type, value) }, metadata);
  function display(...values) {
    const later = [];
    for (const value of values) {
      const sent = send(bundleOf(value));
      if (sent) later.push(sent);
    }
    return later.length > 0 ? Promise.all(later).then(() => undefined) : undefined;
  }
  return Object.assign(display, {
    html: show('text/html'),
    markdown: show('text/markdown'),
    latex: show('text/latex'),
    text: show('text/plain'),
    svg: show('image/svg+xml'),
    png: show('image/png'),
    jpeg: show('image/jpeg'),
    pdf: show('application/pdf'),
    json: show('application/json'),
    bundle: (bundle, metadata) => send(fittedBundle(bundle), metadata),
  });
}

module.exports = { bundleOf, makeDisplay, textOf };
