"""Hands log records to an exporter, in batches."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk.resources import Resource

from tracedrpc_otel.batches import BatchOptions
from tracedrpc_otel.outlets import SHUTDOWN_S, BatchOutlet, finish, flush

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExporter

    from tracedrpc_otel.exporting import ForkProof

DELAY_S: Final = 1.0
"""`OTEL_BLRP_SCHEDULE_DELAY`'s default in the specification."""
_EMPTY: Final = Context()


class LogProcessor(LogRecordProcessor):
    """Gives log records to an outlet."""

    def __init__(self, exporter: ForkProof[LogRecordExporter], options: BatchOptions | None = None) -> None:
        self.outlet: BatchOutlet[ReadableLogRecord] = BatchOutlet(
            "logs", exporter, options or BatchOptions.from_environment("OTEL_BLRP", DELAY_S),
        )

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take a log record.

        A copy without its context: that one may hold a whole request alive until the export.
        """
        record = copy.copy(log_record.log_record)
        record.context = _EMPTY
        self.outlet.put(ReadableLogRecord(
            log_record=record,
            resource=log_record.resource or Resource.get_empty(),
            instrumentation_scope=log_record.instrumentation_scope,
            limits=log_record.limits,
        ))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what has been logged so far; False when that took too long."""
        return flush([self.outlet], timeout_millis / 1e3)

    def shutdown(self) -> None:
        """Export what has been logged and stop, in a few seconds at the most."""
        finish([self.outlet], SHUTDOWN_S)
