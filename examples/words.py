# SPDX-License-Identifier: Apache-2.0
"""Counts the words of standard input: retort run examples/words.py < examples/input/poem.txt

Arguments: how many words to show (3 unless given).
"""

import collections
import re
import sys
from dataclasses import dataclass, field


@dataclass
class Text:
    """What was read, counted as it came."""

    lines: int = 0
    letters: int = 0
    words: collections.Counter = field(default_factory=collections.Counter)

    def add(self, line: str) -> None:
        self.lines += 1
        self.letters += sum(character.isalpha() for character in line)
        self.words.update(re.findall(r"[^\W\d_]+", line.lower()))


def main() -> None:
    shown = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    text = Text()
    for line in sys.stdin:
        text.add(line)
    total = sum(text.words.values())
    print(f"{text.lines} lines, {total} words ({len(text.words)} different), {text.letters} letters")
    ranked = sorted(text.words.items(), key=lambda item: (-item[1], item[0]))
    for word, count in ranked[:shown]:
        print(f"{word:<8}{count:>3} {count / total:6.1%} {'#' * count}")


if __name__ == "__main__":
    main()
