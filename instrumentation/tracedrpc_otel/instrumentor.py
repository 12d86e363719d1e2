"""For `opentelemetry-instrument app`: needs the extra `tracedrpc[auto]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracedrpc_otel.install import instrument, uninstrument

if TYPE_CHECKING:
    from collections.abc import Collection

# The package hides its types with a file-wide `type: ignore`, or is not there at all.
try:
    from opentelemetry.instrumentation.instrumentor import (  # type: ignore[import-not-found,attr-defined,unused-ignore]
        BaseInstrumentor,
    )
except ImportError:  # without the extra the class can be imported, not used
    BaseInstrumentor = object


class TracedRPCInstrumentor(BaseInstrumentor):  # type: ignore[misc,unused-ignore]
    """Turns the spans of tracedrpc on and off."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: we ship with what we instrument."""
        return ()

    def _instrument(self, **options: Any) -> None:
        providers = ("tracer_provider", "meter_provider", "logger_provider")
        instrument(**{name: options.get(name) for name in providers})

    def _uninstrument(self, **_options: Any) -> None:
        uninstrument()
