# SPDX-License-Identifier: Apache-2.0
"""Tables and plain values as data: pandas by columns, dict and list as JSON."""

import math

from _retort.channel import dumps
from _retort.items import is_json

MOST_VALUES = 500_000  # of a table that is to be data too
MOST_JSON = 4 << 20  # characters of a dict or list that is to be JSON too
DATA = "application/vnd.retort.data+json"


def json_value(value):
    """A dict or list itself when it is JSON, and not a large one; else None."""
    own = getattr(type(value), "_repr_json_", None)
    if own is not None:
        return own(value)
    if type(value) not in (dict, list) or len(value) > MOST_JSON or not is_json(value):
        return None
    try:
        return value if len(dumps(value)) <= MOST_JSON else None
    except (ValueError, TypeError, RecursionError):
        return None


def _scalar(value):
    kind = type(value)
    if kind in (str, int, bool):
        return value
    if value is None:
        return None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if kind in (dict, list, tuple):
        return value if is_json(value) else str(value)
    if hasattr(value, "isoformat"):  # times; not a time has it too
        return None if value != value else value.isoformat()
    if hasattr(value, "tolist"):
        plain = value.tolist()
        return plain if is_json(plain) else str(value)
    return None if value != value is True else str(value)


def _column(series):
    """One column's values as JSON has them."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in "biu" and type(series.dtype).__module__.startswith("numpy"):
        return series.tolist()
    missing = series.isna()
    values = series.astype(object).tolist()
    if kind == "f":
        return [None if absent or not math.isfinite(value) else value for value, absent in zip(values, missing)]
    return [None if absent is True or absent == True else _scalar(value) for value, absent in zip(values, missing)]  # noqa: E712


def _name(name, taken):
    text = ".".join(map(str, name)) if isinstance(name, tuple) else str(name)
    number, unique = 1, text
    while unique in taken:
        unique, number = f"{text}.{number}", number + 1
    return unique


def columns(frame):
    """({name: [value, ...]}, what is said of it). An index that says something comes first."""
    rows, width = frame.shape
    if rows * width > MOST_VALUES:
        return None, {DATA: {"left_out": f"{rows} rows of {width} columns are more than {MOST_VALUES} values"}}
    index, data = frame.index, {}
    if type(index).__name__ != "RangeIndex" or any(name is not None for name in index.names):
        for level in range(index.nlevels):
            values = index.get_level_values(level)
            name = values.name if values.name is not None else "index" if index.nlevels == 1 else f"level_{level}"
            data[_name(name, data)] = _column(values.to_series())
    for at in range(width):
        data[_name(frame.columns[at], data)] = _column(frame.iloc[:, at])
    return data, {}


def frame_data(frame):
    data, said = columns(frame)
    return (data, said.get(DATA)) if said else data


def series_data(series):
    return frame_data(series.to_frame(name=series.name if series.name is not None else "value"))
