# SPDX-License-Identifier: Apache-2.0
"""A real analysis, cell by cell: rows of a known truth are written into a context, loaded, grouped, shown, drawn and fitted there."""

import base64
import random
import struct
import threading
import time

import pytest

import library

ROWS = 100_000
REGIONS = ("north", "south", "east", "west")
TRUTH = {"north": 1.0, "south": -2.0, "east": 0.5, "west": 4.0}  # what each region adds
SLOPES = (3.0, -1.25)  # of price and of load
NOISE = 0.5


def busy(context):
    deadline = time.monotonic() + 20
    while context.info()["state"] != "busy":
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def rows():
    chance = random.Random(20)
    made = []
    for i in range(ROWS):
        region, price, load = REGIONS[chance.randrange(4)], round(chance.uniform(0, 10), 4), round(chance.gauss(0, 3), 4)
        made.append((i, region, price, load, round(TRUTH[region] + SLOPES[0] * price + SLOPES[1] * load + chance.gauss(0, NOISE), 5)))
    return made


@pytest.fixture(scope="module")
def table(rows):
    return "id,region,price,load,value\n" + "".join(f"{i},{region},{price},{load},{value}\n" for i, region, price, load, value in rows)


@pytest.fixture(scope="module")
def means(rows):
    """By region: rows and the mean of value, counted here."""
    found = {}
    for _, region, _, _, value in rows:
        n, total = found.get(region, (0, 0.0))
        found[region] = (n + 1, total + value)
    return {region: (n, total / n) for region, (n, total) in found.items()}


@pytest.fixture(scope="module")
def engine():
    engine = library.Engine()
    yield engine
    engine.close()


@pytest.fixture
def started(engine, table):
    """Opens a context with the rows in it; skips where this build has no runner for the language."""
    made = []

    def start(language):
        try:
            context = engine.open(language, limits={"memory_bytes": 1 << 30, "wall_ms": 120_000, "cpu_ms": 120_000})
        except library.Refused as refused:
            if "no contexts" in str(refused) or "not installed" in str(refused):
                pytest.skip(f"{language}: {refused}")
            raise
        made.append(context)
        context.write("data/rows.csv", table)
        assert context.stat("data/rows.csv")["size"] == len(table)
        return context

    yield start
    for context in reversed(made):
        context.close()


def well(context, code, **options):
    outcome = context.run(code, **options)
    assert outcome["status"] == "ok", (code, outcome["error"] if "error" in outcome else outcome)
    return outcome


def main(outcome):
    (item,) = (item for item in outcome["items"] if item["is_main_result"])
    return item


def numbers(text):
    return [float(word) for word in text.split()]


def size_of_png(item):
    data = base64.b64decode(item["png"], validate=True)
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and data[-8:-4] == b"IEND"
    return struct.unpack(">II", data[16:24])


def check_fit(found):
    wanted = [TRUTH[region] for region in REGIONS] + list(SLOPES)
    assert len(found) == len(wanted)
    for one, truth in zip(found, wanted):  # by far more than chance would have it: the errors are about 0.003
        assert abs(one - truth) < 0.03, (found, wanted)


def interrupted(context, code):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(context.run(code)))
    thread.start()
    busy(context)
    time.sleep(0.3)
    begun = time.monotonic()
    context.interrupt()
    thread.join(30)
    assert time.monotonic() - begun < 10
    (outcome,) = outcomes
    assert outcome["status"] == "cancelled" and outcome["context_state"] == "idle", outcome


def test_in_python(started, means):
    context = started("python")
    loaded = well(context, "import numpy as np, pandas as pd\ndf = pd.read_csv('data/rows.csv', index_col='id')\nprint(df.shape)\nlen(df)")
    assert loaded["stdout"] == f"({ROWS}, 4)\n" and main(loaded)["text"] == str(ROWS) and loaded["execution_count"] == 1

    shown = main(well(context, "by = df.groupby('region').value.agg(['size', 'mean']).reset_index()\nby"))
    assert "<table" in shown["html"] and all(region in shown["html"] and region in shown["text"] for region in REGIONS)
    data = shown["data"]
    assert data["region"] == sorted(REGIONS) and data["size"] == [means[region][0] for region in data["region"]]
    assert data["mean"] == pytest.approx([means[region][1] for region in data["region"]], rel=1e-9)

    plot = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots(figsize=(5, 4), dpi=100)\nax.bar(by.region, by['mean'])\nax.set_title('Means')\nax.set_xlabel('region'); ax.set_ylabel('value')\nplt.show()"
    (drawn,) = well(context, plot)["items"]
    width, height = size_of_png(drawn)
    assert 300 < width < 700 and 250 < height < 600
    chart = drawn["chart"]
    assert (chart["type"], chart["title"], chart["x_label"], chart["y_label"]) == ("bar", "Means", "region", "value")
    assert [element["label"] for element in chart["elements"]] == data["region"]
    assert [float(element["value"]) for element in chart["elements"]] == pytest.approx(data["mean"], rel=1e-6)
    (vector,) = well(context, plot, formats=["svg"])["items"]
    assert "<svg" in vector["svg"] and "png" not in vector

    failed = context.run("df['no such column']")
    assert (failed["status"], failed["exit_code"], failed["error"]["name"], failed["context_state"]) == ("nonzero", 1, "KeyError", "idle")
    assert "no such column" in failed["error"]["traceback"]

    fit = f"X = np.column_stack([(df.region == r).astype(float) for r in {REGIONS!r}] + [df.price, df.load])\nbest, *_ = np.linalg.lstsq(X, df.value, rcond=None)\nprint(*best)"
    check_fit(numbers(well(context, fit)["stdout"]))

    copy = context.fork()
    try:
        assert main(well(copy, "df = df[df.region == 'north']; len(df)"))["text"] == str(means["north"][0])
        well(copy, "open('data/copy.txt', 'w').write(str(df.value.mean())); best[:] = 0")
        assert main(well(context, "len(df)"))["text"] == str(ROWS)
        check_fit(numbers(well(context, "print(*best)")["stdout"]))
        assert float(context.read("data/copy.txt")) == pytest.approx(means["north"][1], rel=1e-9)  # the files are the same
    finally:
        copy.close()

    interrupted(context, "import time\nwhile True:\n    df.value.sum(); time.sleep(0.001)")
    assert main(well(context, "df.shape"))["text"] == f"({ROWS}, 4)"

    assert context.restart() is True
    gone = context.run("df")
    assert (gone["status"], gone["error"]["name"], gone["execution_count"]) == ("nonzero", "NameError", 1)
    assert main(well(context, "import pandas as pd; len(pd.read_csv('data/rows.csv'))"))["text"] == str(ROWS)


def test_in_r(started, means):
    context = started("r")
    loaded = well(context, "df <- read.csv('data/rows.csv', stringsAsFactors = TRUE)\ncat(dim(df), '\\n')\nnrow(df)")
    assert numbers(loaded["stdout"]) == [ROWS, 5] and str(ROWS) in main(loaded)["text"].replace("1e+05", str(ROWS))

    shown = main(well(context, "by <- aggregate(value ~ region, df, mean)\nby$rows <- as.vector(table(df$region))\nby"))
    assert "<table" in shown["html"] and all(region in shown["html"] and region in shown["text"] for region in REGIONS)
    data = shown["data"]
    assert data["region"] == sorted(REGIONS) and data["rows"] == [means[region][0] for region in data["region"]]
    assert data["value"] == pytest.approx([means[region][1] for region in data["region"]], rel=1e-4)
    exact = well(context, "cat(sprintf('%.12g', by$value))")["stdout"]
    assert numbers(exact) == pytest.approx([means[region][1] for region in sorted(REGIONS)], rel=1e-9)

    plot = "barplot(by$value, names.arg = by$region, main = 'Means')"
    drawn = [item for item in well(context, plot)["items"] if "png" in item]
    assert len(drawn) == 1
    width, height = size_of_png(drawn[0])
    assert 200 < width < 2000 and 200 < height < 2000
    vectors = [item for item in well(context, plot, formats=["svg"])["items"] if "svg" in item]
    assert len(vectors) == 1 and "<svg" in vectors[0]["svg"]

    failed = context.run("stop('no such column')")
    assert (failed["status"], failed["exit_code"], failed["context_state"]) == ("nonzero", 1, "idle")
    assert "no such column" in failed["error"]["value"]

    names = ", ".join(f"'{region}'" for region in REGIONS)
    fit = f"df$region <- factor(df$region, levels = c({names}))\nmodel <- lm(value ~ 0 + region + price + load, df)\ncat(sprintf('%.12g', coef(model)))"
    check_fit(numbers(well(context, fit)["stdout"]))
    assert "lm(" in main(well(context, "summary(model)"))["text"]

    interrupted(context, "repeat { sum(df$value); Sys.sleep(0.001) }")
    assert numbers(well(context, "cat(dim(df))")["stdout"]) == [ROWS, 5]

    assert context.restart() is True
    gone = context.run("model")
    assert gone["status"] == "nonzero" and "model" in gone["error"]["value"]
    assert numbers(well(context, "cat(nrow(read.csv('data/rows.csv')))")["stdout"]) == [ROWS]
