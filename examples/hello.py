# SPDX-License-Identifier: Apache-2.0
"""The shortest example: `retort run examples/hello.py`."""

print("hello from Retort")
