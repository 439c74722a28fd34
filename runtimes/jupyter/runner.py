# SPDX-License-Identifier: Apache-2.0
"""The runner of every language that a Jupyter kernel gives: started by a runtime.yaml as
`python3 -I runner.py [--transport=ipc] [--grace-ms=N] [--ready-s=N] KERNEL [-- more words for the kernel]`.

KERNEL is the name of an installed kernelspec, or the path of a folder with a kernel.json. docs/runtimes.md has more.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from session import main  # noqa: E402 -- its byte code was made ahead, which a script's never is

main(sys.argv[1:])
