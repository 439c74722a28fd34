# SPDX-License-Identifier: Apache-2.0
"""Charts as data: what is drawn in a matplotlib figure, as one JSON object.

{"type", "title", "elements"}, type being line, scatter, bar, pie, box_and_whisker, superchart (several axes: its elements are charts) or
unknown. All but pie and superchart have x_label, y_label, x_unit, y_unit; line and scatter x_ticks, x_tick_labels, x_scale, and the same
for y. Coordinates are the data's own: times are ISO texts, categories their names, what is missing is null.
"""

import functools
import math
import re
import sys

MOST_POINTS = 200_000
CHART = "application/vnd.retort.chart+json"
_unit = re.compile(r"[(\[]([^()\[\]]+)[)\]]\s*$")
BOXES = "_retort_boxes"  # where an Axes keeps what its box plots were drawn from


def note_boxes(axes):
    """From now on that class keeps the statistics of box plots, of which only lines are left afterwards."""
    plain = axes.bxp
    if hasattr(plain, "__wrapped__"):
        return

    @functools.wraps(plain)
    def bxp(self, bxpstats, *arguments, **keywords):
        artists = plain(self, bxpstats, *arguments, **keywords)
        self.__dict__.setdefault(BOXES, []).append((bxpstats, artists))
        return artists

    axes.bxp = bxp


# ---- values ----


def _number(value):
    value = float(value)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _is_dates(axis):
    converter = getattr(axis, "converter", None)
    names = [f"{kind.__module__}.{kind.__name__}" for kind in type(converter).__mro__]
    kinds = (type(converter).__name__, type(axis.get_major_locator()).__name__, type(axis.get_major_formatter()).__name__)
    return any("Date" in name for name in kinds) or any(name.startswith("matplotlib.dates.") for name in names)


def _period_frequency(axis):
    """pandas draws regular times by their ordinal numbers."""
    converter = getattr(axis, "converter", None)
    if type(converter).__name__ in ("PeriodConverter", "TimeSeries_DateFormatter") or hasattr(axis, "freq"):
        return getattr(axis, "freq", None) or getattr(axis.axes, "freq", None)
    return None


def _converter(axis):
    """How numbers of that axis become what the program gave."""
    frequency = _period_frequency(axis)
    if frequency is not None:
        pandas = sys.modules["pandas"]
        return lambda value: pandas.Period(ordinal=int(round(float(value))), freq=frequency).to_timestamp().isoformat()
    if _is_categories(axis):
        names = {number: str(name) for name, number in axis.units._mapping.items()}
        return lambda value: names.get(value, _number(value))
    if _is_dates(axis):
        dates = sys.modules["matplotlib.dates"]

        def date(value):
            if not math.isfinite(value):
                return None
            return dates.num2date(value).replace(tzinfo=getattr(axis, "units", None) and dates.num2date(value).tzinfo).isoformat()

        return date
    return _number


def _is_categories(axis):
    return hasattr(getattr(axis, "units", None), "_mapping")


def _scale(axis):
    if _is_categories(axis):
        return "categorical"
    if _is_dates(axis) or _period_frequency(axis) is not None:
        return "datetime"
    return axis.get_scale()


def _text(value):
    return str(value) if value not in (None, "") else None


def _plain(label):
    """A tick's label without the marks of mathematical type: 10^2."""
    math_type = re.fullmatch(r"\$\\mathdefault\{(.*)\}\$", label)
    label = re.sub(r"[{}]", "", math_type.group(1)) if math_type else label
    return label.replace("\N{MINUS SIGN}", "-")


def _ticks(axis):
    """(where, what is written there) of the ticks that can be seen."""
    low, high = sorted(axis.get_view_interval())
    room = (high - low) * 1e-9
    places = list(axis.get_majorticklocs())
    labels = axis.get_major_formatter().format_ticks(places)
    seen = [(place, str(label)) for place, label in zip(places, labels) if low - room <= place <= high + room]
    convert = _converter(axis)
    if convert is _number:
        return [_number(f"{place:.12g}") for place, _ in seen], [_plain(label) for _, label in seen]
    return [convert(place) for place, _ in seen], [_plain(label) for _, label in seen]


# ---- points ----


def _data(axes, artist, points):
    """Points of an artist in the axes' own coordinates; reference lines are drawn in others."""
    transform = artist.get_transform()
    if transform == axes.transData:
        return points
    return axes.transData.inverted().transform(transform.transform(points))


def _points(axes, pairs):
    import numpy

    pairs = numpy.ma.filled(numpy.ma.asarray(pairs, dtype=float), math.nan)
    columns = []
    for axis, column in ((axes.xaxis, pairs[:, 0]), (axes.yaxis, pairs[:, 1])):
        convert = _converter(axis)
        if convert is _number and numpy.isfinite(column).all():
            values = column.tolist()
            if (column == numpy.floor(column)).all() and (numpy.abs(column) < 1e15).all():
                values = column.astype(int).tolist()
            columns.append(values)
        else:
            columns.append([convert(value) if math.isfinite(value) else None for value in column.tolist()])
    return [list(pair) for pair in zip(*columns)]


def _elements(axes, artists, pairs):
    """One for each artist; those that have no label are numbered as matplotlib does it."""
    named = {id(each[0]): str(each.get_label() or "_") for each in axes.containers if len(each) and hasattr(each[0], "get_label")}
    elements = []
    for artist in artists:
        label = str(artist.get_label())
        if label.startswith("_") and not named.get(id(artist), "_").startswith("_"):
            label = named[id(artist)]
        if label.startswith("_"):
            label = f"Line {label[6:] if label.startswith('_child') else len(elements)}"
        elements.append({"label": label, "points": _points(axes, pairs(artist))})
    return elements


def _helpers(axes):
    """Lines that belong to something else: caps of error bars, base lines of stems."""
    lines = []
    for container in axes.containers:
        kind = type(container).__name__
        if kind == "ErrorbarContainer":
            lines.extend(container[1])
        elif kind == "StemContainer":
            lines.append(container.baseline)
    return lines


def _lines(axes):
    helpers = _helpers(axes)
    return [line for line in axes.lines if not any(line is helper for helper in helpers) and len(line.get_xydata())]


def _scatters(axes):
    """Not contours, which are such collections too, in matplotlib 3.6."""
    return [each for each in axes.collections
            if type(each).__name__ == "PathCollection" and each.get_offset_transform() == axes.transData and len(each.get_offsets())]


def _count_points(axes):
    return sum(len(line.get_xydata()) for line in axes.lines) + sum(len(each.get_offsets()) for each in _scatters(axes))


# ---- the kinds of charts ----


def _labels(axes):
    chart = {}
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        label = axis.get_label_text()
        unit = _unit.search(label)
        chart[f"{name}_label"] = _text(label)
        chart[f"{name}_unit"] = unit.group(1).strip() if unit else None
    return chart


def _with_points(axes):
    lines, scatters = _lines(axes), _scatters(axes)
    only_markers = bool(lines) and all(line.get_linestyle() in ("None", "", " ") for line in lines)
    chart = {"type": "scatter" if scatters or only_markers else "line", **_labels(axes)}
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        chart[f"{name}_ticks"], chart[f"{name}_tick_labels"] = _ticks(axis)
        chart[f"{name}_scale"] = _scale(axis)
    elements = _elements(axes, scatters, lambda each: each.get_offsets())
    return {**chart, "elements": elements + _elements(axes, lines, lambda line: _data(axes, line, line.get_xydata()))}


def _bar_labels(axis, bars, start, size):
    """What stands under each bar: the tick's label there, a bin's limits, else the place."""
    if _is_dates(axis):
        convert = _converter(axis)
        return [convert(start(bar) + size(bar) / 2) for bar in bars]
    places, labels = axis.get_majorticklocs(), [text.get_text() for text in axis.get_ticklabels()]
    written = {round(float(place), 9): label for place, label in zip(places, labels)}
    named = [_name_near(written, start(bar), size(bar)) for bar in bars]
    bins = len(bars) > 1 and all(math.isclose(start(a) + size(a), start(b), abs_tol=1e-9) for a, b in zip(bars, bars[1:]))
    if type(axis.get_major_formatter()).__name__ == "ScalarFormatter" and not _is_categories(axis):
        if bins:
            return [f"{start(bar):g} to {start(bar) + size(bar):g}" for bar in bars]
        return [f"{start(bar) + size(bar) / 2:g}" for bar in bars]
    return [name if name else f"{start(bar) + size(bar) / 2:g}" for name, bar in zip(named, bars)]


def _name_near(written, start, size):
    """The label of the tick in the middle of a bar; grouped bars share the nearest tick."""
    middle = round(start + size / 2, 9)
    if middle in written:
        return written[middle]
    if not written:
        return None
    nearest = min(written, key=lambda place: abs(place - middle))
    return written[nearest] if abs(nearest - middle) < max(0.5, abs(size)) else None


def _bar_groups(axes):
    return [container for container in axes.containers if type(container).__name__ == "BarContainer" and len(container)]


def _bars(axes):
    groups, elements = _bar_groups(axes), []
    for number, container in enumerate(groups):
        label = str(container.get_label())
        group = label if not label.startswith("_") else f"Group {number}" if len(groups) > 1 else ""
        bars = list(container)
        if getattr(container, "orientation", "vertical") == "horizontal":
            names = _bar_labels(axes.yaxis, bars, lambda bar: bar.get_y(), lambda bar: bar.get_height())
            values = [_number(bar.get_width()) for bar in bars]
        else:
            names = _bar_labels(axes.xaxis, bars, lambda bar: bar.get_x(), lambda bar: bar.get_width())
            values = [_number(bar.get_height()) for bar in bars]
        elements += [{"label": name, "group": group, "value": value} for name, value in zip(names, values)]
    return {"type": "bar", **_labels(axes), "elements": elements}


def _boxes(axes):
    noted = [(stats, artists) for stats, artists in axes.__dict__.get(BOXES, ()) if any(line in axes.lines for line in artists["medians"])]
    boxes = [(box, line) for stats, artists in noted for box, line in zip(stats, artists["medians"])]
    elements = []
    for number, (box, line) in enumerate(boxes):
        outliers = [_number(value) for value in box.get("fliers", ())]
        elements.append({
            "label": str(_box_name(axes, line) or box.get("label") or number + 1),
            "min": _number(box["whislo"]), "first_quartile": _number(box["q1"]), "median": _number(box["med"]),
            "third_quartile": _number(box["q3"]), "max": _number(box["whishi"]), "outliers": outliers,
        })
    return {"type": "box_and_whisker", **_labels(axes), "elements": elements} if elements else None


def _box_name(axes, median):
    """The tick label under a box that has no name of its own."""
    x, y = median.get_xdata(), median.get_ydata()
    axis, place = (axes.xaxis, (x[0] + x[-1]) / 2) if y[0] == y[-1] else (axes.yaxis, (y[0] + y[-1]) / 2)
    labels = zip(axis.get_majorticklocs(), axis.get_ticklabels())
    return next((label.get_text() for at, label in labels if abs(at - place) < 1e-6), None)


def _pie(axes):
    wedges = [patch for patch in axes.patches if type(patch).__name__ == "Wedge"]
    elements = [
        {"label": "" if str(wedge.get_label()).startswith("_") else str(wedge.get_label()),
         "angle": _number(round(float(abs(wedge.theta2 - wedge.theta1)), 4)), "radius": _number(wedge.r)}
        for wedge in wedges
    ]
    return {"type": "pie", "elements": elements}


def _unknown(axes):
    return {"type": "unknown", **_labels(axes), "elements": []}


def _of_axes(axes):
    """The chart of one Axes, without its title."""
    if axes.name not in ("rectilinear", "polar"):
        return _unknown(axes)
    if any(type(patch).__name__ == "Wedge" for patch in axes.patches):
        return _pie(axes)
    boxes = _boxes(axes) if BOXES in axes.__dict__ else None
    if boxes:
        return boxes
    if _bar_groups(axes):
        return _bars(axes)
    if axes.images or any(type(each).__name__ in ("QuadMesh", "PolyQuadMesh") for each in axes.collections):
        return _unknown(axes)
    if axes.lines or _scatters(axes):
        return _with_points(axes)
    return _unknown(axes)


def _is_drawn(axes):
    """Neither a colour bar nor an empty place in a grid."""
    if axes.get_label() == "<colorbar>" or not axes.get_visible():
        return False
    return bool(axes.lines or axes.collections or axes.patches or axes.images or axes.axison)


def _chart(figure):
    axes = [each for each in figure.axes if _is_drawn(each)]
    over = getattr(figure, "_suptitle", None)
    over = _text(over.get_text()) if over is not None else None
    if not axes:
        return None
    charts = [{**_of_axes(each), "title": _title(each)} for each in axes]
    charts = [{"type": chart.pop("type"), "title": chart.pop("title"), **chart} for chart in charts]
    if len(charts) == 1:
        charts[0]["title"] = charts[0]["title"] or over
        return charts[0]
    return {"type": "superchart", "title": over, "elements": charts}


def _title(axes):
    return next((text for text in (_text(axes.get_title(loc=place)) for place in ("center", "left", "right")) if text), None)


def of_figure(figure):
    """The figure as data; None when there is nothing to tell. What is left out is said in the second place of a pair."""
    try:
        points = sum(_count_points(axes) for axes in figure.axes)
        if points > MOST_POINTS:
            return None, {"left_out": f"{points} points are more than {MOST_POINTS}"}
        return _chart(figure)
    except Exception as error:  # a figure that is not as any that we know: its picture is still there
        return None, {"left_out": f"{type(error).__name__}: {error}"[:200]}
