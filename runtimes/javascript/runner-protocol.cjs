// SPDX-License-Identifier: Apache-2.0
//
// The runner's descriptors: frames on the protocol socket (docs/internals/runner-protocol.md), and writing that is over
// when it returns, so that what a program prints and what the runner says keep their order. Taken along at start is all
// that a program could replace later.
'use strict';

const { Buffer, Error, JSON, Object, process, RangeError } = globalThis; // a program may replace them
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const { readSync } = fs;
const { parse, stringify } = JSON;
const { allocUnsafe, byteLength, concat, from } = Buffer;
const leave = process.reallyExit.bind(process);

const MOST = 64 << 20; // bytes of a frame
const MOST_OF_ITEM = 32 << 20;

const loaded = { exports: {} };
process.dlopen(loaded, path.join(__dirname, 'runner.node'));
const native = loaded.exports;

// Nobody can be told that the other end is gone; a program that closed its own descriptor loses what it writes.
const writeAll = (fd, data) => native.write(fd, data);

// JSON text without halves of surrogate pairs, which stringify writes as \udXXX.
function toText(message) {
  const text = stringify(message);
  if (!text.includes('\\ud')) return text;
  return text.replace(/(\\+)ud[89a-f][0-9a-f]{2}/g, (all, slashes) => (slashes.length % 2 ? `${slashes.slice(1)}\ufffd` : all));
}

class Protocol {
  // onMessage is called in the event loop, once for each message.
  constructor(fd, onMessage) {
    this.fd = native.move(fd);
    if (this.fd < 0) throw new Error(`descriptor ${fd} is not the protocol's socket`);
    this.onMessage = onMessage;
    this.chunks = [];
    this.size = 0;
    this.queue = []; // messages that nobody took yet
    this.buffer = allocUnsafe(65536);
    this.mark = `\0item ${crypto.randomBytes(12).toString('hex')}\x01`;
    this.markBytes = from(this.mark);
  }

  listen() {
    const isListening = native.listen(this.fd, () => {
      while (this.read());
      this.deliver();
    });
    if (!isListening) throw new Error('the protocol cannot be listened to');
  }

  // What there is; false: nothing. If it is ended before it began, the event loop comes here again.
  read() {
    let n = -1;
    native.quiet(() => {
      try {
        n = readSync(this.fd, this.buffer, 0, this.buffer.length, null);
      } catch (error) {
        if (error.code === 'EAGAIN' || error.code === 'EINTR') return;
        n = 0;
      }
      if (n === 0) leave(0);
      this.take(this.buffer.subarray(0, n));
    });
    return n === this.buffer.length;
  }

  deliver() {
    while (this.queue.length > 0) this.onMessage(this.queue.shift());
  }

  // Some bytes more: whole frames become messages.
  take(data) {
    this.chunks.push(from(data));
    this.size += data.length;
    while (this.size >= 4) {
      if (this.chunks[0].length < 4) this.join();
      const length = this.chunks[0].readUInt32BE(0);
      if (length === 0 || length > MOST) leave(1);
      if (this.size < 4 + length) return;
      this.join();
      const whole = this.chunks[0];
      this.queue.push(parse(whole.toString('utf8', 4, 4 + length)));
      this.size -= 4 + length;
      this.chunks = this.size > 0 ? [whole.subarray(4 + length)] : [];
    }
  }

  join() {
    if (this.chunks.length > 1) this.chunks = [concat(this.chunks)];
  }

  // Blocks until a message comes for which wanted(message) is true, and returns it; null: an interrupt came first. Others
  // wait for the event loop.
  readNow(wanted) {
    for (;;) {
      const at = this.queue.findIndex(wanted);
      if (at >= 0) return this.queue.splice(at, 1)[0];
      if (!native.wait(this.fd)) return null;
      this.read();
    }
  }

  send(message) {
    this.write(toText(message));
  }

  write(text, mark) {
    const size = byteLength(text);
    const frame = allocUnsafe(4 + size);
    frame.writeUInt32BE(size, 0);
    frame.write(text, 4);
    if (!(mark ? native.send(this.fd, frame, mark) : native.send(this.fd, frame))) leave(0);
  }

  // An item; one that is too large is said to be so.
  sendItem(message) {
    let text = null;
    let size = Infinity;
    try {
      text = toText(message);
      size = byteLength(text);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // longer than any string
    }
    if (size <= MOST_OF_ITEM) {
      this.write(text, this.markBytes);
      return;
    }
    const sizes = Object.entries(message.data).map(([type, value]) => [typeof value === 'string' ? value.length : size, type]);
    const [most, type] = sizes.sort((a, b) => b[0] - a[0])[0];
    const notice = `[${type} of ${most} bytes is left out: an item may have ${MOST_OF_ITEM}]`;
    this.write(toText({ ...message, data: { 'text/plain': notice } }), this.markBytes);
  }
}

module.exports = { Protocol, leave, native, writeAll };
