"""Looks after messages that the broker did not take at the first attempt, on the scheduler."""

from __future__ import annotations

import threading
from collections import deque
from contextvars import Context
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.backoff import Backoff
from tracedrpc.drivers.rabbit.errors import Reason
from tracedrpc.drivers.rabbit.outgoing import Outcome
from tracedrpc.exceptions import MessageDeliveryFailure, MessageUndeliverable
from tracedrpc.message import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc._scheduler import Scheduler
    from tracedrpc.drivers.rabbit.outgoing import Shipment
    from tracedrpc.drivers.rabbit.publisher import Publisher
    from tracedrpc.drivers.waiters import Waiters
    from tracedrpc.telemetry import Telemetry

MOST: Final = 10_000
"""How many messages may wait here; further ones are dropped and counted."""
REFUSALS: Final = frozenset({Reason.DENIED, Reason.PRECONDITION})
"""Reasons for which the same message will not be taken later either."""
ATTEMPT_S: Final = 2.0
"""How long one attempt may take, connecting included, so that others get their turn."""


class _Lane:
    """Messages for one destination without a queue; one of them is tried at a time."""

    __slots__ = ("backoff", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Shipment] = deque()
        self.backoff = Backoff(0.05, 2.0)


class Courier:
    """Decides what to do with each outcome. `settled` runs on whichever thread reads a connection.

    A returned message goes to its destination's lane: at once through the default exchange, where
    the routing key is the queue's name (the exchange or its binding may be gone), then again with
    growing pauses until its deadline. Only the first of a lane is tried; when the broker takes it,
    the rest follows. A lost or refused message is sent again; servers recognise duplicates.
    """

    def __init__(self, scheduler: Scheduler, telemetry: Telemetry) -> None:
        self._scheduler = scheduler
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}
        self._count = 0
        self._publisher: Publisher | None = None
        self._waiters: Waiters | None = None
        self._closed = False

    def serve(self, publisher: Publisher, waiters: Waiters) -> None:
        """Say how to send again and whom to tell; once, before the first message."""
        self._publisher = publisher
        self._waiters = waiters

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Drop what waits here."""
        with self._lock:
            self._closed = True
            dropped = [shipment for lane in self._lanes.values() for shipment in lane.waiting]
            self._lanes.clear()
            self._count = 0
        for shipment in dropped:
            if shipment.is_wanted():
                self._drop(shipment, "closed")

    # ---- outcomes -----------------------------------------------------------------------------

    def settled(self, shipment: Shipment, outcome: Outcome) -> None:
        """Take note of an outcome; never blocks."""
        invocation = shipment.invocation
        if outcome is Outcome.CONFIRMED:
            if invocation is not None:
                invocation.confirmed_ns = monotonic_ns()
                if invocation.stage in {Stage.CONFIRM, Stage.UNROUTABLE, Stage.PUBLISH}:
                    invocation.stage = Stage.QUEUE_OR_SERVER
            self._delivered(shipment)
        elif outcome is Outcome.RETURNED:
            # In an empty context: who reads may be at work on something else.
            Context().run(self._returned, shipment)
        elif not shipment.is_followed:
            Context().run(self._lost, shipment)

    def _returned(self, shipment: Shipment) -> None:
        invocation, outgoing = shipment.invocation, shipment.outgoing
        shipment.came_back()
        if shipment.attempts == 1:
            self._telemetry.message_returned(invocation, outgoing.routing_key)
        if shipment.is_followed:
            return
        if invocation is not None and invocation.request.at_least_once and self._waiters is not None:
            self._waiters.fail(invocation, MessageUndeliverable(
                None, outgoing.exchange.name, outgoing.routing_key, None,
            ))
            return
        self.keep_trying(shipment)

    def _lost(self, shipment: Shipment) -> None:
        """Send it again; the first of a lane is sent by its lane, which must not end with it."""
        key = shipment.outgoing.routing_key
        with self._lock:
            lane = self._lanes[key] if self._is_first(key, shipment) else None
        if shipment.refusal in REFUSALS:
            self._refused(shipment)
        if lane is not None:
            self._try_lane_later(key, lane)
        elif shipment.refusal not in REFUSALS:
            self.send_later(shipment, shipment.pause_s())

    def _refused(self, shipment: Shipment) -> None:
        """Give up what the broker has made clear it will not have."""
        invocation, outgoing = shipment.invocation, shipment.outgoing
        shipment.deadline = Deadline.after(0)
        if invocation is not None and self._waiters is not None:
            self._waiters.fail(invocation, MessageDeliveryFailure(
                f"the broker refuses messages for exchange '{outgoing.exchange.name}', routing key "
                f"'{outgoing.routing_key}' ({shipment.refusal}); may this user write there?",
            ))
        self._drop(shipment, "refused")

    def keep_trying(self, shipment: Shipment) -> None:
        """Put a returned message into its lane."""
        key = shipment.outgoing.routing_key
        with self._lock:
            if self._closed:
                return
            is_first, is_full = self._is_first(key, shipment), False
            if not is_first:
                is_full = self._count >= MOST
                is_first = not is_full and self._append(key, shipment)
            delay_s = self._lanes[key].backoff.next_s() if is_first else 0.0
        if is_full:
            self._drop(shipment, "overflow")
        elif is_first:
            self._scheduler.after(delay_s, lambda: self._try_lane(key))

    def _is_first(self, key: str, shipment: Shipment) -> bool:
        lane = self._lanes.get(key)
        return lane is not None and lane.waiting[0] is shipment

    def _append(self, key: str, shipment: Shipment) -> bool:
        """Put a message at the end of its lane; True when it is the first there."""
        lane = self._lanes.setdefault(key, _Lane())
        lane.waiting.append(shipment)
        self._count += 1
        return lane.waiting[0] is shipment

    def _try_lane(self, key: str) -> None:
        """Send the first message of a lane that is still wanted."""
        while True:
            with self._lock:
                lane = self._lanes.get(key)
                if lane is None:
                    return
                shipment = lane.waiting[0]
                is_wanted = shipment.is_wanted()
                if not is_wanted:
                    self._pop_first(key, lane)
            if is_wanted:
                break
            self._drop(shipment, "unroutable")
        shipment.outgoing = shipment.outgoing.direct()
        self._send(shipment, lambda: self._try_lane_later(key, lane))

    def _try_lane_later(self, key: str, lane: _Lane) -> None:
        self._scheduler.after(lane.backoff.next_s(), lambda: self._try_lane(key))

    def _pop_first(self, key: str, lane: _Lane) -> None:
        lane.waiting.popleft()
        self._count -= 1
        if not lane.waiting:
            del self._lanes[key]

    def _delivered(self, shipment: Shipment) -> None:
        """The broker took it: its destination has a queue, so what waits in the lane may go."""
        key = shipment.outgoing.routing_key
        if key not in self._lanes:
            return
        with self._lock:
            lane = self._lanes.pop(key, None)
            if lane is None:
                return
            self._count -= len(lane.waiting)
        for waiting in lane.waiting:
            if waiting is not shipment:
                self.send_later(waiting, 0.0)

    # ---- sending again ------------------------------------------------------------------------

    def send_later(self, shipment: Shipment, delay_s: float) -> None:
        """Send a message again on the scheduler's thread, until its deadline."""

        def again() -> None:
            if shipment.is_wanted():
                self._send(shipment, lambda: self._scheduler.after(shipment.pause_s(), again))
            else:
                self._drop(shipment, "expired")

        self._scheduler.after(delay_s, again)

    def _send(self, shipment: Shipment, retry: Callable[[], object]) -> None:
        if self._publisher is None or self._closed:
            return
        try:
            self._publisher.send(shipment, Deadline.after(ATTEMPT_S), retry=0)
        except MessageDeliveryFailure:
            retry()
        except Exception as error:  # noqa: BLE001 - what waits behind it must get its turn
            self._telemetry.background_failed("courier", error)
            retry()

    def _drop(self, shipment: Shipment, reason: str) -> None:
        invocation = shipment.invocation
        if invocation is not None and invocation.request.msg_id:
            return  # its caller is told by its own time-out
        self._telemetry.message_dropped(invocation, shipment.outgoing.routing_key, reason)
