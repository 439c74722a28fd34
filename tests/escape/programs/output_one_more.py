# SPDX-License-Identifier: Apache-2.0
# One byte more is too much, even when the program has ended well before anyone could stop it.
# expect: status=output_limit limit=output_bytes how=read
# limits: output=65536 wall=5s
import os

os.write(1, b"o" * 65536)
os.write(2, b"x")
