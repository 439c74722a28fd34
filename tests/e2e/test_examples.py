# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/ print what examples/expected says, as examples/cases.json lists them."""
import json

import pytest
from conftest import ROOT, Retort

EXAMPLES = ROOT / "examples"
LIST = EXAMPLES / "cases.json"
CASES = json.loads(LIST.read_text()) if LIST.exists() else []


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_example(case, tmp_path, installed_languages):
    missing = installed_languages[case["language"]]
    if missing:
        pytest.skip(f"{case['language']} is not installed: {missing}")
    words = ["run", EXAMPLES / case["file"]]
    words += ["--stdin", EXAMPLES / case["stdin"] if case["stdin"] else "/dev/null"]
    done = Retort(tmp_path)(*words, "--limit", "wall=50s", "--limit", "cpu=50s", "--compile-limit", "wall=50s", "--",
                            *case["args"])
    assert done.exit == 0, done
    assert done.text == (EXAMPLES / case["expected"]).read_text(), done
