# SPDX-License-Identifier: Apache-2.0
# A tmpfs is memory: files in /tmp, /dev/shm and /work count.
# expect: status=memory_limit limit=memory_bytes how=memory
# limits: memory=64M disk=1G wall=8s
# each: /tmp /dev/shm /work
import sys

block = b"x" * (1 << 20)
n = 0
while True:
    n += 1
    with open(f"{sys.argv[1]}/file{n}", "wb") as out:
        for _ in range(8):
            out.write(block)
