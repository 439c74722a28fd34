# SPDX-License-Identifier: Apache-2.0
from languages import language

HTML = "await Deno.jupyter.display({'text/html': '%s'}, {raw: true})"

language(
    "deno",
    set="let x: number = 41",
    get=("x + 1", "42"),
    print=("console.log('hello')", "hello\n"),
    print_err=("console.error('oh')", "oh\n"),
    value=("'bar'", '"bar"'),
    nothing="const y = 1",
    comment="// nothing here",
    html=(HTML % "<b>bold</b>", "<b>bold</b>"),
    # display_between: what is printed goes through a pipe inside of Deno, and what is displayed overtakes it
    error=("throw new RangeError('too far')", "RangeError", "too far"),
    handled=("try { null.x } catch (e) { console.log('caught') }", "caught\n"),
    syntax_error=("let = = 3", "Error"),  # all that the kernel says of one
    sleep="Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60000)",
    spin="while (true) {}",
    exit=("Deno.exit(3)", 3),
    # With stdout: 'inherit' a child's output is lost in Deno, also under other clients of the kernel.
    subprocess=("console.log(new TextDecoder().decode((await new Deno.Command('echo', {args: ['child']}).output()).stdout).trim())", "child\n"),
    env=("console.log(Deno.env.get('RETORT_TEST') ?? '')", "one two"),
    cwd="console.log(Deno.cwd())",
    big=("console.log('x'.repeat(5000000))", 5_000_001),
    many=("for (let i = 0; i < 300; i++) " + HTML % "x", 300),
    **{"await": ("await new Promise((done) => setTimeout(done, 10)); console.log('slept')", "slept\n")},
    unicode=("console.log('é€😀')", "é€😀\n"),
    input=("const a = prompt('first?'); const b = prompt(''); console.log(a + '-' + b)", ["one", "two"], "one-two\n"),
    # input_eof: prompt() gives the text of what ends input elsewhere
    # inspect: the kernel knows nothing of any name
    complete=("Deno.cw", "Deno.cwd"),
)
