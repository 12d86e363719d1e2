"""One log line for one thing that happened, through the standard `logging` tree.

Silent until the application configures logging. The text is readable by itself
(`call_timed_out rpc.method=compute/reboot ...`), and the same fields are attributes of the record
for JSON formatters, under the names of `tracedrpc.semconv`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from tracedrpc._safe import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import EventDict, WrappedLogger

DEBUG: Final = logging.DEBUG
INFO: Final = logging.INFO
WARNING: Final = logging.WARNING
ERROR: Final = logging.ERROR

_standard: Final = logging.getLogger("tracedrpc")
_standard.addHandler(logging.NullHandler())


def _render(_logger: WrappedLogger, _name: str, fields: EventDict) -> dict[str, Any]:
    event = fields.pop("event")
    shown = {key: value if isinstance(value, (int, float)) else safe(value) for key, value in fields.items()}
    text = " ".join([event, *(f"{key}={_word(value)}" for key, value in shown.items())])
    return {"msg": text, "extra": {"otel.event.name": event, **shown}}


def _word(value: object) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text


_log: Final[structlog.stdlib.BoundLogger] = cast(
    "structlog.stdlib.BoundLogger",
    structlog.wrap_logger(
        _standard,
        processors=[structlog.contextvars.merge_contextvars, _render],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    ),
)

is_enabled = _standard.isEnabledFor
"""Whether a line of that level would go anywhere; ask before building fields on a hot path."""


def line(level: int, event: str, fields: Mapping[str, Any]) -> None:
    """Write one line; fields that are None are left out."""
    if not is_enabled(level):
        return
    _log.log(level, event, **{key: value for key, value in fields.items() if value is not None})
