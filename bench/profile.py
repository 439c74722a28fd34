# SPDX-License-Identifier: Apache-2.0
"""Reads perf script's samples, each with its call chain, and prints the table of bench/profile: microseconds of CPU time a run."""

import collections
import datetime
import os
import re
import sys

PERIOD_US = 1e6 / 4000
LEAST_US = 5  # what is less is "other"
# The outermost of these in a chain is why the kernel runs.
ENTRIES = [(re.compile(r"^(asm_)?exc_page_fault$"), "page faults"), (re.compile(r"^__(?:x64|arm64)_sys_(\w+)$"), None),
           (re.compile(r"^(asm_)?sysvec_|^asm_common_interrupt$|^common_interrupt$"), "interrupts"), (re.compile(r"^ret_from_fork"), "a fork's first steps")]
PROCESSES = {"retort-soak": "engine", "retort-jailer": "jailer", "retort-keeper": "keeper", "retort-init": "init"}


def samples(lines):
    """(comm, [symbols, innermost first])"""
    comm, chain = None, []
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            if comm is not None:
                yield comm, chain
            comm, chain = None, []
        elif comm is None:
            comm = line.strip()
        else:
            chain.append(line.split(None, 1)[1] if len(line.split(None, 1)) > 1 else "")
    if comm is not None:
        yield comm, chain


def why(chain):
    for symbol in reversed(chain):
        for pattern, name in ENTRIES:
            found = pattern.match(symbol)
            if found:
                return name or found.group(1) + "(2)"
    return "its own instructions"


def main():
    language, runs = sys.argv[1], int(sys.argv[2])
    spent = collections.Counter()
    for comm, chain in samples(sys.stdin):
        if not comm.startswith("swapper") and not comm.startswith("perf"):
            spent[PROCESSES.get(comm, "guest" if "python" in comm or "node" in comm or comm == "R" else "other"), why(chain)] += PERIOD_US / runs
    by_process = collections.Counter()
    for (process, _), us in spent.items():
        by_process[process] += us
    print(f"\n## Where the time goes\n\n- date: {datetime.datetime.utcnow():%F %H:%M} UTC\n- machine: {os.cpu_count()} CPUs, Linux {os.uname().release}\n")
    print(f"CPU time of a {language} run, forks of it and the recycling of its box with it, in us: {runs} runs on one thread, all processes of the")
    print(f"machine sampled 4000 times a second, the start of the interpreter that is frozen among it. Together {sum(by_process.values()):.0f} us.\n")
    print("| process | us | what for | us |\n|:--------|-------:|:----------------------|-------:|")
    for process, total in by_process.most_common():
        if total < LEAST_US:
            continue
        rows = [(name, us) for (one, name), us in spent.most_common() if one == process]
        small = sum(us for _, us in rows if us < LEAST_US)
        rows = [(name, us) for name, us in rows if us >= LEAST_US] + ([("other", small)] if small else [])
        for i, (name, us) in enumerate(rows):
            print(f"| {process if i == 0 else '':7} | {f'{total:.0f}' if i == 0 else '':>6} | {name:21} | {us:6.0f} |")


main()
