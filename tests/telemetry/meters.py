"""Readers of metrics for tests: one over the real SDK, and one that sees each single measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Meter, MeterProvider, NoOpMeter
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from tracedrpc_otel.metric_export import Reader
from tracedrpc_otel.native_points import Reading
from tracedrpc_otel.own_meters import OwnMeterProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.metrics.export import MetricsData


class Readings:
    """A provider of the real SDK and what its reader collects."""

    def __init__(self, **options: Any) -> None:
        self.reader: Any = InMemoryMetricReader(**options)
        self.provider = SdkMeterProvider([self.reader], shutdown_on_exit=False)

    def data(self) -> MetricsData | None:
        """Collect now; return all of it."""
        data: MetricsData | None = self.reader.get_metrics_data()
        return data

    def collect(self) -> dict[str, list[Any]]:
        """Collect now; return the points of each metric that has any."""
        data = self.data()
        if data is None:
            return {}
        return {
            metric.name: list(metric.data.data_points)
            for of_resource in data.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
        }

    def points(self, name: str) -> list[Any]:
        return self.collect().get(name, [])

    def point(self, name: str, attributes: Mapping[str, Any] | None = None) -> Any:
        """Return the one point of a metric that has at least these attributes."""
        wanted = (attributes or {}).items()
        points = self.points(name)
        found = [point for point in points if wanted <= point.attributes.items()]
        assert len(found) == 1, [dict(point.attributes) for point in points]
        return found[0]

    def value(self, name: str, attributes: Mapping[str, Any] | None = None) -> Any:
        return self.point(name, attributes).value


class NativeReadings(Readings):
    """The same of a provider that counts our histograms itself."""

    def __init__(
        self, preferred_temporality: dict[type, Any] | None = None, own: OwnMeterProvider | None = None,
    ) -> None:
        outlet: Any = self
        self.reader = Reader(outlet, preferred_temporality, None)
        self.own = own or OwnMeterProvider([], Resource({}))
        self.own.add_metric_reader(self.reader)
        self.provider = self.own
        self._reading = Reading(self.own.histograms, preferred_temporality)
        self._data: MetricsData | None = None

    def take(self, data: MetricsData) -> None:
        """Do what an outlet does with what the SDK has collected."""
        self._data = self._reading.into(data)

    def data(self) -> MetricsData | None:
        self._data = None
        self.reader.collect()
        return self._data


BOTH_WAYS = {"sdk": Readings, "native": NativeReadings}


@dataclass(frozen=True)
class Measurement:
    name: str
    value: float
    attributes: Mapping[str, Any]
    context: Any


class Spy(MeterProvider, Meter):
    """Provider, meter and synchronous instruments in one: keeps what was made and measured."""

    def __init__(self) -> None:
        Meter.__init__(self, "spy")
        self._nothing = NoOpMeter("spy")
        self.made: list[tuple[str, str, str, str]] = []
        self.buckets: dict[str, tuple[float, ...]] = {}
        self.measured: list[Measurement] = []

    def get_meter(self, *_: Any, **__: Any) -> Meter:
        return self

    def names(self) -> list[str]:
        return sorted(measurement.name for measurement in self.measured)

    def create_histogram(
        self, name: str, unit: str = "", description: str = "", *,
        explicit_bucket_boundaries_advisory: Any = None,
    ) -> Any:
        self.buckets[name] = tuple(explicit_bucket_boundaries_advisory)
        return self._instrument("Histogram", name, unit, description)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._instrument("Counter", name, unit, description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._instrument("UpDownCounter", name, unit, description)

    def create_observable_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = "",
    ) -> Any:
        self.made.append(("ObservableCounter", name, unit, description))
        return self._nothing.create_observable_counter(name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = "",
    ) -> Any:
        self.made.append(("ObservableGauge", name, unit, description))
        return self._nothing.create_observable_gauge(name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = "",
    ) -> Any:
        self.made.append(("ObservableUpDownCounter", name, unit, description))
        return self._nothing.create_observable_up_down_counter(name, callbacks, unit, description)

    def _instrument(self, kind: str, name: str, unit: str, description: str) -> Any:
        self.made.append((kind, name, unit, description))
        return _SpyInstrument(self, name)


class _SpyInstrument:
    def __init__(self, spy: Spy, name: str) -> None:
        self._spy = spy
        self._name = name

    def record(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._spy.measured.append(Measurement(self._name, amount, dict(attributes or {}), context))

    add = record
