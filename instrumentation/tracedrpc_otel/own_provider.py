"""A tracer provider that knows whether anybody but us looks at its spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from tracedrpc import semconv as names
from tracedrpc._log import INFO, line
from tracedrpc._safe import safe

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, SpanProcessor

    from tracedrpc_otel.span_export import BatchProcessor


class OwnProvider(TracerProvider):
    """The provider that `configure` makes.

    Args:
        resource: what its spans say of this process.
        limits: how much a span may hold.

    Attributes:
        is_shared: the application has added a span processor, which must see every span.
    """

    is_shared = False

    def __init__(self, resource: Resource, limits: SpanLimits) -> None:
        # Not shut down at exit by the SDK, which has no bound for it.
        super().__init__(resource=resource, span_limits=limits, shutdown_on_exit=False)
        self.limits = limits

    def add_own(self, processor: BatchProcessor) -> None:
        """Add a processor of ours, which takes spans already written too."""
        super().add_span_processor(processor)

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor; from now on it sees every span."""
        super().add_span_processor(span_processor)
        if not self.is_shared:
            self.is_shared = True
            line(INFO, "span_processor_added", {names.WHERE: safe(type(span_processor).__name__)})
