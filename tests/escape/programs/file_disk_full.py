# SPDX-License-Identifier: Apache-2.0
# Many files, none too large, on all three private places: they share one disk.
# expect: status=file_limit limit=disk_bytes how=statfs
# limits: disk=8M wall=5s
n = 0
while True:
    for place in ("/tmp", "/work", "/dev/shm"):
        n += 1
        with open(f"{place}/{n}", "wb") as out:
            out.write(b"x" * 300000)
