"""The counters that exist so far; a counter has its moment's name, after `tracedrpc.`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc_otel.sink import SCOPE_NAME, scope_version

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider


class Counters:
    """Counts moments."""

    def __init__(self, provider: MeterProvider | None = None) -> None:
        meter = metrics.get_meter(
            SCOPE_NAME, scope_version(), meter_provider=provider, schema_url=names.SCHEMA_URL,
        )
        self._discarded = meter.create_counter(
            "tracedrpc.message_discarded",
            unit="{message}",
            description="Messages from the wire that were refused or had been seen before.",
        )

    def message_discarded(self, reason: str) -> None:
        """Count a message by the reason, one of a dozen constants of the core."""
        self._discarded.add(1, {names.REASON: safe(reason)})
