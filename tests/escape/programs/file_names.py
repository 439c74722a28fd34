# SPDX-License-Identifier: Apache-2.0
# Names of any bytes and of the greatest length; traversal; the box's private places as symlinks to the host's.
# expect: status=ok exit=0
# limits: wall=5s
# says: done
import os

for name in (b"\xff" * 255, b"\n\r\x1b[2J", b"-rf", b"*", b" ", b"..."):
    open(b"/tmp/" + name, "wb").close()
for name in ("/tmp/" + "x" * 256, "/" + "a/" * 3000):
    try:
        open(name, "w")
        print("open: too long a name")
    except OSError:
        pass
deep = "/tmp/" + "../" * 200
for name in ("root", "home", "work/main", "etc/shadow", "var/log", "boot"):
    if os.path.exists(deep + name):
        print("open:", name)
os.rename("/work/file_names.py", "/work/gone")
for place in ("/work", "/tmp", "/dev/shm"):
    try:
        os.rename(place, place + "2")
        print("open: renamed", place)
    except OSError:
        pass
    try:
        os.rmdir(place)
        print("open: removed", place)
    except OSError:
        pass
os.symlink("/proc/1/root", "/tmp/x")
os.symlink("/root", "/work/y")
print("done", os.listdir("/work"))
