"""Publishes messages on pooled connections, and tries again while the deadline allows."""

from __future__ import annotations

import threading
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.backoff import reconnect_backoff
from tracedrpc.drivers.rabbit.errors import (
    BROKEN,
    FATAL,
    AcquireTimeout,
    ConnectFailed,
    ConnectionClosed,
    Reason,
    reason_of,
)
from tracedrpc.drivers.rabbit.outgoing import Outcome
from tracedrpc.exceptions import MessageDeliveryFailure
from tracedrpc.message import Stage

if TYPE_CHECKING:
    from tracedrpc.drivers.rabbit.keeper import Keeper
    from tracedrpc.drivers.rabbit.link import Link
    from tracedrpc.drivers.rabbit.lookout import Lookout
    from tracedrpc.drivers.rabbit.outgoing import Shipment
    from tracedrpc.drivers.rabbit.pool import ConnectionPool
    from tracedrpc.options import Options
    from tracedrpc.telemetry import Telemetry

UNREAD_MOST: Final = 128
"""Confirms that may be missing before a borrower reads them, instead of leaving it to the keeper."""
LOOK_S: Final = 0.5
"""How often to see whether the transport was closed, while a blocked connection is waited for."""
REST_S: Final = 0.05
"""A connection that was idle longer is looked at before it is used: the broker may have closed it."""


class Publisher:
    """Hands messages to the broker. Thread-safe; each message holds a connection while it does."""

    def __init__(
        self, pool: ConnectionPool[Link], keeper: Keeper, lookout: Lookout, options: Options,
        telemetry: Telemetry,
    ) -> None:
        self._pool = pool
        self._keeper = keeper
        self._lookout = lookout
        self._options = options
        self._telemetry = telemetry
        self._write_s = options.heartbeat_timeout_threshold or 60.0
        self._confirm_s = 2 * self._write_s
        self._closing = threading.Event()

    def close(self) -> None:
        """End the waits between attempts."""
        self._closing.set()

    def send(self, shipment: Shipment, deadline: Deadline, retry: int | None = None) -> None:
        """Hand a message to the socket; its outcome goes to the courier when the broker tells.

        Raises:
            MessageDeliveryFailure: it could not be handed over before the deadline.
        """
        self._attempt(shipment, deadline, retry, wait=False)

    def deliver(self, shipment: Shipment, deadline: Deadline, retry: int | None = None) -> Outcome:
        """Hand a message to the broker and wait for its word: CONFIRMED or RETURNED.

        Raises:
            MessageDeliveryFailure: the broker did not take it before the deadline.
        """
        self._attempt(shipment, deadline, retry, wait=True)
        return shipment.outcome or Outcome.LOST

    def _attempt(self, shipment: Shipment, deadline: Deadline, retry: int | None, *, wait: bool) -> None:
        backoff, failures = None, 0
        while True:
            try:
                self._once(shipment, deadline, wait=wait)
                if not wait or shipment.outcome in {Outcome.CONFIRMED, Outcome.RETURNED}:
                    return
                failure: Exception = MessageDeliveryFailure("the broker refused it or the connection broke")
            except (AcquireTimeout, ConnectionClosed) as error:
                raise self._failure(shipment, error) from error
            except (ConnectFailed, *BROKEN) as error:
                if _lasts(error):
                    raise self._failure(shipment, error) from error
                failure = error
            # Not counted: the exchange went after this connection had declared it (the last server
            # of a topic takes the fanout exchange along); the next connection declares it again.
            failures += reason_of(failure) is not Reason.NOT_FOUND
            if retry is not None and 0 <= retry < failures:
                raise self._failure(shipment, failure) from failure
            backoff = backoff or reconnect_backoff(self._options)
            self._pause(shipment, deadline, backoff.next_s(), failure)

    def _pause(self, shipment: Shipment, deadline: Deadline, delay_s: float, failure: Exception) -> None:
        if deadline.is_expired():
            raise self._failure(shipment, failure) from failure
        self._telemetry.publish_retried(
            shipment.invocation, shipment.outgoing.routing_key, reason_of(failure).value, delay_s,
        )
        began_ns = monotonic_ns()
        # Another attempt without time would end as a time-out and hide why there was no earlier one.
        is_closing = self._lookout.pause(min(delay_s, deadline.left_s()), self._closing)
        if isinstance(failure, ConnectFailed):
            shipment.connects(monotonic_ns() - began_ns)
        if is_closing or deadline.is_expired():
            raise self._failure(shipment, failure) from failure

    def _failure(self, shipment: Shipment, cause: Exception) -> MessageDeliveryFailure:
        outgoing = shipment.outgoing
        return MessageDeliveryFailure(
            f"message {outgoing.message_id} for exchange '{outgoing.exchange.name}', routing key "
            f"'{outgoing.routing_key}' was not taken by the broker: {cause}",
        )

    def _once(self, shipment: Shipment, deadline: Deadline, *, wait: bool) -> None:
        shipment.asks()
        try:
            link = self._borrow(shipment, deadline)
        except ConnectFailed:
            shipment.reached(Stage.CONNECT)
            raise
        try:
            shipment.holds(link.info)
            problem = self._hand_over(link, shipment, deadline, wait=wait)
        except BaseException as error:
            self._give_up(link, error)
            raise
        self._give_back(link)
        if problem is not None:
            raise self._failure(shipment, problem)

    def _hand_over(
        self, link: Link, shipment: Shipment, deadline: Deadline, *, wait: bool,
    ) -> Exception | None:
        """Publish; return what kept the broker from taking it in time, if the link is good still."""
        if link.is_blocked and not self._wait_until_unblocked(link, deadline):
            return TimeoutError("the broker takes no messages now: an alarm for memory or disk")
        link.publish(shipment, min(deadline.left_s(), self._write_s))
        shipment.handed_over()
        if wait and not self._wait(link, shipment, deadline):
            return TimeoutError("no confirm in time; it may yet be delivered")
        return None

    def _give_up(self, link: Link, error: BaseException) -> None:
        if isinstance(error, BROKEN):
            link.failure = reason_of(error)
            self._telemetry.connection_lost(link.info, link.failure.value)
        self._pool.discard(link, "error")

    def _wait_until_unblocked(self, link: Link, deadline: Deadline) -> bool:
        """What is written while the broker takes nothing is delivered late, or never: wait."""
        while link.is_blocked:
            if deadline.is_expired() or self._closing.is_set():
                return False
            link.read(min(deadline.left_s(), LOOK_S))
        return True

    def _borrow(self, shipment: Shipment, deadline: Deadline) -> Link:
        """Borrow a connection that the broker has not closed meanwhile."""
        while True:
            link = self._pool.acquire(deadline, shipment)
            try:
                if not self._is_tired(link) or not link.is_stale():
                    return link
            except BaseException:
                self._pool.discard(link, "error")
                raise
            self._telemetry.connection_lost(link.info, "stale")
            self._pool.discard(link, "stale")

    def _is_tired(self, link: Link) -> bool:
        return len(link.unsettled) >= UNREAD_MOST or self._pool.idle_s(link) > REST_S

    def _give_back(self, link: Link) -> None:
        has_unsettled = bool(link.unsettled)
        self._pool.release(link)
        if has_unsettled:
            self._keeper.watch()

    def _wait(self, link: Link, shipment: Shipment, deadline: Deadline) -> bool:
        """Read until the broker has said something about the message; False at the deadline.

        The link stays good then: a late confirm has its own tag. One that the broker has left
        without an answer for two heartbeats is taken to be dead.
        """
        limit = Deadline.after(self._confirm_s)
        while shipment.outcome is None:
            if deadline.is_expired():
                return False
            if limit.is_expired() and not link.is_blocked:
                raise TimeoutError("the broker has not confirmed a message for two heartbeats")
            link.read(min(limit.left_s() or LOOK_S, deadline.left_s()))
        return True


def _lasts(error: Exception) -> bool:
    """Tell whether trying again would only fail again."""
    if isinstance(error, ConnectFailed):
        return error.reason in FATAL
    return reason_of(error) is Reason.DENIED
