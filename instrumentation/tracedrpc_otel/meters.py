"""Makes instruments of the rows of the table. Nothing outside this file touches a meter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry.metrics import NoOpMeter

from tracedrpc.semconv import SCHEMA_URL
from tracedrpc_otel.instrument import Kind
from tracedrpc_otel.native_histograms import histograms_of
from tracedrpc_otel.sink import SCOPE_NAME, scope_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation

    from tracedrpc_otel.instrument import Instrument
    from tracedrpc_otel.native_histograms import NativeHistograms, NativeSeries
    from tracedrpc_otel.records import Attributes
    from tracedrpc_otel.sink import LiveSpan


class SdkSeries:
    """Takes the values of one series of a histogram of the SDK's, or of any other provider's."""

    __slots__ = ("_attributes", "_histogram")

    def __init__(self, histogram: Histogram, attributes: Attributes) -> None:
        self._histogram = histogram
        self._attributes = attributes

    def record(self, value: float, live: LiveSpan | None) -> None:
        """Take a value of a span; None is the current one.

        By the span's context exemplars find the trace, though the span may have ended, or never have
        been the current one.
        """
        self._histogram.record(value, self._attributes, None if live is None else live.context)


class Meters:
    """A meter of one provider; None is the global one, whenever it is set."""

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self._meter: Meter = metrics.get_meter(
            SCOPE_NAME, scope_version(), meter_provider=provider, schema_url=SCHEMA_URL,
        )
        self._is_live: bool | None = None
        # Not the provider: what is kept for it must not keep it alive.
        self._is_global = provider is None
        self._histograms = histograms_of(provider)

    def is_live(self) -> bool:
        """Tell whether anybody takes what is recorded; cheap, asked for each call.

        `_real_meter` is what OpenTelemetry's `_ProxyMeter` calls the meter behind it, None until
        the application sets a provider. Without that attribute the answer is yes, which is only
        slower. It must be asked until there is one, because providers are set late; they stay when set.
        """
        if self._is_live is None:
            meter = getattr(self._meter, "_real_meter", self._meter)
            if meter is not None:
                self._is_live = not isinstance(meter, NoOpMeter)
        return self._is_live is True

    def histogram(
        self, row: Instrument, more_buckets: tuple[float, ...] = (),
    ) -> Callable[[Attributes], NativeSeries | SdkSeries]:
        """Make a histogram; return what makes a series of it, once there is somebody who takes it.

        Args:
            row: what it is; its buckets are advice, which views override.
            more_buckets: bounds to put after those.
        """
        bounds = (*row.buckets, *more_buckets)
        histogram = self._meter.create_histogram(
            row.name, row.unit, row.description, explicit_bucket_boundaries_advisory=[*bounds],
        )

        def bind(attributes: Attributes) -> NativeSeries | SdkSeries:
            native, theirs = self._native(), SdkSeries(histogram, attributes)
            return theirs if native is None else native.series(row, bounds, attributes, theirs)

        return bind

    def _native(self) -> NativeHistograms | None:
        return histograms_of(metrics.get_meter_provider()) if self._is_global else self._histograms

    def restart(self) -> None:
        """Let histograms of ours begin from zero; what was bound to a series must be bound anew."""
        native = self._native()
        if native is not None:
            native.restart()

    def observe(self, row: Instrument, look: Callable[[], Iterable[Observation]]) -> None:
        """Let readers look at something when they collect, in their thread."""
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            return look()

        if row.kind is Kind.COUNTER:
            self._meter.create_observable_counter(row.name, [callback], row.unit, row.description)
        else:
            self._meter.create_observable_up_down_counter(row.name, [callback], row.unit, row.description)
