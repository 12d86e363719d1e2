"""Where events go: onto spans, into OpenTelemetry's logs, or both.

Jaeger shows span events and no OTLP logs, so spans are the default. OpenTelemetry is about to
deprecate span events in favour of logs; who is ahead sets `TRACEDRPC_EVENTS`, and for exceptions
alone the conventions' own `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber, get_logger
from opentelemetry.context import Context

from tracedrpc.semconv import SCHEMA_URL
from tracedrpc_otel.settings import Events
from tracedrpc_otel.sink import SCOPE_NAME, add_event, scope_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import Logger, LoggerProvider

    from tracedrpc_otel.records import EventRecord

EXCEPTION_VARIABLE: Final = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"
_OPTED: Final = {"logs": Events.LOGS, "logs/dup": Events.DUP}


class EventRouter:
    """Sends what belongs into the logs there and hands back what belongs onto the span.

    Args:
        events: where events go.
        exceptions: where those go that record an exception; None is the same.
        provider: for the logs; None is the global one, whenever it is set.
    """

    def __init__(
        self,
        events: Events = Events.SPAN,
        exceptions: Events | None = None,
        provider: LoggerProvider | None = None,
    ) -> None:
        self._events = events
        self._exceptions = events if exceptions is None else exceptions
        self._is_plain = self._events is self._exceptions is Events.SPAN
        self._logger: Logger | None = None
        if not self._is_plain:
            self._logger = get_logger(SCOPE_NAME, scope_version(), provider, SCHEMA_URL)

    def for_span(self, records: tuple[EventRecord, ...], context: Context) -> tuple[EventRecord, ...]:
        """Log what belongs into the logs, and return what the span of this context is to hold."""
        if self._is_plain or not records:
            return records
        return tuple(record for record in records if self._stays(record, context))

    def on_current_span(self, record: EventRecord) -> None:
        """Tell an event of the span that is current in this thread, if one records; never a root."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        if self._is_plain or self._stays(record, trace.set_span_in_context(span, Context())):
            add_event(span, record)

    def _stays(self, record: EventRecord, context: Context) -> bool:
        where = self._events if record.exception is None else self._exceptions
        if where is not Events.SPAN:
            self._log(record, context)
        return where is not Events.LOGS

    def _log(self, record: EventRecord, context: Context) -> None:
        form = record.exception
        severity = SeverityNumber.INFO if form is None else form.severity
        if self._logger is not None:
            self._logger.emit(
                timestamp=record.at_ns,
                context=context,
                severity_number=severity,
                severity_text=severity.name,
                attributes=dict(record.attributes),
                event_name=record.name if form is None else form.name,
            )


def opted_exceptions(environ: Mapping[str, str] | None = None) -> Events | None:
    """Return where the conventions' variable sends exceptions, or None when it says nothing."""
    source = os.environ if environ is None else environ
    words = {each.strip().lower() for each in source.get(EXCEPTION_VARIABLE, "").split(",")}
    return next((where for name, where in reversed(_OPTED.items()) if name in words), None)

