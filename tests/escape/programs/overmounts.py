# SPDX-License-Identifier: Apache-2.0
# Takes the box's own mounts off, or lays others over them.
# expect: status=denied limit=syscall how=umount2
# limits: wall=5s
# each: /proc /work /dev/null / /retort
import ctypes
import sys

ctypes.CDLL(None).umount2(sys.argv[1].encode(), 2)
print("survived")
