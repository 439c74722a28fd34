# SPDX-License-Identifier: Apache-2.0
"""Starts the Python runner (docs/internals/runner-protocol.md): `python3 -B runner.py`, with the protocol on descriptor 3.

Its modules lie beside this file and are imported as `_retort.*`, so that no name of theirs is in a program's way. A frozen
Python (warm.py) loads the same modules before it is frozen, and does not come through here.
"""

import os
import sys
import types


def load(folder):
    """The modules of that folder become importable as _retort.*; nothing else of it does."""
    sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) != folder]
    package = types.ModuleType("_retort")
    package.__path__ = [folder]
    sys.modules["_retort"] = package


if __name__ == "__main__":
    load(os.path.dirname(os.path.abspath(__file__)))
    from _retort import session

    session.main()
