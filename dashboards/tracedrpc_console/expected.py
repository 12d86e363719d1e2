"""What has to arrive: for each scenario of the demo every span of it, declared in one place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tracedrpc_console.spans import Kind, Span, Trace, traces

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TRAFFIC: Final = "traffic"
"""The service name of who drives the others."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A span that each trace of a scenario must have.

    Attributes:
        service: whose it is.
        name: its name, or how it begins and "*".
        kind: its kind.
        parent: (service, name) of its parent; None for the root.
        is_error: whether its status is ERROR.
        count: how many of them there are, at least.
        event: an event it must have, "" for none.
        always: False when one trace of the scenario must have it and not each: a receive span is
            left out when nothing was left to wait for.
        broker_only: whether the memory driver has no such step.
    """

    service: str
    name: str
    kind: Kind
    parent: tuple[str, str] | None
    is_error: bool = False
    count: int = 1
    event: str = ""
    always: bool = True
    broker_only: bool = False

    def is_met(self, trace: Trace) -> bool:
        """Tell whether a trace has it."""
        return sum(self._is(span, trace.parent(span)) for span in trace.spans) >= self.count

    def __str__(self) -> str:
        status = " ERROR" if self.is_error else ""
        times = f" x{self.count}" if self.count > 1 else ""
        event = f" with event {self.event}" if self.event else ""
        under = f" under {' '.join(self.parent)}" if self.parent else ""
        return f"{self.service} {self.name} {self.kind}{status}{times}{event}{under}"

    def _is(self, span: Span, parent: Span | None) -> bool:
        above = (parent.service, parent.name) if parent is not None else None
        return (
            (span.service, span.kind, span.is_error) == (self.service, self.kind, self.is_error)
            and self._is_called(span.name)
            and above == self.parent
            and (parent is not None or not span.parent_id)
            and (not self.event or any(event.name == self.event for event in span.events))
        )

    def _is_called(self, name: str) -> bool:
        beginning, star, _ = self.name.partition("*")
        return name.startswith(beginning) if star else name == self.name


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of trace.

    Attributes:
        name: what happens in it.
        root: the name of its root span.
        expected: its spans.
    """

    name: str
    root: str
    expected: tuple[Expected, ...]


def _call(
    caller: str, callee: str, method: str, parent: tuple[str, str] | None, *, to_server: bool = False,
    is_error: bool = False,
) -> tuple[Expected, ...]:
    """Return what every answered call has: the whole, its publish, and the server's part."""
    topic = method.partition("/")[0]
    key = f"{topic}.{{server}}" if to_server else topic
    whole = (caller, method)
    return (
        Expected(caller, method, Kind.CLIENT, parent, is_error),
        Expected(caller, f"publish demo:{key}", Kind.CLIENT, whole, broker_only=True),
        Expected(callee, method, Kind.SERVER, whole, is_error),
    )


def _receive(caller: str, method: str) -> Expected:
    return Expected(caller, "receive reply_{id}", Kind.CLIENT, (caller, method), always=False)


def _with_event(spans: tuple[Expected, ...], client_event: str, server_event: str) -> tuple[Expected, ...]:
    events = {Kind.CLIENT: client_event, Kind.SERVER: server_event}
    return tuple(
        span if span.name.startswith("publish ") else replace(span, event=events[span.kind])
        for span in spans
    )


BOOT: Final = Scenario(
    "a chain of three calls that ends in a cast",
    "demo.api/boot_instance",
    (
        *_call(TRAFFIC, "api", "demo.api/boot_instance", None),
        *_call("api", "scheduler", "demo.scheduler/place_instance", ("api", "demo.api/boot_instance")),
        *_call(
            "scheduler", "compute", "demo.compute/boot_instance",
            ("scheduler", "demo.scheduler/place_instance"), to_server=True,
        ),
        Expected(
            "compute", "cast demo.scheduler/update_usage", Kind.PRODUCER,
            ("compute", "demo.compute/boot_instance"),
        ),
        Expected(
            "scheduler", "process demo.scheduler/update_usage", Kind.CONSUMER,
            ("compute", "cast demo.scheduler/update_usage"),
        ),
        _receive(TRAFFIC, "demo.api/boot_instance"),
        _receive("api", "demo.scheduler/place_instance"),
        _receive("scheduler", "demo.compute/boot_instance"),
    ),
)
REFRESH: Final = Scenario(
    "a fanout to two servers",
    "demo.api/refresh_hosts",
    (
        *_call(TRAFFIC, "api", "demo.api/refresh_hosts", None),
        Expected(
            "api", "fanout demo.compute/take_stock", Kind.PRODUCER, ("api", "demo.api/refresh_hosts"),
        ),
        Expected(
            "compute", "process demo.compute/take_stock", Kind.CONSUMER,
            ("api", "fanout demo.compute/take_stock"), count=2,
        ),
    ),
)
MIGRATE: Final = Scenario(
    "a slow call kept alive by heartbeats",
    "demo.api/migrate_instance",
    (
        *_call(TRAFFIC, "api", "demo.api/migrate_instance", None),
        *_with_event(
            _call(
                "api", "compute", "demo.compute/migrate_instance",
                ("api", "demo.api/migrate_instance"), to_server=True,
            ),
            "heartbeat_received", "heartbeat_sent",
        ),
    ),
)
DELETE: Final = Scenario(
    "an exception of a server two calls away",
    "demo.api/delete_instance",
    (
        *_call(TRAFFIC, "api", "demo.api/delete_instance", None, is_error=True),
        *_call(
            "api", "compute", "demo.compute/delete_instance", ("api", "demo.api/delete_instance"),
            to_server=True, is_error=True,
        ),
    ),
)
NOBODY: Final = Scenario(
    "a time-out because nobody listens",
    "demo.compute/boot_instance",
    (
        Expected(TRAFFIC, "demo.compute/boot_instance", Kind.CLIENT, None, is_error=True),
    ),
)
TOO_SLOW: Final = Scenario(
    "a time-out because the handler is too slow",
    "demo.compute/snapshot_instance",
    (
        Expected(TRAFFIC, "demo.compute/snapshot_instance", Kind.CLIENT, None, is_error=True),
        Expected(
            TRAFFIC, "publish demo:demo.compute.{server}", Kind.CLIENT,
            (TRAFFIC, "demo.compute/snapshot_instance"), broker_only=True,
        ),
        Expected(
            TRAFFIC, "receive reply_{id}", Kind.CLIENT, (TRAFFIC, "demo.compute/snapshot_instance"),
            is_error=True,
        ),
        Expected(
            "compute", "demo.compute/snapshot_instance", Kind.SERVER,
            (TRAFFIC, "demo.compute/snapshot_instance"),
        ),
    ),
)
_EVACUATE: Final = "demo.api/evacuate_host"
_SNAPSHOT: Final = "demo.compute/snapshot_instance"
_MIGRATE: Final = "demo.compute/migrate_instance"
EVACUATE: Final = Scenario(
    "a call in which everything happens",
    _EVACUATE,
    (
        *_call(TRAFFIC, "api", _EVACUATE, None),
        Expected(TRAFFIC, "acquire connection", Kind.INTERNAL, (TRAFFIC, _EVACUATE), broker_only=True),
        Expected(TRAFFIC, "connect *", Kind.CLIENT, (TRAFFIC, "acquire connection"), broker_only=True),
        Expected("api", "queue demo:demo.api", Kind.INTERNAL, (TRAFFIC, _EVACUATE)),
        Expected("api", "handle evacuate_host", Kind.INTERNAL, ("api", _EVACUATE)),
        Expected(
            "api", _SNAPSHOT, Kind.CLIENT, ("api", _EVACUATE), is_error=True, event="heartbeat_received",
        ),
        Expected("api", "receive reply_{id}", Kind.CLIENT, ("api", _SNAPSHOT), is_error=True),
        Expected("compute", _SNAPSHOT, Kind.SERVER, ("api", _SNAPSHOT), event="deadline_exceeded"),
        Expected("api", f"late reply {_SNAPSHOT}", Kind.CLIENT, ("api", _SNAPSHOT)),
        Expected("api", "fanout demo.compute/take_stock", Kind.PRODUCER, ("api", _EVACUATE)),
        Expected(
            "compute", "process demo.compute/take_stock", Kind.CONSUMER,
            ("api", "fanout demo.compute/take_stock"), count=2,
        ),
        *_with_event(
            _call("api", "compute", _MIGRATE, ("api", _EVACUATE), to_server=True),
            "heartbeat_received", "heartbeat_sent",
        ),
        Expected("api", "cast demo.scheduler/update_usage", Kind.PRODUCER, ("api", _EVACUATE)),
        Expected(
            "scheduler", "process demo.scheduler/update_usage", Kind.CONSUMER,
            ("api", "cast demo.scheduler/update_usage"),
        ),
        Expected("api", "publish reply_{id}", Kind.PRODUCER, ("api", _EVACUATE)),
        _receive(TRAFFIC, _EVACUATE),
    ),
)
SCENARIOS: Final = (BOOT, REFRESH, MIGRATE, DELETE, NOBODY, TOO_SLOW, EVACUATE)


def missing(spans: Iterable[Span], calls: Mapping[str, int], *, has_broker: bool = True) -> list[str]:
    """Return a line for each span that did not arrive, most grave first; empty when all did.

    Args:
        spans: everything that arrived.
        calls: how many traces there must be, by the name of the root span.
        has_broker: whether messages went through a broker.
    """
    by_root: dict[str, list[Trace]] = {scenario.root: [] for scenario in SCENARIOS}
    for trace in traces(spans):
        if trace.root is not None:
            by_root.setdefault(trace.root.name, []).append(trace)
    return [
        f"{scenario.name}: {lack}"
        for scenario in SCENARIOS
        for lack in _lacks(scenario, by_root[scenario.root], calls.get(scenario.root, 0), has_broker)
    ]


def _lacks(scenario: Scenario, found: list[Trace], calls: int, has_broker: bool) -> list[str]:
    if calls == 0:
        return ["was never driven"]
    lacks = []
    if len(found) < calls:
        lacks.append(f"{len(found)} of {calls} traces arrived ({scenario.root})")
    short = Counter[Expected]()
    for expected in scenario.expected:
        if has_broker or not expected.broker_only:
            short[expected] = sum(not expected.is_met(trace) for trace in found)
    lacks.extend(
        f"no {expected} in {count} of {len(found)} traces"
        for expected, count in short.items()
        if count and (expected.always or count == len(found))
    )
    return lacks
