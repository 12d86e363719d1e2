"""Makes OpenTelemetry's three providers, each with what leaves from it."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits

from tracedrpc_otel import exporting
from tracedrpc_otel.exporting import LOGS, METRICS, TRACES, ForkProof
from tracedrpc_otel.log_export import LogProcessor
from tracedrpc_otel.metric_export import PeriodicOutlet
from tracedrpc_otel.native_sink import NativeSink
from tracedrpc_otel.own_meters import OwnMeterProvider
from tracedrpc_otel.own_provider import OwnProvider
from tracedrpc_otel.settings import Settings
from tracedrpc_otel.span_export import BatchProcessor
from tracedrpc_otel.span_sending import SpanSender, can_send

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracedrpc_otel.outlets import BatchOutlet, Outlet
    from tracedrpc_otel.sink import Sink

    Attribute = str | bool | int | float

VALUE_LIMIT: Final = 1024
"""Longest attribute value in characters, of any library's span; the SDK alone has no limit."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Traces, metrics or logs.

    Attributes:
        name: "traces", "metrics" or "logs".
        provider: the provider made here, or None when none was.
        reason: why none was made, or "".
        outlets: where it leaves the process; one for each exporter.
        sink: of traces, what writes our spans; None leaves them to the SDK.
    """

    name: str
    provider: Any = None
    reason: str = ""
    outlets: tuple[Outlet, ...] = ()
    sink: Sink | None = None

    @property
    def dropped(self) -> int:
        """How many spans, metric points or log records did not arrive; exact after the shutdown."""
        return sum(outlet.dropped for outlet in self.outlets)

    @property
    def exported(self) -> int:
        """How many arrived."""
        return sum(outlet.exported for outlet in self.outlets)


def make_traces(
    resource: Resource, exporters: list[ForkProof[Any]], *, native: bool | None = None,
) -> Signal:
    """Return a tracer provider, not made the global one.

    Args:
        resource: what its spans say of this process.
        exporters: where they go.
        native: whether we write ours; None is what the environment says.
    """
    provider = OwnProvider(resource, _limits())
    wanted = Settings.from_environment().native if native is None else native
    is_native = wanted and bool(exporters) and all(can_send(one.get()) for one in exporters)
    for one in exporters if is_native else ():
        one.wrap(lambda exporter: SpanSender(exporter, lambda: provider.resource))
    processors = [BatchProcessor(one) for one in exporters]
    for processor in processors:
        provider.add_own(processor)
    outlets = tuple(processor.outlet for processor in processors)
    sink = NativeSink(provider, _put_into(outlets)) if is_native else None
    return Signal(TRACES, provider, outlets=outlets, sink=sink)


def _put_into(outlets: tuple[BatchOutlet[Any], ...]) -> Callable[[bytes], None]:
    """Return a function that gives a written span to every outlet."""
    if len(outlets) == 1:
        return outlets[0].put

    def put(span: bytes) -> None:
        for outlet in outlets:
            outlet.put(span)

    return put


def make_metrics(
    resource: Resource, exporters: list[ForkProof[Any]], *, native: bool | None = None,
) -> Signal:
    """Return a meter provider, not made the global one.

    Args:
        resource: what its metrics say of this process.
        exporters: where they go.
        native: whether we count our histograms; None is what the environment says.
    """
    # A package may have registered a reader instead of an exporter, as that for Prometheus does.
    foreign = [one.get() for one in exporters if isinstance(one.get(), MetricReader)]
    outlets = [PeriodicOutlet(one) for one in exporters if not isinstance(one.get(), MetricReader)]
    readers = [outlet.reader for outlet in outlets]
    wanted = Settings.from_environment().native if native is None else native
    is_native = wanted and not foreign and all(outlet.can_count for outlet in outlets)
    provider = (
        OwnMeterProvider(readers, resource) if is_native
        else MeterProvider(
            metric_readers=[*foreign, *readers], resource=resource, shutdown_on_exit=False,
        )
    )
    for outlet in outlets:
        outlet.start(provider)
    return Signal(METRICS, provider, outlets=tuple(outlets))


def make_logs(resource: Resource, exporters: list[ForkProof[Any]]) -> Signal:
    """Return a logger provider, not made the global one."""
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    processors = [LogProcessor(exporter) for exporter in exporters]
    for processor in processors:
        provider.add_log_record_processor(processor)
    return Signal(LOGS, provider, outlets=tuple(processor.outlet for processor in processors))


MAKERS: Final[Mapping[str, Callable[[Resource, list[ForkProof[Any]]], Signal]]] = {
    TRACES: make_traces, METRICS: make_metrics, LOGS: make_logs,
}
_SETTERS: Final[Mapping[str, Callable[[Any], None]]] = {
    TRACES: trace.set_tracer_provider,
    METRICS: metrics.set_meter_provider,
    LOGS: _logs.set_logger_provider,
}
_GETTERS: Final[Mapping[str, Callable[[], object]]] = {
    TRACES: trace.get_tracer_provider,
    METRICS: metrics.get_meter_provider,
    LOGS: _logs.get_logger_provider,
}


def publish(signal: Signal) -> None:
    """Make a signal's provider the global one."""
    _SETTERS[signal.name](signal.provider)


def is_set(signal: str) -> bool:
    """Tell whether the application has set a provider.

    Before, the API answers with a stand-in, whose classes are called `ProxyTracerProvider`,
    `_ProxyMeterProvider` and `ProxyLoggerProvider`; two of them are not public.
    """
    return not type(_GETTERS[signal]()).__name__.lstrip("_").startswith("Proxy")


def make_exporters(
    signal: str, endpoint: str | None, protocol_name: str | None, headers: dict[str, str] | None,
) -> list[ForkProof[Any]]:
    """Return the exporters that `OTEL_<SIGNAL>_EXPORTER` asks for; OTLP's as the arguments say.

    Raises:
        ValueError: there is no such exporter or protocol.
    """
    def make(name: str) -> Any:
        if name != "otlp":
            return exporting.named_exporter(name, signal)
        chosen = protocol_name or exporting.protocol(signal)
        return exporting.otlp_exporter(endpoint, chosen, headers, signal)

    return [ForkProof(partial(make, name)) for name in exporting.exporter_names(signal)]


def make_resource(service_name: str | None, more: Mapping[str, Attribute]) -> Resource:
    """Return what all telemetry of this process says of it."""
    attributes = dict(more)
    if service_name is not None:
        attributes["service.name"] = service_name
    # Jaeger keys hosts by host.name, and two processes of one service must be told apart. What
    # the environment says comes after these and wins over them.
    ours = Resource({"host.name": socket.gethostname(), "service.instance.id": str(uuid.uuid4())})
    return ours.merge(Resource.create(attributes))


def _limits() -> SpanLimits:
    variables = ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
    if any(os.environ.get(variable) for variable in variables):
        return SpanLimits()
    return SpanLimits(max_attribute_length=VALUE_LIMIT, max_span_attribute_length=VALUE_LIMIT)
