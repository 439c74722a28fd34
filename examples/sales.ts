// SPDX-License-Identifier: Apache-2.0
// Adds sales up by one of their columns: retort run examples/sales.ts --stdin examples/input/sales.csv -- product
import { text } from 'node:stream/consumers';

type Row = Record<string, string>;

enum Order { ByName, BySum }

class Sums<K extends string> {
  readonly #sums = new Map<K, number>();

  constructor(private readonly order: Order) {}

  add(key: K, amount: number): void {
    this.#sums.set(key, (this.#sums.get(key) ?? 0) + amount);
  }

  get rows(): [K, number][] {
    const rows = [...this.#sums];
    return this.order === Order.BySum ? rows.sort((a, b) => b[1] - a[1]) : rows.sort();
  }
}

function parse(csv: string): Row[] {
  const [head = '', ...lines] = csv.trim().split('\n');
  const names = head.split(',');
  return lines.map((line) => Object.fromEntries(line.split(',').map((value, i) => [names[i]!, value] as const)));
}

const rows = parse(await text(process.stdin));
const [column = Object.keys(rows[0]!)[0]!] = process.argv.slice(2);
const sums = new Sums(Order.BySum);
for (const row of rows) {
  const numbers = Object.values(row).map(Number).filter((n) => !Number.isNaN(n));
  sums.add(row[column]!, numbers.reduce((product, n) => product * n, 1));
}
for (const [name, sum] of sums.rows) console.log(`${name}: ${sum.toFixed(2)}`);
