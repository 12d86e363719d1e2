"""Makes instruments of the rows of the table. Nothing outside this file touches a meter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry.metrics import NoOpMeter

from tracedrpc.semconv import SCHEMA_URL
from tracedrpc_otel.instrument import Kind
from tracedrpc_otel.sink import SCOPE_NAME, scope_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation

    from tracedrpc_otel.instrument import Instrument


class Meters:
    """A meter of one provider; None is the global one, whenever it is set."""

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self._meter: Meter = metrics.get_meter(
            SCOPE_NAME, scope_version(), meter_provider=provider, schema_url=SCHEMA_URL,
        )
        self._is_live = False

    def is_live(self) -> bool:
        """Tell whether anybody takes what is recorded; cheap, asked for each call.

        `_real_meter` is what OpenTelemetry's `_ProxyMeter` calls the meter behind it, None until
        the application sets a provider. Without that attribute the answer is yes, which is only
        slower. It must be asked each time, because providers are set late; they stay when set.
        """
        if not self._is_live:
            meter = getattr(self._meter, "_real_meter", self._meter)
            self._is_live = meter is not None and not isinstance(meter, NoOpMeter)
        return self._is_live

    def histogram(self, row: Instrument, more_buckets: tuple[float, ...] = ()) -> Histogram:
        """Make a histogram; its buckets are advice, which views override."""
        return self._meter.create_histogram(
            row.name, row.unit, row.description,
            explicit_bucket_boundaries_advisory=[*row.buckets, *more_buckets],
        )

    def observe(self, row: Instrument, look: Callable[[], Iterable[Observation]]) -> None:
        """Let readers look at something when they collect, in their thread."""
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            return look()

        if row.kind is Kind.COUNTER:
            self._meter.create_observable_counter(row.name, [callback], row.unit, row.description)
        else:
            self._meter.create_observable_up_down_counter(row.name, [callback], row.unit, row.description)
