"""What is counted of connections: made, failed, lost, made again, closed, blocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc_otel import instruments as table
from tracedrpc_otel.destinations import address_attributes
from tracedrpc_otel.tallies import LOCK, Tally

if TYPE_CHECKING:
    from tracedrpc.telemetry import ConnectionInfo
    from tracedrpc_otel.meters import Meters
    from tracedrpc_otel.records import Attributes


class Connections:
    """Counts moments of connections; any thread."""

    def __init__(self, meters: Meters) -> None:
        self._failed = Tally(table.CONNECT_FAILED)
        self._lost = Tally(table.LOST)
        self._closed = Tally(table.CLOSED)
        self._remade = Tally(table.RECONNECTS)
        self._missing: dict[str, int] = {}
        self._blocked: set[int] = set()
        for tally in self.tallies():
            meters.observe(tally.instrument, tally.observe)
        meters.observe(table.BLOCKED, lambda: [Observation(len(self._blocked))])

    def tallies(self) -> tuple[Tally, ...]:
        """Return all counters."""
        return self._failed, self._lost, self._closed, self._remade

    def ready(self, connection: ConnectionInfo) -> None:
        """Count a connection that stands in for one that was lost."""
        purpose = connection.purpose
        with LOCK:
            is_again = self._missing.get(purpose, 0) > 0
            if is_again:
                self._missing[purpose] -= 1
        if is_again:
            self._remade.add({names.PURPOSE: safe(purpose)})

    def failed(self, connection: ConnectionInfo, reason: str) -> None:
        """Count a connection that could not be made."""
        self._failed.add(_where(connection, reason))

    def lost(self, connection: ConnectionInfo, reason: str) -> None:
        """Count a connection that broke."""
        self._lost.add(_where(connection, reason))
        with LOCK:
            self._missing[connection.purpose] = self._missing.get(connection.purpose, 0) + 1
            self._blocked.discard(connection.id)

    def closed(self, connection: ConnectionInfo, reason: str) -> None:
        """Count a connection that is gone."""
        self._closed.add({names.PURPOSE: safe(connection.purpose), names.REASON: safe(reason)})
        self.unblocked(connection)

    def blocked(self, connection: ConnectionInfo) -> None:
        """The broker takes nothing on it from now on."""
        with LOCK:
            self._blocked.add(connection.id)

    def unblocked(self, connection: ConnectionInfo) -> None:
        """It does again, or the connection is gone."""
        with LOCK:
            self._blocked.discard(connection.id)

    def forget(self) -> None:
        """Start without connections in a child process; they are the parent's."""
        self._missing.clear()
        self._blocked.clear()


def _where(connection: ConnectionInfo, reason: str) -> Attributes:
    attributes = address_attributes(connection.peer)
    attributes[names.PURPOSE] = safe(connection.purpose)
    attributes[names.REASON] = safe(reason)
    return attributes
