# SPDX-License-Identifier: Apache-2.0
# Empty files, directories, links: no bytes, but all of them are memory of the kernel's.
# expect: status=file_limit limit=disk_bytes how=statfs
# limits: disk=4M wall=8s
# each: file directory symlink fifo
import os
import sys

make = {"file": lambda n: os.close(os.open(n, os.O_CREAT)), "directory": os.mkdir,
        "symlink": lambda n: os.symlink("x" * 200, n), "fifo": os.mkfifo}[sys.argv[1]]
n = 0
while True:
    n += 1
    make(f"/tmp/{n}")
