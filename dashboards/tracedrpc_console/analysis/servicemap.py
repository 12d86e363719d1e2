"""Who calls whom, through which queue. Pure.

An edge between services is known from spans alone; which queue it goes through is known where the caller
tells the method of its calls ("topic/method") and the callee serves a method of that topic.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tracedrpc_console.methods import percentile
from tracedrpc_console.spans import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracedrpc_console.store.model import CallRow, Edge, Operation

SERVICE: Final = "service"
QUEUE: Final = "queue"
_PROCESS: Final = "process "
"""Before the method in the name of a CONSUMER span."""


@dataclass(frozen=True, slots=True)
class Node:
    """A service or a queue; `calls` and `errors` are those that arrive there.

    A queue is called as its topic; where a service is called so too, " (queue)" tells them apart.
    """

    name: str
    kind: str
    calls: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Arrow:
    """Calls from one node to another; `p95` in ms is None where only a service knows how long it took."""

    start: str
    end: str
    calls: int
    errors: int
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Map:
    """The map, busiest first."""

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]


def topic_of(method: str) -> str:
    """Return the topic of "topic[.namespace]/method"."""
    return method.partition("/")[0]


def topics_served(operations: Iterable[Operation]) -> set[str]:
    """Return the topics that a service takes calls and casts from, by the names of its spans."""
    names = [
        operation.name.removeprefix(_PROCESS) for operation in operations
        if operation.kind in {Kind.SERVER, Kind.CONSUMER}
    ]
    return {topic_of(name) for name in names if "/" in name and not name.startswith(("/", "http"))}


def service_map(
    edges: Iterable[Edge], rows: Iterable[CallRow], served: Mapping[str, set[str]],
) -> Map:
    """Return the map of a stretch of time.

    Args:
        edges: calls between services.
        rows: calls and casts with their methods.
        served: the topics that each service takes messages from.
    """
    sent: dict[tuple[str, str], list[CallRow]] = defaultdict(list)
    for row in rows:
        if topic_of(row.method):
            sent[row.service, topic_of(row.method)].append(row)
    services = {service for service, _ in sent} | set(served)
    names = {topic: f"{topic} (queue)" if topic in services else topic for _, topic in sent}
    arrows = [_sent(service, names[topic], calls) for (service, topic), calls in sent.items()]
    taken: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in edges:
        shares = _shares(edge, sent, served.get(edge.child, set()))
        for topic, share in shares.items():
            part = (round(edge.calls * share), round(edge.errors * share))
            taken[topic, edge.child].append(type(edge)(edge.parent, edge.child, *part))
        if not shares and edge.parent != edge.child:
            arrows.append(Arrow(edge.parent, edge.child, edge.calls, edge.errors))
    for (topic, child), parts in taken.items():
        calls, errors = sum(part.calls for part in parts), sum(part.errors for part in parts)
        arrows.append(Arrow(names[topic], child, calls, errors))
    arrows.sort(key=lambda arrow: -arrow.calls)
    return Map(_nodes(arrows, set(names.values())), tuple(arrows))


def _sent(service: str, queue: str, calls: list[CallRow]) -> Arrow:
    took = sorted(max(0, call.duration_ns) / 1e6 for call in calls)
    return Arrow(service, queue, len(calls), sum(call.is_error for call in calls), percentile(took, 0.95))


def _shares(
    edge: Edge, sent: Mapping[tuple[str, str], list[CallRow]], topics: set[str],
) -> dict[str, float]:
    """Return by which queues an edge goes: its parts, as large as the caller's calls to each."""
    counts = {topic: len(sent[edge.parent, topic]) for topic in topics if (edge.parent, topic) in sent}
    return {topic: count / sum(counts.values()) for topic, count in counts.items()}


def _nodes(arrows: Iterable[Arrow], queues: set[str]) -> tuple[Node, ...]:
    calls: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for arrow in arrows:
        calls[arrow.start] += 0
        calls[arrow.end] += arrow.calls
        errors[arrow.end] += arrow.errors
    return tuple(
        Node(name, QUEUE if name in queues else SERVICE, count, errors[name])
        for name, count in calls.most_common()
    )
