"""What else somebody wants to be told, field by field: nothing by default.

Arguments, contexts, results and exception texts may hold anything: passwords, tenants' data. Each
field that may leave is named in `TRACEDRPC_CAPTURE`, and goes through `safe` like all text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc.exceptions import RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc_otel.records import Attributes, Value

ARGS: Final = "args."
CONTEXT: Final = "context."
RESULT: Final = "result"
MESSAGE: Final = "exception.message"
TRACEBACK: Final = "remote.traceback"

_STACK_LINES: Final = 50
_MOST: Final = 2**63 - 1
"""OTLP's integers have 64 bits with a sign."""


class Capture:
    """Picks the fields that were asked for.

    Args:
        wanted: "args.<name>", "context.<key>", "result", "exception.message", "remote.traceback".
    """

    def __init__(self, wanted: frozenset[str] = frozenset()) -> None:
        self._args = _below(ARGS, wanted)
        self._context = _below(CONTEXT, wanted)
        self._result = RESULT in wanted
        self._message = MESSAGE in wanted
        self._traceback = TRACEBACK in wanted
        self.takes_fields = bool(self._args or self._context or self._result)

    def fields(self, args: Mapping[str, Any], context: Mapping[str, Any], result: object) -> Attributes:
        """Return what is wanted of a request's arguments and context, and of its result."""
        taken: Attributes = {}
        for key in self._args & args.keys():
            taken[names.ARGS_PREFIX + safe(key)] = _value(args[key])
        for key in self._context & context.keys():
            taken[names.CONTEXT_PREFIX + safe(key)] = _value(context[key])
        if self._result and result is not None:
            taken[names.RESULT] = _value(result)
        return taken

    def message(self, error: BaseException) -> SafeText | None:
        """Return an exception's text, if it is wanted and there is one."""
        if not self._message:
            return None
        text = error.value if isinstance(error, RemoteError) else _text(error).partition("\n")[0]
        return safe(text) if text else None

    def remote_traceback(self, error: BaseException) -> SafeText | None:
        """Return the server's traceback that came with an exception, if it is wanted and there is one."""
        if not self._traceback:
            return None
        trace = error.traceback if isinstance(error, RemoteError) else _text(error).split("\n")[1:]
        lines = [line for piece in trace for line in str(piece).splitlines() if line.strip()]
        return joined([safe(line) for line in lines[-_STACK_LINES:]]) if lines else None


def joined(lines: list[SafeText]) -> SafeText:
    """Return lines, each safe, as one text of several lines: what stack traces are."""
    return SafeText("\n".join(lines))


def _below(prefix: str, wanted: frozenset[str]) -> frozenset[str]:
    return frozenset(field.removeprefix(prefix) for field in wanted if field.startswith(prefix))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a foreign class's own code
        return ""


def _value(value: object) -> Value:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -_MOST <= value <= _MOST:
        return value
    return safe(value)
