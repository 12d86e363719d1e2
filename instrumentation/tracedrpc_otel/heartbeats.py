"""Heartbeats as span events, few enough that a long call keeps the start of its story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracedrpc import semconv as names
from tracedrpc_otel.records import EventRecord

if TYPE_CHECKING:
    from tracedrpc_otel.records import Attributes

_ALWAYS: Final = 3


class Heartbeats:
    """Tells the first three, those whose number is a power of two, and at the end the last.

    The SDK keeps 128 events of a span and drops the oldest; a call of a day has 40,000 heartbeats.
    """

    __slots__ = ("_last", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._last: EventRecord | None = None

    def beat(self, count: int, gap_ns: int, at_ns: int) -> EventRecord | None:
        """Take heartbeat number `count`; return it as an event when it is worth telling."""
        attributes: Attributes = {names.HEARTBEAT_COUNT: count, names.HEARTBEAT_GAP_MS: gap_ns / 1e6}
        record = EventRecord(self._name, at_ns, attributes)
        if count <= _ALWAYS or count & (count - 1) == 0:
            self._last = None
            return record
        self._last = record
        return None

    def last(self) -> tuple[EventRecord, ...]:
        """Return the last heartbeat, unless it has been told."""
        return () if self._last is None else (self._last,)


class SentHeartbeats:
    """Counts what a server tells its caller, and the gaps between."""

    __slots__ = ("_gap_ns", "_heartbeats", "_last_ns", "count")

    def __init__(self) -> None:
        self._heartbeats = Heartbeats("heartbeat_sent")
        self._last_ns = 0
        self._gap_ns = 0
        self.count = 0

    def beat(self, now_ns: int, at_ns: int) -> EventRecord | None:
        """Take a heartbeat sent now, monotonic and as wall clock; return it when it is worth telling."""
        if self._last_ns:
            self._gap_ns = max(self._gap_ns, now_ns - self._last_ns)
        self._last_ns = now_ns
        self.count += 1
        return self._heartbeats.beat(self.count, self._gap_ns, at_ns)

    def last(self) -> tuple[EventRecord, ...]:
        """Return the last heartbeat, unless it has been told."""
        return self._heartbeats.last()
