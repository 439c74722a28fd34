# SPDX-License-Identifier: Apache-2.0
"""The files for systemd, as systemd itself reads them. No systemd runs here: nothing is started."""
import shutil
import subprocess

import pytest
from conftest import BIN, LONGEST_S, ROOT

UNITS = ROOT / "systemd"


def words_of(*command):
    """What a tool of systemd's complains about."""
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def units(tmp_path):
    """A folder with the units as they are installed, for the retortd of this build."""
    text = (UNITS / "retort.service.in").read_text()
    assert "@bindir@" in text
    (tmp_path / "retort.service").write_text(text.replace("@bindir@", str(BIN)))
    shutil.copy(UNITS / "retort.socket", tmp_path)
    return tmp_path


def verify(folder):
    return words_of("systemd-analyze", "verify", "--man=no", str(folder / "retort.service"), str(folder / "retort.socket"))


def test_units_are_right(units):
    status, said = verify(units)
    if "Failed to " in said:  # to initialize a manager, to find the user's directories: the host, not the units
        pytest.skip(said)
    assert (status, said) == (0, "")


@pytest.mark.parametrize("file, right, wrong", [("retort.service", "ProtectHome=", "ProtectHom="), ("retort.service", "retortd", "retortx"),
                                                ("retort.socket", "ListenStream=127.0.0.1:", "ListenStream=127.0.0.1.")])
def test_a_wrong_unit_would_be_seen(units, file, right, wrong):
    text = (units / file).read_text()
    assert right in text
    (units / file).write_text(text.replace(right, wrong))
    status, said = verify(units)
    assert status != 0 or said != ""


def test_the_user_is_made():
    status, said = words_of("systemd-sysusers", "--dry-run", str(UNITS / "retort.sysusers.conf"))
    assert status == 0 and "retort" in said, said
