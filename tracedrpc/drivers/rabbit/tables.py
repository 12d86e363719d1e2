"""Reading AMQP field tables, as headers hold them: strings mostly, and what brokers add. Pure.

The types are those of RabbitMQ, whose letters differ from the specification's here and there:
https://www.rabbitmq.com/amqp-0-9-1-errata, section 3.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

MOST_DEPTH: Final = 8
"""How deep tables and lists may nest; `x-death`, the deepest known, has three levels."""

_LONG: Final = Struct(">I")
_NUMBERS: Final = {
    ord(letter): Struct(f">{code}")
    for letter, code in {
        "b": "b", "B": "B", "s": "h", "U": "h", "u": "H", "I": "i", "i": "I",
        "l": "q", "L": "q", "T": "Q", "f": "f", "d": "d",
    }.items()
}
_DECIMAL: Final = Struct(">Bi")
_STRING, _BYTES, _TABLE, _LIST, _BOOLEAN, _DECIMALS, _VOID = b"SxFAtDV"


class UnknownType(ValueError):
    """A field of a type that is not known, so that nobody can tell where the next one begins."""


def read_headers(data: bytes, at: int) -> tuple[dict[str, Any], int]:
    """Return the headers that begin at `at`, and where the next property does.

    What follows a field of an unknown type is left out.

    Raises:
        ValueError, IndexError, struct.error: the table is not well formed.
    """
    table: dict[str, Any] = {}
    try:
        return table, _read_fields(data, at, table, 0)
    except UnknownType:
        return table, _bounds(data, at)[1]


def _read_table(data: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    table: dict[str, Any] = {}
    return table, _read_fields(data, at, table, depth)


def _read_fields(data: bytes, at: int, table: dict[str, Any], depth: int) -> int:
    """Put the fields of the table at `at` into `table`; return where it ends.

    Integers, floats, booleans, lists and tables become their Python counterparts, void is None,
    a time is its seconds since 1970, a decimal is a float, a byte array is bytes; what nests too
    deep is None.
    """
    at, end = _bounds(data, at)
    while at < end:
        after = at + 1 + data[at]
        key = data[at + 1 : after].decode("utf-8", "replace")
        if data[after] == _STRING:  # nearly all
            start = after + 5
            at = start + _LONG.unpack_from(data, after + 1)[0]
            table[key] = data[start:at].decode("utf-8", "replace")
        else:
            table[key], at = _read_value(data, after, depth)
    if at != end:
        raise ValueError("a field longer than its table")
    return end


def _read_list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    at, end = _bounds(data, at)
    values = []
    while at < end:
        value, at = _read_value(data, at, depth)
        values.append(value)
    if at != end:
        raise ValueError("a value longer than its list")
    return values, end


def _bounds(data: bytes, at: int) -> tuple[int, int]:
    """Return where what begins with its length in four octets really begins, and where it ends."""
    end = at + 4 + _LONG.unpack_from(data, at)[0]
    if end > len(data):
        raise ValueError("a table, list or string longer than its frame")
    return at + 4, end


def _read_value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    kind, at = data[at], at + 1
    number = _NUMBERS.get(kind)
    if number is not None:
        return number.unpack_from(data, at)[0], at + number.size
    if kind in {_STRING, _BYTES}:
        start, end = _bounds(data, at)
        raw = data[start:end]
        return (raw.decode("utf-8", "replace") if kind == _STRING else raw), end
    if kind in {_TABLE, _LIST}:
        if depth >= MOST_DEPTH:
            return None, _bounds(data, at)[1]
        read = _read_table if kind == _TABLE else _read_list
        return read(data, at, depth + 1)
    return _read_rare(data, kind, at)


def _read_rare(data: bytes, kind: int, at: int) -> tuple[Any, int]:
    if kind == _BOOLEAN:
        return bool(data[at]), at + 1
    if kind == _VOID:
        return None, at
    if kind == _DECIMALS:
        places, digits = _DECIMAL.unpack_from(data, at)
        return digits / 10**places, at + _DECIMAL.size
    raise UnknownType(f"a field of type {kind}")
