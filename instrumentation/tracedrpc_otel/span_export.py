"""Hands ended spans to an exporter, in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor

from tracedrpc_otel.batches import BatchOptions
from tracedrpc_otel.outlets import SHUTDOWN_S, BatchOutlet, finish, flush

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from tracedrpc_otel.exporting import ForkProof


class BatchProcessor(SpanProcessor):
    """Gives sampled spans that have ended to an outlet, those of the SDK and written ones.

    Args:
        exporter: a `SpanExporter` of the SDK's, or one that takes written spans too.
        options: limits; None is what `OTEL_BSP_*` says.
    """

    def __init__(self, exporter: ForkProof[Any], options: BatchOptions | None = None) -> None:
        self.outlet: BatchOutlet[ReadableSpan | bytes] = BatchOutlet(
            "spans", exporter, options or BatchOptions.from_environment(),
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.outlet.put(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what has ended so far; False when that took too long."""
        return flush([self.outlet], timeout_millis / 1e3)

    def shutdown(self) -> None:
        """Export what has ended and stop, in a few seconds at the most."""
        finish([self.outlet], SHUTDOWN_S)
