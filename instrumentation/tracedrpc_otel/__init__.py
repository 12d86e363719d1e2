"""OpenTelemetry for tracedrpc: spans, metrics, trace context on the wire, log lines, SDK set-up.

Installed with tracedrpc and found by it; an application that sets up OpenTelemetry itself has
nothing to do. One that does not calls `configure(service_name=...)`.
"""

from __future__ import annotations

from tracedrpc_otel.configure import Configured, configure
from tracedrpc_otel.install import instrument, telemetry, uninstrument
from tracedrpc_otel.log_processors import add_trace_context
from tracedrpc_otel.signals import Signal
from tracedrpc_otel.telemetry import OTelTelemetry

__all__ = [
    "Configured",
    "OTelTelemetry",
    "Signal",
    "add_trace_context",
    "configure",
    "instrument",
    "telemetry",
    "uninstrument",
]
