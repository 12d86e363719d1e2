"""A connection without a broker, and messages to send on it, for the tests of the RabbitMQ driver."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.link import QueueState
from tracedrpc.drivers.rabbit.outgoing import Outcome, Outgoing, Shipment
from tracedrpc.drivers.rabbit.topology import Exchange
from tracedrpc.message import Invocation, Mode, Request
from tracedrpc.target import Target
from tracedrpc.telemetry import ConnectionInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracedrpc.drivers.rabbit.link import Delivery
    from tracedrpc.drivers.rabbit.topology import Queue
    from tracedrpc.drivers.rabbit.waker import Waker

_ids = itertools.count(1)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class FakeLink:
    """A `Link` that writes down what it is told to do.

    Attributes:
        done: the operations, in order.
        answers: what the broker says to each publish, by and by; CONFIRMED when there is nothing
            left. None: nothing yet, `answer()` says it later.
        breaks: operation -> the error it raises.
    """

    def __init__(
        self, settled: Callable[[Shipment, Outcome], None] = lambda shipment, outcome: None,
        clock: Clock | None = None, heartbeat_s: float = 0.0,
    ) -> None:
        self.info = ConnectionInfo(next(_ids), "broker:5672", "send")
        self.clock = clock or Clock()
        self.used_s = self.clock()
        self.taken_ns = 0
        self.unsettled: dict[int, Shipment] = {}
        self.is_blocked = False
        self.failure = None
        self.done: list[str] = []
        self.published: list[Outgoing] = []
        self.answers: list[Outcome | None] = []
        self.breaks: dict[str, BaseException] = {}
        self.stale = False
        self.state: QueueState = QueueState(exists=True)
        self.deliveries: list[Delivery] = []
        self.cancelled: list[str] = []
        self.changed = threading.Condition()
        self._heartbeat_s = heartbeat_s
        self._settled = settled
        self._tag = 0

    @property
    def heartbeat_s(self) -> float:
        return self._heartbeat_s

    def _do(self, name: str, *details: object) -> None:
        with self.changed:
            self.done.append(" ".join([name, *map(str, details)]))
            self.changed.notify_all()
        if name in self.breaks:
            raise self.breaks[name]

    def wait_for(self, what: str, timeout_s: float = 5.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: what in self.done, timeout_s), self.done

    # ---- publishing ---------------------------------------------------------------------------

    def publish(self, shipment: Shipment, timeout_s: float) -> None:
        self._do("publish")
        self.published.append(shipment.outgoing)
        shipment.outcome = None
        shipment.attempts += 1
        self._tag += 1
        self.unsettled[self._tag] = shipment
        self.used_s = self.clock()

    def answer(self, outcome: Outcome = Outcome.CONFIRMED) -> None:
        """Settle the oldest message."""
        self._settle(next(iter(self.unsettled)), outcome)

    def _settle(self, tag: int, outcome: Outcome) -> None:
        shipment = self.unsettled.pop(tag)
        shipment.outcome = outcome
        self._settled(shipment, outcome)

    def read(self, timeout_s: float) -> None:
        self._do("read")
        for tag in list(self.unsettled):
            outcome = self.answers.pop(0) if self.answers else Outcome.CONFIRMED
            if outcome is not None:
                self._settle(tag, outcome)

    def is_stale(self) -> bool:
        self._do("is_stale")
        return self.stale

    # ---- the rest -----------------------------------------------------------------------------

    def look_at(self, queue: str, timeout_s: float) -> QueueState:
        self._do("look_at", queue)
        return self.state

    def declare_queue(self, queue: Queue) -> None:
        self._do("declare", queue.name)

    def bind_again(self, queue: Queue) -> None:
        self._do("bind", queue.name)

    def repair(self, queue: Queue) -> None:
        self._do("repair", queue.name)

    def delete_queue(self, name: str) -> None:
        self._do("delete", name)

    def watch(self, waker: Waker) -> None:
        self._do("watch")

    def take_deliveries(self) -> list[Delivery]:
        taken, self.deliveries = self.deliveries, []
        return taken

    def take_cancelled(self) -> list[str]:
        taken, self.cancelled = self.cancelled, []
        return taken

    def heartbeat(self, rate: int) -> None:
        self._do("heartbeat")

    def limit_unacked(self, count: int) -> None:
        self._do("limit", count)

    def consume(self, queue: str, arguments: Mapping[str, Any]) -> None:
        self._do("consume", queue, *(f"{name}={value}" for name, value in arguments.items()))

    def cancel(self, queue: str) -> None:
        self._do("cancel", queue)

    def ack(self, tag: int) -> None:
        self._do("ack", tag)

    def give_back(self, tag: int) -> None:
        self._do("give_back", tag)

    def close(self) -> None:
        self._do("close")

    def abandon(self) -> None:
        self._do("abandon")
        for tag in list(self.unsettled):
            self._settle(tag, Outcome.LOST)

    def forget(self) -> None:
        self._do("forget")


def outgoing(key: str = "compute", exchange: str = "nova", **fields: Any) -> Outgoing:
    """Return a message."""
    return Outgoing(Exchange(exchange), key, b"{}", {}, f"{next(_ids):032x}", **fields)


def invocation(
    mode: Mode = Mode.CALL, timeout_s: float = 60.0, **fields: Any,
) -> Invocation:
    """Return a call or cast that has just begun."""
    msg_id = f"{next(_ids):032x}" if mode is Mode.CALL else None
    request = Request(
        Target(topic="compute"), "reboot", {}, {}, mode, f"{next(_ids):032x}", msg_id, timeout_s, **fields,
    )
    return Invocation(request, Deadline.after(timeout_s))


def shipment(
    key: str = "compute", timeout_s: float = 60.0, of: Invocation | None = None, *, is_followed: bool = False,
) -> Shipment:
    """Return a message with what its sender wants to know of it."""
    return Shipment(outgoing(key), Deadline.after(timeout_s), of, is_followed=is_followed)
