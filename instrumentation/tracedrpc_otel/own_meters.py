"""A meter provider that knows whether anybody but us reads its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider

from tracedrpc import semconv as names
from tracedrpc._log import INFO, line
from tracedrpc._safe import safe
from tracedrpc_otel.metric_export import Reader
from tracedrpc_otel.native_histograms import NativeHistograms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource


class OwnMeterProvider(MeterProvider):
    """The provider that `configure` makes where our outlets alone read it.

    A reader that the application adds later sees what is recorded from then on, as with the SDK. Our
    outlets go on with what they have: nothing is lost, and nothing told twice.

    Args:
        readers: of our outlets.
        resource: what its metrics say of this process.

    Attributes:
        histograms: ours; those of other libraries are the SDK's.
    """

    def __init__(self, readers: Sequence[Reader], resource: Resource) -> None:
        # Not shut down at exit by the SDK, which has no bound for it.
        super().__init__(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        self.histograms = NativeHistograms()

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """Add a reader; from now on the SDK has our histograms for it, too."""
        super().add_metric_reader(metric_reader)
        if not isinstance(metric_reader, Reader) and not self.histograms.is_shared:
            self.histograms.is_shared = True
            line(INFO, "metric_reader_added", {names.WHERE: safe(type(metric_reader).__name__)})
