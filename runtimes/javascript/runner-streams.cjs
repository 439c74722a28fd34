// SPDX-License-Identifier: Apache-2.0
//
// process.stdout, stderr and stdin of cells, and the console. Output is written when write() returns. Input comes by messages:
// at once with prompt() and readline(), or through process.stdin, which asks for a line when a running cell waits for one.
'use strict';

const { console, Object, process, setImmediate } = globalThis; // a program may replace them
const { Console } = require('console');
const { Readable, Writable } = require('stream');
const { writeAll } = require('./runner-protocol.cjs');

class Output extends Writable {
  constructor(fd) {
    super({ decodeStrings: true, autoDestroy: false, emitClose: false });
    this.fd = fd;
    this._type = 'pipe';
    this._isStdio = true;
  }

  _write(chunk, encoding, done) {
    writeAll(this.fd, chunk);
    done();
  }

  // The next cell prints too.
  end(chunk, encoding, done) {
    const call = [chunk, encoding, done].find((one) => typeof one === 'function');
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') this.write(chunk, typeof encoding === 'string' ? encoding : undefined);
    if (call) process.nextTick(call);
    return this;
  }

  _destroy(error, done) {
    done(error);
  }

  destroySoon() {
    this.destroy();
  }
}

class Input extends Readable {
  constructor(ask) {
    super({ highWaterMark: 0 });
    this.fd = 0;
    this.isWanted = false; // somebody waits for a line
    this.ask = ask;
  }

  _read() {
    this.isWanted = true;
    this.ask();
  }

  give(message) {
    this.isWanted = false;
    this.push(message.eof ? null : `${message.text}\n`);
  }
}

// What the programs see from now on. ask() is called when stdin is wanted; the stdin there is: install().stdin.
function install(ask) {
  const streams = { stdin: null };
  const outputs = { stdout: new Output(1), stderr: new Output(2) };
  for (const [name, stream] of Object.entries(outputs)) {
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => stream });
  }
  Object.defineProperty(process, 'stdin', {
    configurable: true,
    enumerable: true,
    get() {
      if (streams.stdin === null || streams.stdin.destroyed || streams.stdin.readableEnded) streams.stdin = new Input(() => setImmediate(ask));
      return streams.stdin;
    },
  });
  // Node's own console tells the inspector everything that is logged, and that keeps the last thousand arguments alive.
  const own = new Console({ stdout: outputs.stdout, stderr: outputs.stderr, ignoreErrors: true });
  for (const name of Object.keys(own)) {
    if (typeof own[name] === 'function' && name in console) console[name] = own[name];
  }
  return streams;
}

module.exports = { install };
