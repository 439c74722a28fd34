# SPDX-License-Identifier: Apache-2.0
from cells_ipykernel import PYTHON
from languages import language

# many: above a thousand its socket drops what is not read fast enough. input_eof: its input() has no end. interrupt_kills: it answers interrupt_request and does nothing, and SIGINT ends it.
MANY = ("from IPython.display import display\nfor i in range(900): display(i)", 900)
language("xpython", **{key: value for key, value in PYTHON.items() if key != "input_eof"} | {"many": MANY}, interrupt_kills=True)
