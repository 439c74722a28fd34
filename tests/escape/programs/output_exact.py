# SPDX-License-Identifier: Apache-2.0
# Exactly as much as is allowed, on both streams together, is allowed.
# expect: status=ok exit=0
# limits: output=65536 wall=5s
# says: last
import os

os.write(2, b"e" * 30000)
os.write(1, b"o" * 35532 + b"last")
