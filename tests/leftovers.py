# SPDX-License-Identifier: Apache-2.0
"""What a run or a server of Retort may leave on the host: processes and control groups. Shared by the folders of tests."""
import os
import pathlib
import re


def orphaned_cgroups():
    """Control groups of jailers that are no more. Jailers of others may be at work beside this test."""
    found = set()
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            match = re.fullmatch(r"retort\.(\d+)", name)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                found.add(f"{folder}/{name}")
    return found


def processes_with(marker):
    """Process ids of the host whose command line or environment holds the marker, this one left out."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in words:
            found.append(int(entry.name))
    return found
