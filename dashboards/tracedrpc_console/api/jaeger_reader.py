"""What Jaeger's API asks of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracedrpc_console.spans import Kind
    from tracedrpc_console.store.model import (
        Edge,
        Operation,
        Page,
        ServiceInfo,
        Timing,
        TraceQuery,
        TraceSummary,
    )


class TraceReader(Protocol):
    """Looks spans up; blocks, and may be called by many threads at once. `store.reader.Reader` is one."""

    def services(self) -> Sequence[ServiceInfo]:
        """Return every service that has sent spans."""

    def operations(self, service: str, kind: Kind | None = None) -> Sequence[Operation]:
        """Return the span names of a service."""

    def find_traces(self, query: TraceQuery) -> Page[TraceSummary]:
        """Return the traces that fit, newest first."""

    def trace_blobs(self, trace_id: str) -> Sequence[bytes]:
        """Return a trace's spans as serialized `ResourceSpans`; none when there is no such trace."""

    def edges(self, from_ns: int, to_ns: int) -> Sequence[Edge]:
        """Return who called whom in a stretch of time."""

    def timings(
        self, services: Sequence[str], kinds: Sequence[Kind], from_ns: int, to_ns: int,
    ) -> Iterable[Timing]:
        """Return the spans of these services and kinds that began in [from_ns, to_ns)."""
