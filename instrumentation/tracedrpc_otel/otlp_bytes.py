"""OTLP's attributes written straight into the bytes of their protobuf messages.

The messages and field numbers are those of opentelemetry/proto/common/v1/common.proto. A span of
ours costs a sixth of what the generated classes take for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, singledispatch
from struct import Struct
from typing import Any, Final

_MOST_KEYS: Final = 4096
_INT64: Final = 2**63
_ID_SIZE: Final = 32
_OFTEN: Final = 2**16
"""Ports, counts and sizes are less than that, and come again."""
_SMALL: Final = 128
"""Numbers below take one byte."""

STRING, BOOL, INT, DOUBLE = b"\x0a", b"\x10", b"\x18", b"\x21"
ARRAY, KVLIST, BYTES = b"\x2a", b"\x32", b"\x3a"
"""Tags of the fields of AnyValue."""
_VALUE: Final = b"\x12"
"""Tag of a KeyValue's value; its key has tag 0x0a, and so has an item of a list."""
_ITEM: Final = b"\x0a"
_double: Final = Struct("<d").pack


def _written(number: int) -> bytes:
    written = bytearray()
    while number >= _SMALL:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


_WRITTEN: Final = tuple(_written(number) for number in range(1024))
_KNOWN: Final = len(_WRITTEN)


def varint(number: int) -> bytes:
    """Return a number from 0 to 2**64 - 1 as protobuf writes it."""
    return _WRITTEN[number] if number < _KNOWN else _written(number)


def sized(message: bytes) -> bytes:
    """Return bytes with their length before them, as text and messages are written."""
    size = len(message)
    return (_WRITTEN[size] if size < _KNOWN else _written(size)) + message


def text(value: str) -> bytes:
    """Return text with its length; what UTF-8 cannot write is replaced, or no peer could read the rest."""
    try:
        written = value.encode()
    except UnicodeEncodeError:
        written = value.encode(errors="replace")
    return sized(written)


def attributes(tag: bytes, values: Mapping[str, Any]) -> bytes:
    """Return attributes as a repeated field of KeyValue; one that OTLP has no form for is left out.

    Args:
        tag: of the field; 0x4a in a span, 0x1a in an event, 0x22 in a link, 0x0a in a resource.
        values: text, numbers, flags, bytes, None, and lists and mappings of them.
    """
    written, measured = [b""], []  # `join` writes the tag before each but the first
    for key, value in values.items():
        kind = type(value)
        if kind is float:
            measured.append(key)
        elif (one := _WRITERS.get(kind, _any)(key, value)) is not None:
            written.append(one)
    if measured:
        return tag.join(written) + _measured(tag, tuple(measured), values)
    return tag.join(written)


@singledispatch
def any_value(_value: object) -> bytes | None:
    """Return a value as the content of AnyValue; None when OTLP has no form for it, or it is too big."""
    return None


@any_value.register
def _of_none(_value: None) -> bytes:
    return b""


@any_value.register
def _of_text(value: str) -> bytes:
    return STRING + text(value)


@any_value.register
def _of_int(value: int) -> bytes | None:
    return INT + varint(value % 2**64) if -_INT64 <= value < _INT64 else None


@any_value.register
def _of_bool(value: bool) -> bytes:
    return BOOL + varint(value)


@any_value.register
def _of_float(value: float) -> bytes:
    return DOUBLE + _double(value)


@any_value.register
def _of_bytes(value: bytes) -> bytes:
    return BYTES + sized(value)


@any_value.register
def _of_mapping(value: Mapping) -> bytes:  # type: ignore[type-arg]  # `register` takes no parameters
    return KVLIST + sized(attributes(_ITEM, {str(key): each for key, each in value.items()}))


@any_value.register
def _of_sequence(value: Sequence) -> bytes:  # type: ignore[type-arg]
    forms = (any_value(each) for each in value)
    return ARRAY + sized(b"".join(_ITEM + sized(form) for form in forms if form is not None))


# ---- one attribute: length, key, value -----------------------------------------------------------


@lru_cache(_MOST_KEYS)
def _key(key: str) -> bytes:
    """Return the first field of a KeyValue, and the tag of the second."""
    return STRING + text(key) + _VALUE


def _pair(key: str, form: bytes) -> bytes:
    return sized(_key(key) + sized(form))


def _text(key: str, value: str) -> bytes:
    # Ids are 32 characters and come once; what is shorter comes again and again.
    return _word(key, value) if len(value) < _ID_SIZE else _line(key, value)


def _line(key: str, value: str) -> bytes:
    return _pair(key, STRING + text(value))


_word: Final = lru_cache(_MOST_KEYS)(_line)


def _measured(tag: bytes, keys: tuple[str, ...], values: Mapping[str, Any]) -> bytes:
    """Return floats as attributes: a call has a dozen, of the same keys each time, written at once."""
    pack, parts = _form(tag, keys)
    parts = parts.copy()
    parts[1::2] = map(values.__getitem__, keys)
    return pack(*parts)


@lru_cache(_MOST_KEYS)
def _form(tag: bytes, keys: tuple[str, ...]) -> tuple[Callable[..., bytes], list[Any]]:
    heads = [tag + _pair(key, DOUBLE + _double(0.0))[:-8] for key in keys]
    parts = [part for head in heads for part in (head, 0.0)]
    return Struct("<" + "".join(f"{len(head)}sd" for head in heads)).pack, parts


@lru_cache(_MOST_KEYS)
def _flag(key: str, value: bool) -> bytes:
    return _pair(key, BOOL + varint(value))


def _whole(key: str, value: int) -> bytes | None:
    return _small(key, value) if 0 <= value < _OFTEN else _any(key, value)


def _any(key: str, value: Any) -> bytes | None:
    form = any_value(value)
    return None if form is None else _pair(key, form)


@lru_cache(_MOST_KEYS)
def _small(key: str, value: int) -> bytes:
    return _pair(key, INT + varint(value))


_WRITERS: Final[dict[type, Callable[[str, Any], bytes | None]]] = {
    str: _text, bool: _flag, int: _whole,
}
