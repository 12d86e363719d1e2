"""What log lines are made of: structlog processors, and a filter for who has no structlog."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from tracedrpc import semconv as names
from tracedrpc._correlation import bound
from tracedrpc._log import OSLO_KEYS
from tracedrpc_otel.log_records import EVENT_NAME, IDS
from tracedrpc_otel.scopes import ids_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED: Final = "[redacted]"
SERVICE: Final = "service.name"
FIRST: Final = ("timestamp", "level", "event", "logger", *IDS, SERVICE)
"""What every line has on top, in this order; the fields of the event follow."""
_DEPTH: Final = 8
_ECS: Final = {
    "timestamp": "@timestamp",
    "level": "log.level",
    "event": "message",
    "logger": "log.logger",
    "trace_id": "trace.id",
    "span_id": "span.id",
}


def add_trace_context(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Add `trace_id`, `span_id` and `trace_flags` of the current span, where there is one.

    Put it before the renderer: `structlog.configure(processors=[..., add_trace_context, ...])`.
    What a line says already stays.
    """
    if IDS[0] not in fields:
        fields.update(ids_of(trace.get_current_span().get_span_context()))
    return fields


def redact(keys: Iterable[str]) -> Processor:
    """Return a processor that hides the values of these keys, however deep in dicts and lists.

    Args:
        keys: whole names, whatever their case: "password" hides `password` and `PASSWORD`, and
            also the last part of a dotted name, as in `db.password`.
    """
    clean = redactor(keys)

    def processor(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        return clean(dict(fields))

    return processor


def redactor(keys: Iterable[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that copies a dict without the values of these keys; see `redact`."""
    hidden = frozenset(key.lower() for key in keys)

    def clean(value: Any, depth: int = _DEPTH) -> Any:
        if depth == 0:
            return REDACTED
        if isinstance(value, dict):
            return {
                key: REDACTED if _is_one_of(str(key), hidden) else clean(inner, depth - 1)
                for key, inner in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [clean(inner, depth - 1) for inner in value]
        return value

    return clean if hidden else dict


def _is_one_of(key: str, hidden: frozenset[str]) -> bool:
    lower = key.lower()
    return lower in hidden or lower.rpartition(".")[2] in hidden


def ecs_fields(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Rename the fields on top as the Elastic Common Schema does; put it last before the renderer.

    `event` becomes `message`, and `event.action` too when it is a name and no sentence.
    """
    event = fields.get("event")
    renamed = {_ECS.get(key, key): value for key, value in fields.items()}
    if isinstance(event, str) and event.replace(".", "_").isidentifier():
        renamed["event.action"] = event
    return renamed


def name_event(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Let a record that has an event name go by it: its fields say what its text says."""
    event = fields.pop(EVENT_NAME, None)
    fields.pop(OSLO_KEYS, None)
    if event is not None:
        fields["event"] = event
    return fields


def add_service(name: str) -> Processor:
    """Return a processor that adds `service.name`."""

    def processor(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        fields.setdefault(SERVICE, name)
        return fields

    return processor


def in_order(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Put what every line has on top."""
    ordered = {name: fields.pop(name) for name in FIRST if name in fields}
    return {**ordered, **fields}


class TraceContextFilter(logging.Filter):
    """Gives each record `trace_id`, `span_id`, `trace_flags`, and the call that a handler serves.

    For applications with plain `logging`: `handler.addFilter(TraceContextFilter())`, and in the
    format `%(trace_id)s` or `%(tracedrpc.msg_id)s`. What a record has already stays; "" stands
    for what there is not.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields; every record passes."""
        found: Mapping[str, str] = {
            **dict.fromkeys((*IDS, names.RPC_METHOD, names.MSG_ID), ""),
            **ids_of(trace.get_current_span().get_span_context()),
            **bound(),
        }
        fields = vars(record)
        for key, value in found.items():
            fields.setdefault(key, value)
        return True
