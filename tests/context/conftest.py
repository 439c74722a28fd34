# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import library  # noqa: E402


@pytest.fixture(scope="session")
def runtimes(tmp_path_factory):
    """The runtimes that were built, and the toy among them."""
    folder = tmp_path_factory.mktemp("with-toy")
    for path in (*folder.parents, folder):
        if path.stat().st_uid == os.geteuid() and len(path.parts) > 2:
            path.chmod(0o755)
    shutil.copytree(library.BUILD / "runtimes", folder / "runtimes", ignore=shutil.ignore_patterns("*.p"))
    shutil.copytree(Path(__file__).parent / "runtimes/toy", folder / "runtimes/toy")
    return folder / "runtimes"


@pytest.fixture(scope="session")
def engine(runtimes):
    engine = library.Engine(runtimes)
    yield engine
    engine.close()


@pytest.fixture
def opened():
    """Contexts that are closed at the end."""
    made = []
    yield lambda context: made.append(context) or context
    for context in reversed(made):
        context.close()


@pytest.fixture
def toy(engine, opened):
    return opened(engine.open("toy"))
