"""Puts OpenTelemetry onto tracedrpc's telemetry seam, and takes it off again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracedrpc._guard import install
from tracedrpc.telemetry import Telemetry
from tracedrpc_otel import peers, settings
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from tracedrpc_otel.sink import Sink


def telemetry(sink: Sink | None = None) -> OTelTelemetry | None:
    """Return what tracedrpc is to use, or None when tracing is switched off.

    The entry point `tracedrpc.telemetry`; the first transport calls it.

    Args:
        sink: where spans go; None makes them with the global tracer provider, whenever it is set.
    """
    return None if settings.is_disabled() else OTelTelemetry(sink)


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
) -> Telemetry:
    """Trace transports made from now on; return the telemetry they will use.

    Without arguments the global providers are used, whenever they are set; none is made here. The
    switches of the environment are obeyed.
    """
    if settings.is_disabled():
        return uninstrument()
    peers.look()
    traced = OTelTelemetry(
        SdkSink(tracer_provider), meter_provider=meter_provider, logger_provider=logger_provider,
    )
    install(traced)
    return traced


def uninstrument() -> Telemetry:
    """Trace no transport made from now on; log lines stay. Return the telemetry they will use."""
    plain = Telemetry()
    install(plain)
    return plain
