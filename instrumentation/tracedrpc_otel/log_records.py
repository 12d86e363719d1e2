"""What an OpenTelemetry log record says, given a record of `logging`."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tracedrpc import semconv as names
from tracedrpc._correlation import bound
from tracedrpc._log import OSLO_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EVENT_NAME: Final = "otel.event.name"
IDS: Final = ("trace_id", "span_id", "trace_flags")
TEXT_LIMIT: Final = 16_384
"""Longest body or attribute in characters: a stack trace fits, a dump of everything does not."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FOREIGN: Final = frozenset({"otelSpanID", "otelTraceID", "otelTraceSampled", "otelServiceName", OSLO_KEYS})
"""What OpenTelemetry's instrumentation of `logging` puts onto records, and we for oslo.log's sake."""
_STRUCTLOG: Final = frozenset({"event", "level", "logger", "timestamp", "exc_info", "stack_info"})
_SEVERITIES: Final = (
    (logging.CRITICAL, SeverityNumber.FATAL, "FATAL"),
    (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
    (logging.WARNING, SeverityNumber.WARN, "WARN"),
    (logging.INFO, SeverityNumber.INFO, "INFO"),
    (logging.DEBUG, SeverityNumber.DEBUG, "DEBUG"),
)


def translate(record: logging.LogRecord, clean: Callable[[dict[str, Any]], dict[str, Any]]) -> LogRecord:
    """Return the record for OpenTelemetry.

    Its `extra` fields are attributes, `otel.event.name` the event's name, and `trace_id`,
    `span_id` and `trace_flags` the span it belongs to; without them that is the current span. A
    structlog event on its way to a formatter counts as message and fields. `clean` may hide some.
    """
    body, fields = _content(record)
    fields = clean(fields)
    number, text = _severity(record.levelno)
    event = fields.pop(EVENT_NAME, None)
    context = _context(fields)
    said = {key: _value(value) for key, value in fields.items() if value is not None}
    return LogRecord(
        timestamp=int(record.created * 1e9),
        context=context,
        severity_number=number,
        severity_text=text,
        body=_cut(body),
        attributes={**_request(said), **said, **_exception(record)},
        event_name=None if event is None else str(event),
    )


def _content(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    extra = {
        key: value for key, value in vars(record).items()
        if key not in _STANDARD and key not in _FOREIGN and not key.startswith("_")
    }
    if not isinstance(record.msg, dict):
        return record.getMessage(), extra
    inner = {key: value for key, value in record.msg.items() if key not in _STRUCTLOG}
    return str(record.msg.get("event", "")), extra | inner


def _request(said: Mapping[str, Any]) -> Mapping[str, str]:
    """Return which request this thread works on, for a line that is not about another call."""
    return {} if names.RPC_METHOD in said else bound()


def _severity(level: int) -> tuple[SeverityNumber, str]:
    for lowest, number, text in _SEVERITIES:
        if level >= lowest:
            return number, text
    return SeverityNumber.TRACE, "TRACE"


def _context(fields: dict[str, Any]) -> Context | None:
    """Take valid ids out of the fields; None without them, which means the current span."""
    trace_id, span_id, flags = [str(fields.get(name) or "0") for name in IDS]
    try:
        numbers = int(trace_id, 16), int(span_id, 16), TraceFlags(int(flags, 16))
    except ValueError:
        return None
    span = SpanContext(numbers[0], numbers[1], is_remote=False, trace_flags=numbers[2])
    if not span.is_valid:
        return None
    for name in IDS:
        fields.pop(name, None)
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def _exception(record: logging.LogRecord) -> dict[str, Any]:
    info: Any = record.exc_info
    if isinstance(record.msg, dict) and not info:
        info = record.msg.get("exc_info")
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if not isinstance(error, BaseException):
        return {}
    return {
        names.EXCEPTION_TYPE: type(error).__qualname__,
        names.EXCEPTION_MESSAGE: _cut(str(error)),
        names.EXCEPTION_STACK: _cut("".join(traceback.format_exception(error))),
    }


def _value(value: object) -> Any:
    """Return a value that OTLP can carry; a text for what it cannot."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_cut(str(item)) for item in value]
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
