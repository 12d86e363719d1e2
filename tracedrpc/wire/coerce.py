"""What goes into JSON although JSON has no such type, and what to say about what cannot."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Any, Final

from tracedrpc._primitive import NOT_SIMPLE, as_simple
from tracedrpc.exceptions import EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_DEPTH: Final = 100
"""How deep `find_fault` looks, the same depth that receivers accept."""
_NAME_CHARS: Final = 64
_REFUSED: Final = (type, io.IOBase, itertools.count, itertools.cycle, itertools.repeat)
"""Iterable, but never meant as a list: classes, files, and iterators without an end."""
_NATIVE: Final = (str, int, float, type(None))
_KEYS: Final = (str, int, float, type(None))


def coerce(value: Any) -> Any:
    """Return what JSON can hold in place of a value it cannot; the `default=` of the encoder.

    Dates, ids and addresses become text, mapping-like objects become dicts and other iterables
    lists. Nothing else is guessed: no `repr` travels in place of a value.

    Raises:
        TypeError: there is no such form.
        UnicodeDecodeError: bytes that are not UTF-8.
    """
    simple = as_simple(value)
    if simple is not NOT_SIMPLE:
        return simple
    if not isinstance(value, _REFUSED):
        items = getattr(value, "items", None) or getattr(value, "iteritems", None)
        if callable(items):
            return dict(items())
        if hasattr(value, "__iter__"):
            return list(value)
    raise TypeError(f"JSON has no form for {type(value).__qualname__}")


def encode_error(parts: Mapping[str, Any], cause: Exception) -> EncodeError:
    """Return the error that says which place in which of the named values stopped the encoder.

    Args:
        parts: the values that were to be encoded, by the name their path begins with.
        cause: what the encoder raised.
    """
    for name, value in parts.items():
        fault = find_fault(value, name)
        if fault is not None:
            path, reason = fault
            return EncodeError(path, f"{path} cannot be sent: {reason}")
    path = next(iter(parts), "")
    return EncodeError(path, f"{path} cannot be sent: {type(cause).__qualname__} while encoding")


def find_fault(value: Any, path: str) -> tuple[str, str] | None:
    """Return path and reason of the first place that JSON cannot hold, or None.

    The reason names types only, never a value.
    """
    return _fault(value, path, ())


def _fault(value: Any, path: str, parents: tuple[int, ...]) -> tuple[str, str] | None:
    if isinstance(value, _NATIVE):
        return None
    if id(value) in parents:
        return path, "it contains itself"
    if len(parents) >= _MOST_DEPTH:
        return path, f"it is nested deeper than {_MOST_DEPTH} levels"
    held, reason = _children(value)
    if reason:
        return path, reason
    for name, child in held:
        fault = _fault(child, path + name, (*parents, id(value)))
        if fault is not None:
            return fault
    return None


def _children(value: Any) -> tuple[Iterator[tuple[str, Any]], str]:
    """Return what a value holds, each with its piece of the path; or why it cannot be sent."""
    if not isinstance(value, dict | list | tuple):
        try:
            value = coerce(value)
        except Exception as error:  # noqa: BLE001 - a foreign class's own code was run
            return iter(()), _reason(value, error)
    if isinstance(value, dict):
        odd = next((key for key in value if not isinstance(key, _KEYS)), None)
        reason = "" if odd is None else f"a key is a {type(odd).__qualname__}, not a string"
        return ((f".{str(key)[:_NAME_CHARS]}", child) for key, child in value.items()), reason
    if isinstance(value, list | tuple):
        return ((f"[{index}]", child) for index, child in enumerate(value)), ""
    return iter(()), ""


def _reason(value: Any, error: Exception) -> str:
    kind = type(value).__qualname__
    if isinstance(error, UnicodeDecodeError):
        return "it is bytes that are not UTF-8 text"
    if isinstance(error, TypeError):
        return f"it is a {kind}, which JSON has no form for; convert it, or use a serializer"
    return f"reading this {kind} raised {type(error).__qualname__}"
