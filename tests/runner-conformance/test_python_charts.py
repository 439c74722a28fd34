# SPDX-License-Identifier: Apache-2.0
"""Charts as data (runtimes/python/charts.py): each kind of figure that programs draw, against what they drew."""

import datetime
import json
import sys

import pytest

from runner import ROOT

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.axes  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

sys.path.insert(0, str(ROOT / "runtimes" / "python"))
import charts  # noqa: E402

sys.path.remove(str(ROOT / "runtimes" / "python"))
charts.note_boxes(matplotlib.axes.Axes)


@pytest.fixture(autouse=True)
def no_figures():
    plt.close("all")
    with plt.style.context("default"):
        yield
    plt.close("all")


def chart():
    """The present figure's, as it is when the figure has been drawn, and as JSON says it."""
    plt.gcf().canvas.draw()
    found = charts.of_figure(plt.gcf())
    assert isinstance(found, dict), found
    return json.loads(json.dumps(found, allow_nan=False))


def test_line():
    plt.plot([1, 2, 3], [4, 5.5, 6])
    plt.plot([1, 2], [7, 8], label="second")
    plt.title("Two lines")
    plt.xlabel("Time (s)")
    plt.ylabel("Voltage [mV]")
    plt.xticks([1, 2, 3], ["one", "two", "three"])
    found = chart()
    assert list(found)[:2] == ["type", "title"]
    assert (found["type"], found["title"]) == ("line", "Two lines")
    assert (found["x_label"], found["x_unit"], found["y_label"], found["y_unit"]) == ("Time (s)", "s", "Voltage [mV]", "mV")
    assert (found["x_ticks"], found["x_tick_labels"], found["x_scale"]) == ([1, 2, 3], ["one", "two", "three"], "linear")
    assert len(found["y_ticks"]) == len(found["y_tick_labels"]) > 2 and found["y_scale"] == "linear"
    assert found["elements"] == [{"label": "Line 0", "points": [[1, 4], [2, 5.5], [3, 6]]}, {"label": "second", "points": [[1, 7], [2, 8]]}]


def test_what_is_absent_is_null():
    plt.plot([1, 2], [3, 4])
    found = chart()
    assert [found[name] for name in ("title", "x_label", "y_label", "x_unit", "y_unit")] == [None] * 5


def test_missing_values_are_null():
    plt.plot([1, 2, 3], [1, float("nan"), float("inf")])
    plt.plot(np.ma.masked_array([5, 6], [False, True]))
    assert [element["points"] for element in chart()["elements"]] == [[[1, 1], [2, None], [3, None]], [[0, 5], [1, None]]]


@pytest.mark.parametrize("times, first", [
    ([datetime.datetime(2024, 1, 1, 12, 30), datetime.datetime(2024, 2, 1)], "2024-01-01T12:30:00"),
    ([datetime.date(2024, 1, 1), datetime.date(2024, 1, 9)], "2024-01-01T00:00:00"),
    (np.array(["2024-01-01", "2024-01-03"], dtype="datetime64[D]"), "2024-01-01T00:00:00"),
])
def test_dates(times, first):
    plt.plot(times, [1, 2])
    found = chart()
    assert found["x_scale"] == "datetime" and found["elements"][0]["points"][0] == [first, 1]
    assert all(datetime.datetime.fromisoformat(tick) for tick in found["x_ticks"]) and len(found["x_ticks"]) > 1


def test_dates_of_points_and_bars():
    days = [datetime.date(2024, 3, day) for day in (1, 2, 3)]
    plt.scatter(days, [1, 2, 3])
    found = chart()
    assert found["x_scale"] == "datetime" and found["elements"][0]["points"][2] == ["2024-03-03T00:00:00", 3]
    plt.close()
    plt.bar(days, [1, 2, 3])
    assert [element["label"] for element in chart()["elements"]] == [f"2024-03-0{day}T00:00:00" for day in (1, 2, 3)]


def test_times_of_pandas():
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2024-01-01", periods=3)
    pandas.DataFrame({"a": [1, 2, 3]}, index=index).plot()
    found = chart()
    assert found["x_scale"] == "datetime" and found["elements"] == [
        {"label": "a", "points": [["2024-01-01T00:00:00", 1], ["2024-01-02T00:00:00", 2], ["2024-01-03T00:00:00", 3]]}]
    plt.close()
    plt.plot(index.tz_localize("UTC"), [1, 2, 3])
    assert chart()["elements"][0]["points"][0][0] == "2024-01-01T00:00:00+00:00"


@pytest.mark.parametrize("draw, scales", [
    (lambda: plt.loglog([1, 10, 100], [1, 100, 10000]), ("log", "log")),
    (lambda: (plt.plot([1, 2], [3, 4]), plt.yscale("symlog")), ("linear", "symlog")),
    (lambda: (plt.plot([0.1, 0.9], [3, 4]), plt.xscale("logit")), ("logit", "linear")),
    (lambda: (plt.plot([1, 2], [3, 4]), plt.xscale("function", functions=(np.sqrt, np.square))), ("function", "linear")),
    (lambda: (plt.plot([1, 2], [3, 4]), plt.yscale("asinh")), ("linear", "asinh")),
    (lambda: plt.plot(["a", "b"], [3, 4]), ("categorical", "linear")),
])
def test_scales(draw, scales):
    draw()
    found = chart()
    assert (found["x_scale"], found["y_scale"]) == scales


def test_ticks_of_a_log_scale_can_be_read():
    plt.semilogy([1, 2], [1, 1000])
    found = chart()
    assert (found["y_ticks"], found["y_tick_labels"]) == ([1, 10, 100, 1000], ["10^0", "10^1", "10^2", "10^3"])
    assert found["elements"][0]["points"] == [[1, 1], [2, 1000]]


def test_categories():
    plt.plot(["low", "high"], [3, 4])
    found = chart()
    assert found["x_ticks"] == found["x_tick_labels"] == ["low", "high"] and found["elements"][0]["points"] == [["low", 3], ["high", 4]]


def test_scatter():
    plt.scatter([1, 2], [3, 4], label="measured")
    plt.scatter([5], [6])
    plt.plot([1, 5], [3, 6], label="fit")
    found = chart()
    assert found["type"] == "scatter" and [element["label"] for element in found["elements"]] == ["measured", "Line 1", "fit"]
    assert found["elements"][1]["points"] == [[5, 6]]


def test_markers_without_lines_are_a_scatter():
    plt.plot([1, 2], [3, 4], "o")
    assert chart()["type"] == "scatter"


def test_bars():
    plt.bar(["a", "b"], [1, 2.5])
    plt.ylabel("Mass (kg)")
    found = chart()
    assert found["type"] == "bar" and (found["y_label"], found["y_unit"]) == ("Mass (kg)", "kg")
    assert found["elements"] == [{"label": "a", "group": "", "value": 1}, {"label": "b", "group": "", "value": 2.5}]


def test_horizontal_bars():
    plt.barh(["a", "b"], [1, 2], label="g")
    assert chart()["elements"] == [{"label": "a", "group": "g", "value": 1}, {"label": "b", "group": "g", "value": 2}]


def test_equal_bars_stay_vertical():
    plt.bar(["a", "b"], [2, 2])
    assert [(element["label"], element["value"]) for element in chart()["elements"]] == [("a", 2), ("b", 2)]


def test_grouped_bars():
    x = np.arange(3)
    plt.bar(x - 0.2, [1, 2, 3], 0.4, label="men")
    plt.bar(x + 0.2, [4, 5, 6], 0.4, label="women")
    plt.xticks(x, ["p", "q", "r"])
    assert [tuple(element.values()) for element in chart()["elements"]] == [
        ("p", "men", 1), ("q", "men", 2), ("r", "men", 3), ("p", "women", 4), ("q", "women", 5), ("r", "women", 6)]


def test_stacked_bars_and_error_bars():
    plt.bar(["a"], [1], yerr=[0.1])
    plt.bar(["a"], [2], bottom=[1])
    assert [tuple(element.values()) for element in chart()["elements"]] == [("a", "Group 0", 1), ("a", "Group 1", 2)]


def test_bars_of_numbers_and_bins():
    plt.bar([10, 20], [1, 2])
    assert [element["label"] for element in chart()["elements"]] == ["10", "20"]
    plt.close()
    plt.hist([1, 2, 2, 3], bins=[1, 2, 3])
    assert [tuple(element.values()) for element in chart()["elements"]] == [("1 to 2", "", 1), ("2 to 3", "", 3)]


def test_pie():
    plt.pie([1, 2, 3], labels=["a", "b", "c"], radius=2)
    plt.title("Shares")
    assert chart() == {"type": "pie", "title": "Shares", "elements": [
        {"label": "a", "angle": 60, "radius": 2}, {"label": "b", "angle": 120, "radius": 2}, {"label": "c", "angle": 180, "radius": 2}]}
    plt.close()
    plt.pie([1, 1])
    assert [element["label"] for element in chart()["elements"]] == ["", ""]


@pytest.mark.parametrize("more", [{}, {"vert": False}, {"patch_artist": True, "notch": True}])
def test_box_plot(more):
    plt.boxplot([[1, 2, 3, 4, 20], [2, 3, 4]], labels=["u", "v"], **more)
    found = chart()
    assert found["type"] == "box_and_whisker" and found["elements"] == [
        {"label": "u", "min": 1, "first_quartile": 2, "median": 3, "third_quartile": 4, "max": 4, "outliers": [20]},
        {"label": "v", "min": 2, "first_quartile": 2.5, "median": 3, "third_quartile": 3.5, "max": 4, "outliers": []}]


def test_box_plots_that_were_named_later_or_cleared():
    plt.boxplot([[1, 2], [3, 4]])
    plt.xticks([1, 2], ["a", "b"])
    assert [element["label"] for element in chart()["elements"]] == ["a", "b"]
    plt.gca().clear()
    plt.plot([1, 2])
    assert chart()["type"] == "line"


def test_box_plot_of_pandas():
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"a": [1, 2, 3], "b": [2, 3, 4]}).boxplot()
    found = chart()
    assert found["type"] == "box_and_whisker" and [(e["label"], e["median"]) for e in found["elements"]] == [("a", 2), ("b", 3)]


def test_several_axes():
    figure, axes = plt.subplots(1, 2)
    axes[0].plot([1, 2])
    axes[0].set_title("left")
    axes[1].bar(["x"], [1])
    figure.suptitle("both")
    found = chart()
    assert (found["type"], found["title"]) == ("superchart", "both")
    assert [(each["type"], each["title"]) for each in found["elements"]] == [("line", "left"), ("bar", None)]


def test_two_scales_in_one_place():
    axes = plt.gca()
    axes.plot([1, 2])
    axes.twinx().plot([30, 40])
    assert [each["elements"][0]["points"][1] for each in chart()["elements"]] == [[1, 2], [1, 40]]


def test_title_of_the_figure_when_the_axes_have_none():
    plt.plot([1, 2])
    plt.suptitle("over all")
    assert chart()["title"] == "over all"


@pytest.mark.parametrize("draw", [
    lambda: (plt.imshow(np.eye(3)), plt.colorbar()),
    lambda: plt.pcolormesh(np.eye(3)),
    lambda: plt.contourf(np.eye(4)),
    lambda: plt.hexbin([1, 2], [3, 4]),
    lambda: plt.fill_between([1, 2], [3, 4]),
    lambda: plt.figure().add_subplot(projection="3d").plot([1], [2], [3]),
    lambda: plt.gca(),
])
def test_what_is_no_chart_that_we_know(draw):
    draw()
    found = chart()
    assert (found["type"], found["elements"]) == ("unknown", [])


def test_a_figure_without_axes():
    plt.figure().text(0.5, 0.5, "words")
    assert charts.of_figure(plt.gcf()) is None


def test_reference_lines_are_in_the_datas_coordinates():
    plt.plot([0, 10], [0, 5])
    plt.axhline(3, label="limit")
    plt.xlim(0, 10)
    assert chart()["elements"][1] == {"label": "limit", "points": [[0, 3], [10, 3]]}


def test_error_bars_and_stems():
    plt.errorbar([1, 2], [3, 4], yerr=0.1, capsize=3, label="e")
    plt.stem([7, 8])
    found = chart()
    assert [element["points"] for element in found["elements"]] == [[[1, 3], [2, 4]], [[0, 7], [1, 8]]]
    assert found["elements"][0]["label"] == "e"


@pytest.mark.parametrize("style", ["ggplot", "bmh", "dark_background", "grayscale", "classic"])
def test_styles_change_no_data(style):
    with plt.style.context(style):
        plt.plot([1, 2], [3, 4], label="a")
        plt.legend()
        plt.grid(True)
        assert chart()["elements"] == [{"label": "a", "points": [[1, 3], [2, 4]]}]


def test_many_points():
    values = np.random.default_rng(1).random(10_000)
    plt.plot(values)
    points = chart()["elements"][0]["points"]
    assert len(points) == 10_000 and points[9_999] == [9_999, float(values[9_999])]
    plt.plot(np.zeros(charts.MOST_POINTS))
    nothing, said = charts.of_figure(plt.gcf())
    assert nothing is None and "points" in said["left_out"]
