# SPDX-License-Identifier: Apache-2.0
# 1 MB on one line is no crime.
# expect: status=ok exit=0
# says: endofline
import sys

sys.stdout.write("y" * (1 << 20) + "endofline")
