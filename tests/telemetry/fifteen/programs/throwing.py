"""Parts of OpenTelemetry's SDK that raise."""

from __future__ import annotations

from opentelemetry.sdk.metrics.export import MetricExporter


def throwing(base, *methods):
    """Return a subclass whose methods of these names raise."""

    def throw(*args, **fields):
        raise RuntimeError(f"{base.__name__} throws")

    return type(f"Throwing{base.__name__}", (base,), dict.fromkeys(methods, throw))


class ThrowingMetricExporter(MetricExporter):
    """Raises at each export."""

    def export(self, *args, **fields):
        raise RuntimeError("MetricExporter throws")

    def force_flush(self, timeout_millis=0):
        return True

    def shutdown(self, *args, **fields):
        pass
