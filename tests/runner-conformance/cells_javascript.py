# SPDX-License-Identifier: Apache-2.0
from languages import language

COMMON = dict(
    set="let x = 41",
    get=("x + 1", "42"),
    print=("console.log('one two'); console.log([1, {a: 'b'}], 'c', 10n)", "one two\n[ 1, { a: 'b' } ] c 10n\n"),
    print_err=("console.error('warned'); process.stderr.write('twice\\n')", "warned\ntwice\n"),
    value=("[1, 'two', {three: 3}]", "[ 1, 'two', { three: 3 } ]"),
    nothing="const nothing = 1",
    comment="// nothing to do\n/* here */",
    html=("display.html('<b>bold</b>')", "<b>bold</b>"),
    display_between=("console.log('before'); display.html('<i>1</i>'); console.log('after')", ["before\n", "<i>1</i>", "after\n"]),
    error=("null.missing", "TypeError", "Cannot read properties of null (reading 'missing')"),
    handled=("try { null.missing } catch (error) { console.log('caught', error.name) }", "caught TypeError\n"),
    syntax_error=("let = = 1", "SyntaxError"),
    sleep="await new Promise((resolve) => setTimeout(resolve, 60000))",
    spin="while (true) {}",
    exit=("process.exit(3)", 3),
    subprocess=("require('child_process').execSync('echo from a child', {stdio: 'inherit'}); 0", "from a child\n"),
    input=("const first = prompt('? '); console.log(first, readline())", ["eins", "zwei"], "eins zwei\n"),
    input_eof=("console.log(String(prompt('? ')))", "null"),
    env=("console.log(process.env.RETORT_TEST)", "one two\n"),
    cwd="console.log(process.cwd())",
    big=("console.log('x'.repeat(9999999))", 10_000_000),
    many=("for (let i = 0; i < 2000; i++) display(i)", 2000),
    complete=("Math.flo", "Math.floor"),
    inspect=("Math.max", "function"),
    library=("import { join } from 'path'; console.log(join('a', 'b'))", "a/b\n"),
    unicode=("const grüße = '😀 世界'; console.log(grüße)", "😀 世界\n"),
    stack=("function inner() { throw new RangeError('deep') }\nfunction outer() {\n  inner()\n}\nouter()", ["at inner (cell-1.", ":1:26", "at outer (cell-1.", ":3:3", ":5:1", "RangeError: deep"],
           ["node:inspector", "runner", "Session.post", "node:internal"]),
)
COMMON["await"] = ("const later = await Promise.resolve('later'); console.log(later)", "later\n")

language("javascript", **COMMON)

TYPED = COMMON | dict(
    set="let x: number = 41",
    print=("function say<T extends string>(text: T): void { console.log(text as string) }\nsay<'a'>('a')", "a\n"),
    value=("enum Colour { Red = 1, Green }\nconst both: Colour[] = [Colour.Red, Colour.Green]; both", "[ 1, 2 ]"),
    nothing="interface Shape { side: number }\ntype Name = string",
    handled=("try { (null as any).missing } catch (error: unknown) { console.log('caught', (error as Error).name) }", "caught TypeError\n"),
    syntax_error=("let = = 1", "SyntaxError"),
    library=("import { join } from 'path'\nimport type { Stats } from 'fs'\nconst of = (s: Stats): number => s.size\nconsole.log(join('a', 'b'))", "a/b\n"),
    stack=("function inner(depth: number): never { throw new RangeError('deep') }\nfunction outer(): void {\n  inner(1)\n}\nouter()", ["at inner (cell-1.ts:1:46)", "at outer (cell-1.ts:3:3)", "at cell-1.ts:5:1", "RangeError: deep"],
           ["node:inspector", "runner", "Session.post", "node:internal"]),
)
language("typescript", **TYPED)
