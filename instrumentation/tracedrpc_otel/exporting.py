"""Chooses the OTLP exporter and hands it ended spans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from tracedrpc_otel.batches import Batcher, BatchOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"
_LAST_MOMENT: Final = 0.1
"""The share of a shutdown's time that is kept for ending an export that hangs."""


def protocol() -> str:
    """Return what `OTEL_EXPORTER_OTLP_[TRACES_]PROTOCOL` says; http/protobuf by default."""
    common = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or HTTP
    return os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "").strip() or common


def otlp_exporter(
    endpoint: str | None, protocol_name: str, headers: dict[str, str] | None = None,
) -> SpanExporter:
    """Return an exporter; `OTEL_EXPORTER_OTLP_*` says what is not given.

    Args:
        endpoint: base URL of the collector, e.g. "http://localhost:4318"; None is `OTEL_*`'s.
        protocol_name: "http/protobuf" or "grpc".
        headers: sent with each export, for instance an API key.

    Raises:
        ValueError: there is no such protocol.
    """
    if protocol_name == GRPC:
        return _grpc(endpoint, headers)
    if protocol_name != HTTP:
        raise ValueError(f"OTLP protocol {protocol_name!r} is unknown; use {HTTP!r} or {GRPC!r}")
    # Imported here and below: each of them takes a tenth of a second.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )

    url = None if endpoint is None else endpoint.rstrip("/").removesuffix("/v1/traces") + "/v1/traces"
    return OTLPSpanExporter(endpoint=url, headers=headers)


def _grpc(endpoint: str | None, headers: dict[str, str] | None) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )

    plain = None if endpoint is None else not endpoint.startswith("https://")
    return OTLPSpanExporter(endpoint=endpoint, insecure=plain, headers=headers)


class BatchProcessor(SpanProcessor):
    """Gives sampled spans that have ended to a batcher, and that one's batches to an exporter."""

    def __init__(self, exporter: SpanExporter, options: BatchOptions | None = None) -> None:
        self._exporter = exporter
        self._batcher: Batcher[ReadableSpan] = Batcher(
            "spans", self._export, options or BatchOptions.from_environment(),
        )
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """How many spans did not arrive."""
        return self._batcher.dropped

    @property
    def exported(self) -> int:
        """How many spans arrived."""
        return self._batcher.exported

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._batcher.put(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what has ended so far; False when that took too long."""
        return self._batcher.flush(timeout_millis / 1e3)

    def shutdown(self) -> None:
        """Export what has ended and stop, in a few seconds at the most."""
        self.close(timeout_s=5.0)

    def close(self, timeout_s: float) -> bool:
        """Export what has ended and stop; False when something was left behind."""
        if self._is_closed:
            return self._batcher.dropped == 0
        self._is_closed = True
        all_gone = self._batcher.close(timeout_s * (1 - _LAST_MOMENT))
        self._exporter.shutdown()  # ends the pause between two tries of an export under way
        return all_gone

    def _export(self, spans: Sequence[ReadableSpan]) -> bool:
        return self._exporter.export(spans) is SpanExportResult.SUCCESS
