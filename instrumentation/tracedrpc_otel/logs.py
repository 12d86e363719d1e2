"""Log lines for people and for machines: ours, the application's and those of any library, alike.

`recommended_config()` at the start of a program is enough. The parts are there for who has a
configuration of structlog already.
"""

from __future__ import annotations

import json as stdlib_json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer, JSONRenderer, StackInfoRenderer, TimeStamper
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.tracebacks import ExceptionDictTransformer

from tracedrpc._correlation import merge
from tracedrpc_otel.log_processors import (
    TraceContextFilter,
    add_service,
    add_trace_context,
    ecs_fields,
    in_order,
    name_event,
    redact,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from structlog.typing import Processor

__all__ = [
    "TraceContextFilter",
    "add_trace_context",
    "ecs_fields",
    "recommended_config",
    "redact",
]

_LINES: Final = "tracedrpc-lines"
"""The name of our handler, by which a second call finds and replaces the first one's."""


def recommended_config(
    *,
    json: bool = True,
    level: int | str = logging.INFO,
    service_name: str | None = None,
    processors: Sequence[Processor] = (),
    stream: TextIO | None = None,
) -> None:
    """Set up structlog and `logging`: each line one JSON object, or readable on a terminal.

    On top of each: `timestamp`, `level`, `event`, `logger`, `trace_id`, `span_id`, `trace_flags`,
    `service.name`; then the event's own fields, ours under the names of the span attributes.
    What a handler of a server logs names its call, `rpc.method` and `tracedrpc.msg_id`.

    Handlers that write to the terminal already are replaced; others, for instance files', stay.

    Args:
        json: False for lines to read, coloured on a terminal.
        level: of the root logger; `logging`'s levels of single loggers stay.
        service_name: `service.name`; None takes `OTEL_SERVICE_NAME`, or else leaves it out.
        processors: run last before rendering, e.g. `[redact({"password"}), ecs_fields]`.
        stream: where to; None is standard error.
    """
    shared = _shared(service_name or os.environ.get("OTEL_SERVICE_NAME", ""))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.name = _LINES
    handler.setFormatter(ProcessorFormatter(
        foreign_pre_chain=[ExtraAdder(), name_event, *shared],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            *_rendering(processors, json=json, colors=out.isatty()),
        ],
    ))
    _replace(handler)
    logging.getLogger().setLevel(level)


def _shared(service_name: str) -> list[Processor]:
    """Return what a line goes through, whether it began in structlog or in `logging`."""
    shared: list[Processor] = [
        merge,
        add_logger_name,
        add_log_level,
        add_trace_context,
        TimeStamper(fmt="iso", utc=True),
        StackInfoRenderer(),
    ]
    if service_name:
        shared.append(add_service(service_name))
    return shared


def _rendering(more: Sequence[Processor], *, json: bool, colors: bool) -> list[Processor]:
    if not json:
        return [*more, ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)]
    # Without local variables: they are other people's arguments.
    exceptions = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    return [exceptions, in_order, *more, JSONRenderer(serializer=_serializer())]


def _serializer() -> Callable[..., str]:
    """Return orjson's, a third of the time, or else the standard library's."""
    try:
        import orjson  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - if it is there
    except ImportError:
        return _standard_json

    def fast(value: Any, default: Callable[[Any], Any]) -> str:
        text: str = orjson.dumps(value, default, orjson.OPT_NON_STR_KEYS).decode()
        return text

    return fast


def _standard_json(value: Any, default: Callable[[Any], Any]) -> str:
    return stdlib_json.dumps(value, default=default, ensure_ascii=False, separators=(",", ":"))


def _replace(handler: logging.Handler) -> None:
    root = logging.getLogger()
    for other in list(root.handlers):
        is_terminal = type(other) is logging.StreamHandler and other.stream in {sys.stdout, sys.stderr}
        if other.name == _LINES or is_terminal:
            root.removeHandler(other)
            other.close()
    root.addHandler(handler)
