# SPDX-License-Identifier: Apache-2.0
"""What Python's runner does beyond the protocol: IPython's shell, rich results, magics and commands."""

import subprocess

import pytest

import cells_python  # noqa: F401
from runner import Runner

PYTHON = "/usr/bin/python3"


def has(*modules):
    return subprocess.run([PYTHON, "-c", "import " + ", ".join(modules)], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not has("IPython"), reason="IPython is not installed")
needs_plots = pytest.mark.skipif(not has("matplotlib", "numpy"), reason="matplotlib is not installed")
needs_pandas = pytest.mark.skipif(not has("pandas"), reason="pandas is not installed")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For cells that leave the runner as it was."""
    runner = Runner("python", tmp_path_factory.mktemp("shared"))
    yield runner
    runner.close()


@pytest.fixture
def runner(tmp_path):
    runner = Runner("python", tmp_path)
    yield runner
    runner.close()


def data_of(runner, code, **more):
    cell = runner.run(code, **more)
    assert cell.status == "ok", cell.error
    return [item["data"] for item in cell.items]


# ---- the last expression, In and Out ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code, text", [
    ("'bar'", "'bar'"), ("x = 1; x + 1", "2"), ("# c\n3  # d", "3"), ("(1,\n 2)", "(1, 2)"), ("if True:\n    5\n6", "6"),
    ("  a = 5\n  a", "5"), ("\n\n    for i in range(2):\n        pass\n    i", "1"), (">>> 1 + 1", "2"), ("'a'; 'b'", "'b'"),
    ("class A: pass\nA.__module__", "'__main__'"), ("__name__", "'__main__'"), ("import sys; sys.modules['__main__'].__dict__ is globals()", "True"),
    ("from __future__ import annotations\ndef f(x: nowhere): pass\nf.__annotations__", "{'x': 'nowhere'}"),
])
def test_values(shared, code, text):
    assert [(item["main"], item["data"]["text/plain"]) for item in shared.run(code).items] == [(True, text)]


@pytest.mark.parametrize("code", ["5;", "5;  # quiet", "x = 5", "None", "def f(): 7", "for i in range(3):\n    i", "import os"])
def test_no_values(shared, code):
    assert shared.run(code).items == []


def test_in_and_out(runner):
    runner.run("41")
    assert data_of(runner, "_ + 1") == [{"text/plain": "42"}]
    assert data_of(runner, "_, __, _1, _i1, In[1], Out[2]")[0]["text/plain"] == "(42, 41, 41, '41', '41', 42)"
    runner.run("1 / 0")
    assert runner.run("").done["execution_count"] == 5
    assert data_of(runner, "len(In), sorted(Out)")[0]["text/plain"] == "(7, [1, 2, 3])"


def test_nothing_is_left_on_disk(runner, tmp_path):
    runner.run("%history\nx = 1")
    runner.run("%alias")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["tmp"]


def test_no_configuration_is_read(tmp_path):
    for folder in (".ipython/profile_default", ".jupyter"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".ipython/profile_default/ipython_config.py").write_text("c.InteractiveShell.ast_node_interactivity = 'none'\nprint('read')")
    (tmp_path / ".ipython/profile_default/startup").mkdir()
    (tmp_path / ".ipython/profile_default/startup/a.py").write_text("started = 1")
    runner = Runner("python", tmp_path)
    assert runner.run("'started' in globals()").main["text/plain"] == "False"
    runner.close()


# ---- rich results ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, mime, value", [
    ("Markdown('# a')", "text/markdown", "# a"), ("Latex('$x$')", "text/latex", "$x$"), ("SVG('<svg xmlns=\"a\"/>')", "image/svg+xml", '<svg xmlns="a"/>'),
    ("JSON({'a': [1, None]})", "application/json", {"a": [1, None]}), ("Javascript('1')", "application/javascript", "1"),
    ("GeoJSON({'type': 'Point', 'coordinates': [1, 2]})", "application/geo+json", {"type": "Point", "coordinates": [1, 2]}),
    ("Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + bytes(20))", "image/png", "iVBORw0KGgoAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
    ("{'a': {'b': [1.5, True, None]}}", "application/json", {"a": {"b": [1.5, True, None]}}), ("[1, 'x']", "application/json", [1, "x"]),
])
def test_kinds_of_results(shared, code, mime, value):
    cell = shared.run("from IPython.display import *\n" + code)
    assert cell.main[mime] == value


@pytest.mark.parametrize("code", ["{1: 2}", "[float('nan')]", "[object()]", "x = []; x.append(x); x", "(1, 2)", "[2**63]", "{'a': [-2**70, 'x']}"])
def test_what_is_not_json(shared, code):
    assert list(shared.run(code).main) == ["text/plain"]


MIMES = ["application/vnd.vegalite.v4+json", "application/vnd.vegalite.v5+json", "application/vnd.vega.v5+json", "application/vnd.plotly.v1+json"]


def test_mime_bundles_pass_through(shared):
    code = ("class Chart:\n    def __init__(self, mime): self.mime = mime\n"
            "    def _repr_mimebundle_(self, include=None, exclude=None): return {self.mime: {'mark': 'bar'}, 'text/plain': 'chart'}, {'w': 1}\n")
    shared.run(code)
    for mime in MIMES:
        item = shared.run(f"Chart({mime!r})").items[0]
        assert item["data"] == {mime: {"mark": "bar"}, "text/plain": "chart"} and item["main"] and item["metadata"] == {"w": 1}


def test_an_object_that_shows_itself_is_the_main_item(shared):
    cell = shared.run("class Own:\n    def _ipython_display_(self):\n        print('drawing')\n        display({'text/html': '<i>'}, raw=True)\nOwn()")
    assert cell.text == "drawing\n" and [(item["main"], item["data"]) for item in cell.items] == [(True, {"text/html": "<i>"})]


def test_what_json_cannot_say_is_made_to_fit(shared):
    cell = shared.run("display({'application/json': {1: float('nan'), 2: {3}, 'b': b'x'}, 'text/html': 5, 'image/png': b'abc', 'a/b': b'z'}, raw=True)")
    assert cell.items[0]["data"] == {"application/json": {"1": None, "2": [3], "b": "eA=="}, "text/html": "5", "image/png": "YWJj", "a/b": "eg=="}
    assert shared.run("display({'application/json': {1: 'a', '1': 'b'}}, raw=True)").items[0]["data"] == {"application/json": {"1": "b"}}


def test_numbers_that_few_readers_have_are_texts(shared):
    cell = shared.run("display({'application/json': [2**63 - 1, -2**63, 2**63, 1e300, {'a': 10**30}]}, raw=True)")
    assert cell.items[0]["data"]["application/json"] == [2**63 - 1, -(2**63), str(2**63), 1e300, {"a": str(10**30)}]
    cell = shared.run("display({'application/json': [0] * 5_000_000}, raw=True); display({f'a/{i}': 'x' for i in range(70)}, raw=True)")
    assert "left out" in cell.items[0]["data"]["text/plain"] and len(cell.items[1]["data"]) == 64


def test_displays_have_names(shared):
    first, second = shared.run("h = display('a', display_id='here'); h.update('b')").items
    assert (first["display_id"], first["update"], second["display_id"], second["update"]) == ("here", False, "here", True)


def test_an_item_that_is_too_large_is_named(shared):
    cell = shared.run("display({'text/html': 'x' * (33 << 20), 'text/plain': 'p'}, raw=True); 1")
    text = cell.items[0]["data"]["text/plain"]
    assert list(cell.items[0]["data"]) == ["text/plain"] and "text/html" in text and str((33 << 20) + 2) in text and str(32 << 20) in text
    assert cell.main == {"text/plain": "1"}


@pytest.mark.parametrize("code, ends_in", [
    ("class R:\n    def __repr__(self): return 1 / 0\nR()", "ZeroDivisionError"), ("class R:\n    def __repr__(self): return 5\nR()", "TypeError")])
def test_a_repr_that_fails_is_the_cells_error(shared, code, ends_in):
    assert shared.run(code).error["name"] == ends_in


def test_a_representation_that_fails_is_left_out(shared):
    cell = shared.run("class H:\n    def _repr_html_(self): return 1 / 0\n    def __repr__(self): return 'h'\nH()")
    assert cell.main == {"text/plain": "h"} and cell.err.decode().splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "IPython" not in cell.err.decode()


def test_capture(shared):
    assert shared.run("%%capture kept\nprint(1); display(2)\n3").items == []
    cell = shared.run("kept.show()")
    assert cell.text == "1\n" and [item["data"]["text/plain"] for item in cell.items] == ["2", "3"]


# ---- libraries -------------------------------------------------------------------------------------------------------

CHART, DATA = "application/vnd.retort.chart+json", "application/vnd.retort.data+json"


@needs_plots
def test_figures_that_are_open_are_shown_and_closed(shared):
    shared.run("import matplotlib.pyplot as plt")
    cell = shared.run("plt.plot([1, 2])\nplt.title('T')\n'last'")
    assert [item["main"] for item in cell.items] == [False, True] and cell.main == {"text/plain": "'last'"}
    figure = cell.items[0]["data"]
    assert set(figure) == {"text/plain", "image/png", CHART} and figure["image/png"].startswith("iVBORw0KGgo") and "\n" not in figure["image/png"]
    assert figure[CHART]["type"] == "line" and figure[CHART]["title"] == "T"
    assert data_of(shared, "plt.get_fignums()")[0]["text/plain"] == "[]"


@needs_plots
def test_show_keeps_the_order(shared):
    cell = shared.run("import matplotlib.pyplot as plt\nprint('a')\nplt.plot([1])\nplt.show()\nprint('b')\nplt.bar(['x'], [1])\nprint('c')")
    assert [(kind, what if kind == "out" else what["data"][CHART]["type"]) for kind, what in cell.story if kind in ("out", "item")] == [
        ("out", b"a\n"), ("item", "line"), ("out", b"b\nc\n"), ("item", "bar")]


@needs_plots
@pytest.mark.parametrize("code, items", [
    ("fig, ax = plt.subplots(); ax.plot([1, 2]); fig", [True]), ("fig, ax = plt.subplots(); ax.plot([1, 2]); display(fig)", [False]),
    ("fig, ax = plt.subplots(); ax.plot([1, 2]); display(fig); ax.plot([3, 4]);", [False, False]), ("plt.plot([1]); plt.close();", []),
    ("f = plt.figure(); f.add_subplot(); f.show();", [False]), ("plt.figure(); plt.figure(); plt.show()", [False, False]),
    ("import matplotlib; matplotlib.use('Agg'); plt.plot([1]); plt.show()", [False]), ("%matplotlib inline\nplt.plot([1]);", [False]),
    ("%matplotlib notebook\nplt.plot([1]);", [False]), ("plt.plot([1]); raise ValueError", [False]),
])
def test_each_figure_is_shown_once(shared, code, items):
    shared.run("import matplotlib.pyplot as plt")
    cell = shared.run(code)
    assert [item["main"] for item in cell.items] == items and cell.err == b""


@needs_plots
@pytest.mark.parametrize("formats, mimes", [
    (["svg"], {"image/svg+xml"}), (["jpeg", "pdf"], {"image/jpeg", "application/pdf"}), (["png", "svg"], {"image/png", "image/svg+xml"}), (None, {"image/png"})])
def test_formats_of_figures(shared, formats, mimes):
    data, = data_of(shared, "import matplotlib.pyplot as plt\nplt.plot([1, 2]);", **({"formats": formats} if formats else {}))
    assert set(data) == {"text/plain", CHART} | mimes


@needs_plots
def test_a_program_may_choose_formats_itself(runner):
    data, = data_of(runner, "import matplotlib_inline.backend_inline as b\nb.set_matplotlib_formats('svg')\nimport matplotlib.pyplot as plt\nplt.plot([1]);")
    assert set(data) == {"text/plain", CHART, "image/svg+xml"}


@needs_pandas
def test_tables(shared):
    shared.run("import pandas as pd\ndf = pd.DataFrame({'n': [1, 2], 'f': [1.5, None], 't': pd.to_datetime(['2024-01-01', None]), 's': ['x', None], 'c': pd.Categorical(['u', 'v'])})")
    data, = data_of(shared, "df")
    assert set(data) == {"text/plain", "text/html", DATA} and "<table" in data["text/html"]
    assert data[DATA] == {"n": [1, 2], "f": [1.5, None], "t": ["2024-01-01T00:00:00", None], "s": ["x", None], "c": ["u", "v"]}
    assert data_of(shared, "df.groupby('n').f.sum()")[0][DATA] == {"n": [1, 2], "f": [1.5, 0.0]}
    assert data_of(shared, "df.set_index('n')[['s']]")[0][DATA] == {"n": [1, 2], "s": ["x", None]}
    assert data_of(shared, "pd.DataFrame([[1, 2]], columns=['a', 'a'])")[0][DATA] == {"a": [1], "a.1": [2]}
    assert data_of(shared, "pd.DataFrame({('a', 1): [pd.Timedelta('1D')], 2: [b'z'], 'b': [True], 'o': [[1]]})")[0][DATA] == {
        "a.1": ["P1DT0H0M0S"], "2": ["b'z'"], "b": [True], "o": [[1]]}
    large = shared.run("pd.DataFrame({'a': range(600_000)})").items[0]
    assert DATA not in large["data"] and "600000 rows" in large["metadata"][DATA]["left_out"]
    assert "text/latex" in data_of(shared, "import warnings; warnings.simplefilter('ignore')\npd.set_option('display.latex.repr', True)\ndf")[0]


@pytest.mark.skipif(not has("PIL"), reason="PIL is not installed")
def test_pictures(shared):
    assert data_of(shared, "from PIL import Image; Image.new('RGB', (2, 2))")[0]["image/png"].startswith("iVBORw0KGgo")


@pytest.mark.skipif(not has("sympy"), reason="sympy is not installed")
def test_formulas(shared):
    assert data_of(shared, "import sympy; sympy.Symbol('y') ** 2 / 3") == [{"text/plain": "y**2/3", "text/latex": "$\\displaystyle \\frac{y^{2}}{3}$"}]


@pytest.mark.skipif(not has("plotly"), reason="plotly is not installed")
def test_plotly(shared):
    cell = shared.run("import plotly.graph_objects as go\nf = go.Figure(data=[go.Bar(y=[1, 2])])\nf.show()\nf")
    assert [(item["main"], list(item["data"])) for item in cell.items] == [(False, [MIMES[3]]), (True, [MIMES[3]])]
    assert cell.main[MIMES[3]]["data"][0]["y"] == [1, 2]


@pytest.mark.skipif(not has("altair"), reason="altair is not installed")
def test_altair(shared):
    cell = shared.run("import altair as alt, pandas as pd, warnings; warnings.simplefilter('ignore')\nalt.Chart(pd.DataFrame({'a': [1]})).mark_bar().encode(x='a')")
    assert cell.main[MIMES[0]]["mark"] == "bar"


# ---- magics and commands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, out", [
    ("!echo hi; echo there", "hi\nthere\n"), ("x = 5\n!echo $x {x + 1}", "5 6\n"), ("!exit 3\nprint(_exit_code)", "3\n"), ("%%bash\necho b\n[[ a == a ]] && echo c", "b\nc\n"),
    ("print(1, end='')\n!echo 2\nprint(3)", "12\n3\n"), ("y = !echo z\nprint(y)", "['z']\n"), ("%%sh --out o\necho k", ""), ("%%python3\nprint(6 * 7)", "42\n"),
    ("%cd /\nimport os\nprint(os.getcwd())", "/\n/\n"), ("%env A_B=c\nprint(os.environ['A_B'])", "env: A_B=c\nc\n"), ("%%writefile w.txt\nt", "Writing w.txt\n"), ("!cat w.txt; rm w.txt", "t\n"),
    ("for i in range(2):\n    !echo $i", "0\n1\n"), ("!kill -9 $$\nprint(_exit_code)", "-9\n"),
])
def test_commands(shared, tmp_path, code, out):
    cell = shared.run(code, cwd=str(shared.work))
    assert (cell.status, cell.text) == ("ok", out), cell.error


@pytest.mark.parametrize("code", ["%timeit -n1 -r1 1 + 1", "%time 1", "%%time\n1", "%lsmagic", "%who", "%pwd", "len?", "%pinfo len", "%config", "%precision 3", "%load_ext autoreload"])
def test_magics(shared, code):
    cell = shared.run(code)
    assert cell.status == "ok" and cell.out or cell.items or code.startswith("%load"), cell.error


def test_help_is_an_item(shared):
    assert "Return the number of items" in shared.run("len?").items[0]["data"]["text/plain"]


@pytest.mark.parametrize("code, word", [
    ("%edit", "terminal"), ("%pip install x", "network"), ("%conda install x", "network"), ("%pastebin 1", "network"), ("%gui qt", "screen"), ("%matplotlib qt", "screen"),
    ("%load http://a/b.py", "network"), ("%nothing", "not found"), ("%%nothing\nx", "not found"), ("%%script nothing\nx", "no program")])
def test_refusals(shared, code, word):
    error = shared.run(code).error
    assert error["name"] == "UsageError" and word in error["value"] and error["traceback"] == f"UsageError: {error['value']}\n"


def test_a_script_that_fails(shared):
    cell = shared.run("%%bash\necho a\nexit 4")
    assert cell.text == "a\n" and cell.error["name"] == "CalledProcessError" and "IPython" not in cell.error["traceback"]


def test_a_file_that_is_run(runner, tmp_path):
    (tmp_path / "a.py").write_text("q = 77\nprint(__name__)\nimport sys\nif len(sys.argv) > 1: sys.exit(int(sys.argv[1]))\nraise ValueError('in file')")
    cell = runner.run("%run a.py")
    assert cell.text == "__main__\n" and cell.error["value"] == "in file"
    assert [line.strip() for line in cell.error["traceback"].splitlines() if line.startswith("  File")] == [
        'File "<cell 1>", line 1, in <module>', f'File "{tmp_path}/a.py", line 5, in <module>']
    assert runner.run("q").main == {"text/plain": "77"}
    assert runner.run("%run a.py 0").status == "ok" and runner.run("%run a.py 3").done["exit_code"] == 3
