"""One log line for one thing that happened, through the standard `logging` tree.

Silent until the application configures logging. The text is readable by itself
(`call_timed_out rpc.method=compute/reboot ...`), and the same fields are attributes of the record
for JSON formatters, under the names of `tracedrpc.semconv`.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from tracedrpc import _correlation
from tracedrpc import semconv as names
from tracedrpc._limiter import Kind, Limiter
from tracedrpc._safe import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import EventDict, WrappedLogger

DEBUG: Final = logging.DEBUG
INFO: Final = logging.INFO
WARNING: Final = logging.WARNING
ERROR: Final = logging.ERROR

MOST_FIELDS: Final = 24
CALLS_VARIABLE: Final = "TRACEDRPC_LOG_CALLS"
CALLS = INFO if os.environ.get(CALLS_VARIABLE, "").strip().lower() == "info" else DEBUG
"""The level of the one line that each call, and each request, ends with when all is well."""

OSLO_KEYS: Final = "extra_keys"
"""The attribute in which oslo.log's JSON formatter looks for the names of further fields."""

_standard: Final = logging.getLogger("tracedrpc")
_standard.addHandler(logging.NullHandler())
_RESERVED: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})
"""What a record's attributes are called already; a field of that name would be refused."""


def _render(_logger: WrappedLogger, _name: str, fields: EventDict) -> dict[str, Any]:
    event = fields.pop("event")
    shown = {
        f"{key}_" if key in _RESERVED else key: value if isinstance(value, (int, float)) else safe(value)
        for key, value in fields.items()
    }
    text = " ".join([event, *(f"{key}={_word(value)}" for key, value in shown.items())])
    extra = {"otel.event.name": event, **shown}
    if "oslo_log" in sys.modules:
        extra[OSLO_KEYS] = list(extra)
    return {"msg": text, "extra": extra}


def _word(value: object) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text


_log: Final[structlog.stdlib.BoundLogger] = cast(
    "structlog.stdlib.BoundLogger",
    structlog.wrap_logger(
        _standard,
        processors=[_correlation.merge, _render],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    ),
)

is_enabled = _standard.isEnabledFor
"""Whether a line of that level would go anywhere; ask before building fields on a hot path."""

limiter: Final = Limiter()
os.register_at_fork(after_in_child=limiter.forget)


def line(level: int, event: str, fields: Mapping[str, Any]) -> None:
    """Write one line; fields that are None are left out."""
    if not is_enabled(level):
        return
    if limiter.is_due():
        tell_suppressed()
    _write(level, event, fields)


def limited(level: int, event: str, fields: Mapping[str, Any], by: str) -> bool:
    """Write one line unless there were too many of its kind; return whether it was.

    Args:
        level: as `logging` has it.
        event: the event's name.
        fields: what to tell.
        by: the field by whose value lines of this event are counted.
    """
    if not is_enabled(level):
        return True
    suppressed = limiter.admit(Kind(event, by, str(fields.get(by))), level)
    if suppressed is not None:
        line(level, event, {names.SUPPRESSED: suppressed or None, **fields})
    return suppressed is not None


def tell_suppressed(*, everything: bool = False) -> None:
    """Write a line for each kind whose window is over and of which lines were kept back."""
    for kind, level, count in limiter.take_due(everything=everything):
        _write(level, kind.event, {names.SUPPRESSED: count, kind.field: kind.value})


atexit.register(tell_suppressed, everything=True)


def _write(level: int, event: str, fields: Mapping[str, Any]) -> None:
    told = ((key, value) for key, value in fields.items() if value is not None)
    # A filter or handler of the application may raise, and that must not fail a call.
    with contextlib.suppress(Exception):
        _log.log(level, event, **dict(islice(told, MOST_FIELDS)))
