// SPDX-License-Identifier: Apache-2.0
// Reads numbers and says what each is made of: retort run examples/primes.js < examples/input/numbers.txt
'use strict';

const readline = require('node:readline');

/** The prime factors of n, smallest first. */
function* factors(n) {
  for (let p = 2; p * p <= n; p += p === 2 ? 1 : 2) {
    while (n % p === 0) {
      yield p;
      n /= p;
    }
  }
  if (n > 1) yield n;
}

function describe(n) {
  if (!Number.isInteger(n) || n < 2) return `${n} is not a number to factor`;
  const powers = new Map();
  for (const p of factors(n)) powers.set(p, (powers.get(p) ?? 0) + 1);
  const text = [...powers].map(([p, k]) => (k > 1 ? `${p}^${k}` : `${p}`)).join(' * ');
  return powers.has(n) ? `${n} is prime` : `${n} = ${text}`;
}

async function main() {
  const seen = new Set();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    for (const word of line.trim().split(/\s+/)) seen.add(Number(word));
  }
  const sorted = [...seen].sort((a, b) => a - b);
  for (const n of sorted) console.log(describe(n));
  console.log(JSON.stringify({ numbers: sorted.length, largest: sorted.at(-1) }));
}

main();
