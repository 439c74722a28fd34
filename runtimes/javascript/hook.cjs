// SPDX-License-Identifier: Apache-2.0
//
// Tells Retort what ended a JavaScript program: node loads this before the program (--require), and it writes
// {"name", "value", "traceback"} to descriptor 3 when an exception or a rejected promise is about to end the process.
// It only watches: what node prints, and its exit code, are as without it.
'use strict';

const fs = require('fs');

const REPORT_FD = 3;
const VALUE_MAX = 16 * 1024; // characters: a report is at most 256 KiB, and JSON may write one as six bytes
const TRACEBACK_MAX = 24 * 1024;

// Children and worker threads are started with the same options: not with ours. They have no report to make, and
// in a child descriptor 3 may be its channel to the parent.
const at = process.execArgv.indexOf('--require');
if (at >= 0) process.execArgv.splice(at, 2);

// A box shows nothing of the host's /proc/cpuinfo; a program that starts a worker for each of os.cpus() would start none.
const os = require('os');
if (os.cpus().length === 0 && os.availableParallelism) {
  os.cpus = () => Array.from({ length: os.availableParallelism() }, () => (
    { model: 'unknown', speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } }));
}

function isWanted() {
  try {
    const stat = fs.fstatSync(REPORT_FD);
    return (stat.isFIFO() || stat.isSocket()) && process.env.NODE_CHANNEL_FD !== String(REPORT_FD);
  } catch {
    return false;
  }
}

function cut(text, most) {
  text = String(text);
  if (text.length > most) text = text.slice(0, most / 2) + '\n[...]\n' + text.slice(-most / 2);
  // A half of a surrogate pair is not JSON for strict readers (String.prototype.toWellFormed came with Node 20).
  return Buffer.from(text, 'utf8').toString('utf8');
}

// An Error tells its name, message and stack; anything else that was thrown is shown as console.log would.
function describe(thrown) {
  if (thrown instanceof Error || (thrown !== null && typeof thrown === 'object' && typeof thrown.stack === 'string')) {
    const name = thrown.name || (thrown.constructor && thrown.constructor.name) || 'Error';
    return { name: cut(name, 256), value: cut(thrown.message, VALUE_MAX), traceback: cut(thrown.stack, TRACEBACK_MAX) };
  }
  const value = typeof thrown === 'string' ? thrown : require('util').inspect(thrown);
  return { name: thrown === null ? 'null' : typeof thrown, value: cut(value, VALUE_MAX), traceback: '' };
}

if (isWanted()) {
  process.on('uncaughtExceptionMonitor', (thrown) => {
    try {
      if (!require('worker_threads').isMainThread) return; // asked only now: loading it takes a millisecond
      const data = Buffer.from(JSON.stringify(describe(thrown)));
      for (let sent = 0; sent < data.length;) sent += fs.writeSync(REPORT_FD, data, sent);
    } catch {
      // Whatever went wrong: node tells the program's own story next.
    }
  });
}
