"""Exceptions on the wire: what a server tells of one, and what a client makes of that."""

from __future__ import annotations

import builtins
import inspect
import json
import sys
import traceback
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tracedrpc.exceptions import RemoteError
from tracedrpc.wire.body import MOST_DEPTH, is_deeper
from tracedrpc.wire.coerce import coerce
from tracedrpc.wire.stock import OUR_MODULES, library_class, stock_module

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_CHARS: Final = 16 * 1024
"""Longest message, and longest traceback, that an exception brings along."""
_MOST_TEXT_CHARS: Final = 128 * 1024
_REMOTE: Final = "_Remote"
_BUILTINS: Final = frozenset({"builtins", "exceptions"})
"""Python 2 peers say "exceptions"."""


# ---- sending ----------------------------------------------------------------------------------


def serialize_failure(error: BaseException) -> str:
    """Return what a failure reply tells of an exception, as JSON text; never raises.

    Our own exceptions go under oslo.messaging's module paths. An exception that came from a
    server itself goes under its original name. Exceptions among the arguments go as their
    `repr()`, other things that JSON cannot hold as their `str()`; what is too long is cut.
    """
    name, module = _wire_name(type(error))
    told = {
        "class": name,
        "module": module,
        "message": _text_of(error),
        "tb": _traceback_of(error),
        "args": _json_able(error.args, []),
        "kwargs": _json_able(_kwargs_of(error), {}),
    }
    text = _dumps(told)
    if len(text) <= _MOST_TEXT_CHARS:
        return text
    return _dumps(told | {"args": [told["message"]], "kwargs": {}})


def _wire_name(cls: type[BaseException]) -> tuple[str, str]:
    name, module = cls.__name__, str(cls.__module__)
    if name.endswith(_REMOTE) and module.endswith(_REMOTE):
        name, module = name.removesuffix(_REMOTE), module.removesuffix(_REMOTE)
    return name, stock_module(name) or module if module in OUR_MODULES else module


def _text_of(value: object) -> str:
    try:
        return _cut(str(value))
    except Exception:  # noqa: BLE001 - a foreign class's own code
        return f"<{type(value).__qualname__} without a text>"


def _traceback_of(error: BaseException) -> list[str]:
    """Return the traceback's pieces, the last ones when they are too long for all."""
    try:
        pieces = traceback.format_exception(error)
    except Exception:  # noqa: BLE001 - the exception's own `__str__` is run
        return []
    kept: list[str] = []
    left = MOST_CHARS
    for piece in reversed(pieces):
        left -= len(piece)
        if left < 0:
            kept.append(_cut(piece) if not kept else "  ...\n")
            break
        kept.append(piece)
    return kept[::-1]


def _kwargs_of(error: BaseException) -> dict[str, Any]:
    """Return the `kwargs` that some exception classes keep for their remote twin."""
    try:
        kwargs = getattr(error, "kwargs", None)
    except Exception:  # noqa: BLE001 - a foreign property
        return {}
    return kwargs if isinstance(kwargs, dict) else {}


def _json_able(values: Any, empty: Any) -> Any:
    """Return the values as they are if JSON can hold them, else each as itself or its text."""
    if _is_json_able(values):
        return values
    if isinstance(empty, dict):
        return {_text_of(key): _itself_or_text(value) for key, value in values.items()}
    return [_itself_or_text(value) for value in values]


def _itself_or_text(value: Any) -> Any:
    return value if _is_json_able(value) else _text_of(value)


def _is_json_able(value: Any) -> bool:
    try:
        _dumps(value)
    except Exception:  # noqa: BLE001 - the value's own code is run
        return False
    return True


def _told_as(value: Any) -> Any:
    """Return what oslo.messaging tells of a value that JSON has no type for; the `default=` here."""
    if isinstance(value, Exception):
        return repr(value)
    if any(is_code(value) for is_code in _CODE):
        return str(value)
    return coerce(value)


_CODE: Final = (inspect.ismodule, inspect.isclass, inspect.isroutine)
_dumps: Final = json.JSONEncoder(default=_told_as).encode


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else text[: MOST_CHARS - 1] + "…"


# ---- receiving --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """What a server told of its exception, wrong types replaced by empty values."""

    name: str
    module: str
    message: str
    trace: list[str]
    args: list[Any]
    kwargs: dict[str, Any]

    def text(self) -> str:
        """Return what `str()` of the rebuilt exception says."""
        return _cut(self.message + "\n" + "\n".join(self.trace))


def rebuild_failure(text: str, allowed_exmods: Sequence[str]) -> Exception:
    """Return the exception of a failure reply, to be raised at the caller; never raises itself.

    A class is only looked up, never imported: builtins always, others when their module is both
    allowed and loaded. Else, or when its constructor refuses the arguments, it is a `RemoteError`.

    Args:
        text: what `serialize_failure`, or a peer on oslo.messaging, made of an exception.
        allowed_exmods: names of the modules whose exceptions may be rebuilt.
    """
    told = _read(text)
    cls = _find_class(told, allowed_exmods)
    error = None if cls is None else _construct(cls, told)
    if error is None:
        return RemoteError(told.name, told.message, told.trace)
    return _mark_remote(error, told)


def _read(text: str) -> _Told:
    try:
        told = None if is_deeper(text, MOST_DEPTH) else json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return _Told("", "", "the server's failure reply cannot be read", [], [], {})
    trace, args, kwargs = told.get("tb"), told.get("args"), told.get("kwargs")
    return _Told(
        name=_string(told.get("class")),
        module=_string(told.get("module")),
        message=_string(told.get("message")),
        trace=_lines(trace) if isinstance(trace, list) else [],
        args=args if isinstance(args, list) else [],
        kwargs=kwargs if isinstance(kwargs, dict) else {},
    )


def _string(value: Any) -> str:
    return _cut(value) if isinstance(value, str) else ""


def _lines(trace: list[Any]) -> list[str]:
    """Return the strings of a traceback, the last ones when they are too long for all."""
    kept: list[str] = []
    left = MOST_CHARS
    for line in reversed(trace):
        left -= len(line) if isinstance(line, str) else 0
        if left < 0:
            break
        if isinstance(line, str):
            kept.append(line)
    return kept[::-1]


def _find_class(told: _Told, allowed_exmods: Sequence[str]) -> type[Exception] | None:
    if told.module in _BUILTINS:
        return _exception_class(builtins, told.name)
    ours = library_class(told.module, told.name)
    if ours is not None:
        return ours if _is_ours_allowed(told, allowed_exmods) else None
    if told.module not in allowed_exmods:
        return None
    return _exception_class(sys.modules.get(told.module), told.name)


def _is_ours_allowed(told: _Told, allowed_exmods: Sequence[str]) -> bool:
    return not OUR_MODULES.isdisjoint(allowed_exmods) or stock_module(told.name) in allowed_exmods


def _exception_class(module: Any, name: str) -> type[Exception] | None:
    # The module's own dict: `getattr` would run a module's `__getattr__`.
    cls = vars(module).get(name) if module is not None else None
    return cls if isinstance(cls, type) and issubclass(cls, Exception) else None


def _construct(cls: type[Exception], told: _Told) -> Exception | None:
    """Return an instance, or None when the constructor raises or returns something else."""
    try:
        error: object = cls(*told.args, **told.kwargs)
    except (Exception, SystemExit, GeneratorExit):  # noqa: BLE001 - code of an allowed module
        return None
    return error if isinstance(error, Exception) else None


def _mark_remote(error: Exception, told: _Told) -> Exception:
    """Make `str()` tell the remote traceback too, and the class name that it came from afar."""
    text = told.text()
    try:
        cls: Any = type(error)
        remote = _remote_class(cls, told.module)
        error.__class__ = remote
        vars(error)["_tracedrpc_text"] = text
    except Exception:  # noqa: BLE001 - builtins refuse; foreign classes may do anything
        return _prefix_args(error, told, text)
    return error


def _prefix_args(error: Exception, told: _Told, text: str) -> Exception:
    """Put the text into the first argument of an exception whose class cannot be changed."""
    try:
        error.args = (text, *error.args[1:])
    except Exception:  # noqa: BLE001 - a foreign class's `args`
        return RemoteError(told.name, told.message, told.trace)
    return error


@lru_cache(maxsize=256)
def _remote_class(cls: Any, module: str) -> Any:
    """Return the class `X_Remote` below X; `str()` of an instance is the text it was given."""

    def text_of(error: Exception) -> str:
        return str(vars(error).get("_tracedrpc_text", ""))

    members = {"__str__": text_of, "__module__": module + _REMOTE}
    return type(cls.__name__ + _REMOTE, (cls,), members)
