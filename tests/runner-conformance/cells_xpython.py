# SPDX-License-Identifier: Apache-2.0
from cells_ipykernel import PYTHON
from languages import language

# input_eof: its input() has no end. interrupt_kills: it answers interrupt_request and does nothing, and SIGINT ends it.
language("xpython", **{key: value for key, value in PYTHON.items() if key != "input_eof"}, interrupt_kills=True)
