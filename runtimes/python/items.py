# SPDX-License-Identifier: Apache-2.0
"""What is displayed becomes items: bundles of MIME types whose values the protocol can carry."""

import math
from binascii import b2a_base64

from _retort.channel import dumps

MOST = 32 << 20  # bytes of an item's JSON
MOST_TYPES = 64
TEXTUAL = ("application/javascript", "application/xml", "application/xhtml+xml", "application/ecmascript", "image/svg+xml", "application/x-latex")
LEAST, GREATEST = -(1 << 63), (1 << 63) - 1
MOST_PARSED = 256 << 20  # what the engine reckons that JSON takes when it is read: the protocol's page has the figures
_scalars = {int, float, str, bool, type(None)}
_containers = {dict, list, tuple}
_exact = {str, bool, type(None)}


def is_json_type(mime):
    return mime == "application/json" or mime.endswith("+json")


def is_textual(mime):
    return mime.startswith("text/") or mime in TEXTUAL or mime.endswith("+xml")


def _fits(values, kinds):
    """Whether all numbers are such that any reader of JSON has them."""
    if int not in kinds:
        return True
    whole = values if kinds == {int} else [value for value in values if type(value) is int]
    return LEAST <= min(whole) and max(whole) <= GREATEST


def is_json(value, depth=100):
    """Whether a dict or list says in JSON what it says in Python, but for tuples, and for NaN, which is only found later."""
    if type(value) is dict:
        if not set(map(type, value)) <= {str}:
            return False
        value = value.values()
    elif type(value) not in (list, tuple):
        return type(value) in _scalars and _fits([value], {type(value)})
    kinds = set(map(type, value))
    if not kinds <= _scalars | _containers or not _fits(value, kinds):
        return False
    return kinds <= _scalars or depth > 0 and all(is_json(part, depth - 1) for part in value if type(part) in _containers)


def cleaned(value, depth=100):
    """The nearest that JSON has: NaN is null, numbers of numpy's are numbers, what nobody knows is its text."""
    if type(value) in _exact:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth == 0:
        return str(value)
    if isinstance(value, dict):
        return {key if type(key) is str else str(key): cleaned(part, depth - 1) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [cleaned(part, depth - 1) for part in value]
    if isinstance(value, int):
        return int(value) if LEAST <= value <= GREATEST else str(value)
    if hasattr(value, "tolist"):
        return cleaned(value.tolist(), depth - 1)
    if isinstance(value, (bytes, bytearray)):
        return b2a_base64(value, newline=False).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def json_of(value):
    """JSON text of anything."""
    if is_json(value):
        try:
            return dumps(value)
        except ValueError:  # a NaN
            pass
    return dumps(cleaned(value))


def _value(mime, value):
    """One representation as JSON text; None: there is nothing in it."""
    if value is None:
        return None
    if is_json_type(mime):
        return json_of(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode("utf-8", "replace") if is_textual(mime) else b2a_base64(value, newline=False).decode()
    elif not isinstance(value, str):
        value = str(value)
    elif not is_textual(mime):
        value = "".join(value.split())  # base64 may come in lines
    return dumps(value)


def _parsed(text):
    if len(text) < 1 << 20:
        return 0
    return 64 * (text.count(",") + 1) + 160 * text.count("[") + 320 * text.count("{")


def encode(number, data, metadata, main, name=None, update=False):
    """An item message as JSON text; None when there is nothing to show. It is at most MOST bytes long, or says what is missing."""
    parts = {}
    for mime, value in data.items():
        text = _value(str(mime), value)
        if text is not None and len(parts) < MOST_TYPES:
            parts[str(mime)] = text
    if not parts:
        return None
    heavy = next((mime for mime, text in parts.items() if is_json_type(mime) and _parsed(text) > MOST_PARSED), None)
    if heavy:
        parts = {"text/plain": dumps(f"{heavy} of {len(parts[heavy])} characters is left out: it has more values than an item may have")}
    sizes = {mime: len(text.encode("utf-8", "replace")) for mime, text in parts.items()} if sum(map(len, parts.values())) > MOST // 4 else {}
    if sum(sizes.values()) > MOST - (64 << 10):
        mime = max(sizes, key=sizes.get)
        parts = {"text/plain": dumps(f"{mime} of {sizes[mime]} bytes is left out: an item is at most {MOST} bytes long")}
        metadata = None
    text = "{" + ",".join(f"{dumps(mime)}:{part}" for mime, part in parts.items()) + "}"
    more = ""
    if metadata:
        said = json_of(metadata)
        more = f',"metadata":{said}' if len(said) < 32 << 10 else ""
    if name is not None:
        more += f',"display_id":{dumps(str(name))},"update":{dumps(bool(update))}'
    return f'{{"type":"item","id":{number},"main":{dumps(bool(main))},"data":{text}{more}}}'
