# SPDX-License-Identifier: Apache-2.0
# Hard links: names without files. They end at the disk's or the memory's limit, and no link leads outside.
# expect: status=file_limit limit=disk_bytes how=statfs
# limits: disk=4M wall=8s
import os

for source in ("/etc/passwd", "/usr/bin/env", "/dev/null", "/proc/self/status", "/retort/c/runtime.yaml"):
    for place in ("/work/link", "/tmp/link"):
        try:
            os.link(source, place)
            print("open: linked", source)
        except OSError:
            pass
open("/work/one", "w").close()
n = 0
while True:
    n += 1
    os.link("/work/one", "/work/%0200d" % n)
