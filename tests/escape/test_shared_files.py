# SPDX-License-Identifier: Apache-2.0
"""The host's own files stand in every box, read-only. What two sides can still do to each other through them."""
import fcntl
import os
import subprocess

import pytest

from conftest import BIN, environment

SHARED = "/usr/bin/env"

LOCKS = f"""
import fcntl, os, time
fd = os.open("{SHARED}", os.O_RDONLY)
fcntl.flock(fd, fcntl.LOCK_EX)
print("ready", flush=True)
time.sleep(9)
"""

WATCHES = f"""
import ctypes, os, select
libc = ctypes.CDLL(None)
fd = libc.inotify_init1(0)
libc.inotify_add_watch(fd, b"{SHARED}", 0x21)  # read, opened
print("ready", flush=True)
print("seen" if select.select([fd], [], [], 8)[0] else "nothing", flush=True)
"""


@pytest.fixture
def guest(corner, host_unchanged):
    """A guest that runs, its output live."""
    started = []

    def start(code):
        one = subprocess.Popen([BIN / "retort", "run", "-q", "-l", "python", "-c", code], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, env=environment(TMPDIR=str(corner.scratch)))
        started.append(one)
        assert one.stdout.readline() == b"ready\n"
        return one

    yield start
    for one in started:
        one.terminate()
        one.wait(60)
        one.stdout.close()


@pytest.mark.xfail(strict=True, reason="bind mounts share inodes: flock(2) needs no right to write. An overlay for each slot would not")
def test_a_guest_cannot_lock_a_file_of_the_host(guest):
    guest(LOCKS)
    with open(SHARED) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.xfail(strict=True, reason="bind mounts share inodes: inotify(7) needs the right to read only. An overlay for each slot would not")
def test_a_guest_cannot_watch_the_host_use_its_files(guest):
    one = guest(WATCHES)
    with open(SHARED, "rb") as file:
        os.read(file.fileno(), 10)
    assert one.stdout.readline() == b"nothing\n"
