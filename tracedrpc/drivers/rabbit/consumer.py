"""Keeps one connection consuming from some queues, on a thread of its own."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from tracedrpc import _threads
from tracedrpc._deadline import FOREVER_S, Deadline
from tracedrpc.drivers.rabbit.backoff import reconnect_backoff
from tracedrpc.drivers.rabbit.errors import (
    BROKEN,
    FATAL,
    ConnectFailed,
    DeclareRefused,
    Reason,
    connect_failed,
    reason_of,
)
from tracedrpc.drivers.rabbit.helm import Helm
from tracedrpc.drivers.rabbit.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracedrpc.drivers.rabbit.connector import Connector
    from tracedrpc.drivers.rabbit.link import Delivery, Link
    from tracedrpc.drivers.rabbit.receiver import Receiver
    from tracedrpc.drivers.rabbit.topology import Queue
    from tracedrpc.options import Options
    from tracedrpc.telemetry import Telemetry


STEADY_S: Final = 5.0
"""A connection that lived longer did well: the next one after it is tried at once."""
CHECK_S: Final = 5.0
"""How often queues are bound again: an exchange that was deleted takes its bindings along, and the
broker tells nobody."""


class Consumer:
    """Owns a connection on the thread `tracedrpc-<name>`: declares, consumes, reads, acknowledges.

    While its receiver is idle the thread is parked, and a caller may take the helm (`read_for`).

    After a loss it connects, declares and consumes again, for ever.
    """

    def __init__(
        self, name: str, purpose: str, connector: Connector, queues: Sequence[Queue],
        receiver: Receiver, prefetch: int, options: Options, telemetry: Telemetry,
    ) -> None:
        self._name = name
        self._purpose = purpose
        self._connector = connector
        self._queues = queues
        self._receiver = receiver
        self._prefetch = prefetch
        self._options = options
        self._telemetry = telemetry
        self._backoff = reconnect_backoff(options)
        self._waker = Waker()
        self._consuming = threading.Event()
        self._decided = threading.Event()
        self._stop = threading.Event()
        self._stopped = threading.Event()
        self._closing = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._link: Link | None = None
        self._helm = Helm()
        self._cancelled: list[str] = []
        self._beat = Deadline.after(0)
        self._bound = [queue for queue in queues if queue.exchange is not None]
        self._check = Deadline.after(None)

    # ---- from other threads -------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, once.

        Raises:
            RuntimeError: the system gives no thread.
        """
        try:
            self._thread = _threads.start(self._name, self._run)
        except RuntimeError:
            self._waker.close()
            raise

    def wait_ready(self, deadline: Deadline) -> None:
        """Wait until it has begun to consume; quick when it has.

        Raises:
            ConnectFailed: the broker refuses for good, or none answered before the deadline; in
                the second case the thread goes on trying.
            Exception: a declaration was refused.
        """
        if self._consuming.is_set():
            return
        self._decided.wait(deadline.left_s())
        if not self._consuming.is_set():
            raise self._failure or connect_failed(Reason.TIMEOUT, "any host of the URL")

    def is_consuming(self) -> bool:
        """Tell whether it has begun to consume, and has not ended."""
        return self._consuming.is_set() and not self._closing.is_set()

    def is_connected(self) -> bool:
        """Tell whether its connection lives, as far as is known."""
        return self._link is not None and self._helm.trouble is None

    def has_ended(self) -> bool:
        """Tell whether the thread has given up or was closed."""
        return self._closing.is_set()

    def wake(self) -> None:
        """Let the thread call `Receiver.take` soon; any thread."""
        self._waker.wake()

    def _wake_thread(self) -> None:
        self._waker.wake()
        self._helm.wake()

    def stop(self, timeout_s: float) -> None:
        """Cancel the consumers and give back what was not acknowledged; the connection stays."""
        self._stop.set()
        self._wake_thread()
        if self._may_wait():
            self._stopped.wait(timeout_s)

    def close(self, timeout_s: float = 3.0) -> None:
        """End the thread; queues of our own are deleted when the connection lives."""
        self._closing.set()
        self._stop.set()
        self._wake_thread()
        if self._thread is not None and self._may_wait():
            self._thread.join(timeout_s)

    def _may_wait(self) -> bool:
        """Tell whether the consumer's thread can go on while this one waits for it."""
        return self._thread is not threading.current_thread() and not self._helm.is_mine()

    def forget(self) -> None:
        """Let go in a child process, where the thread is not: the socket is the parent's."""
        link, self._link = self._link, None
        if link is not None:
            link.forget()
        self._waker.forget()

    # ---- on the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        self._helm.hold()
        try:
            while not self._closing.is_set():
                self._round()
        finally:
            self._decided.set()
            self._stopped.set()
            self._receiver.lost()
            self._waker.close()

    def _round(self) -> None:
        """Connect and serve once; what should not happen is reported, and then it goes on."""
        if self._stop.is_set():
            self._stopped.set()
            self._closing.wait()
            return
        try:
            self._connect_and_serve()
        except Exception as error:  # noqa: BLE001 - a server must not go deaf because of it
            self._telemetry.background_failed(self._name, error)
            if not self._decided.is_set():
                self._failure = error
                self._closing.set()
            self._connector.lookout.pause(self._backoff.next_s(), self._stop)

    def _connect_and_serve(self) -> None:
        try:
            link = self._connector.open(self._purpose, Deadline.after(self._options.connect_timeout))
        except ConnectFailed as error:
            self._failed(error)
            self._connector.lookout.pause(self._backoff.next_s(), self._stop)
            return
        self._link = link
        began_s = monotonic()
        try:
            self._begin(link)
            self._serve(link)
            self._end(link)
        except BaseException as error:
            self._lost(link, error)
            if monotonic() - began_s > STEADY_S:
                self._backoff.reset()
            if not isinstance(error, BROKEN):
                raise
            self._connector.lookout.pause(self._backoff.next_s(), self._stop)
        finally:
            self._link = None

    def _lost(self, link: Link, error: BaseException) -> None:
        self._link = None
        self._telemetry.connection_lost(link.info, reason_of(error).value)
        try:
            link.abandon()
        finally:
            self._telemetry.connection_closed(link.info, "error")
            self._receiver.lost()

    def _failed(self, error: ConnectFailed | DeclareRefused) -> None:
        """Keep the error for those who wait for the start; one that lasts ends the start."""
        self._failure = error
        if error.reason in FATAL and not self._decided.is_set():
            self._closing.set()

    def _begin(self, link: Link) -> None:
        link.watch(self._waker)
        if self._prefetch:
            link.limit_unacked(self._prefetch)
        for queue in self._queues:
            self._declare(link, queue)
        self._consuming.set()
        self._decided.set()

    def _declare(self, link: Link, queue: Queue) -> None:
        try:
            link.declare_queue(queue)
            link.consume(queue.name, self._receiver.consuming(queue))
        except BROKEN as error:
            refusal = DeclareRefused(queue.name, reason_of(error), str(error))
            self._failed(refusal)
            raise

    def _serve(self, link: Link) -> None:
        self._cancelled.clear()
        self._beat_later(link)
        self._check_later()
        while not self._stop.is_set():
            if self._cancelled:
                self._consume_again(link)
            if self._check.is_expired():
                self._bind_again(link)
            self._step(link, 0.0 if self._is_idle() else FOREVER_S)
            if self._is_idle():
                self._helm.park(self._is_idle, self._rest_s)

    def _step(self, link: Link, limit_s: float) -> None:
        """Read once and take what has come; on the thread that is at the helm."""
        # Before reading, too: a declaration may have brought the first messages with its answer.
        self._receiver.take(link.take_deliveries(), link)
        link.read(min(limit_s, self._rest_s()))
        self._receiver.take(link.take_deliveries(), link)
        self._cancelled += link.take_cancelled()
        if self._beat.is_expired():
            link.heartbeat(self._options.heartbeat_rate)
            self._beat_later(link)

    def _beat_later(self, link: Link) -> None:
        self._beat = Deadline.after(self._beat_s(link))

    def _beat_s(self, link: Link) -> float:
        return (link.heartbeat_s or 60.0) / (2 * self._options.heartbeat_rate)

    def _rest_s(self) -> float:
        return min(self._beat.left_s(), self._check.left_s(), self._receiver.rest_s())

    def _is_idle(self) -> bool:
        return self._receiver.is_idle() and not self._cancelled and not self._stop.is_set()

    def read_for(self, is_done: Callable[[], bool], deadline: Deadline) -> None:
        """Read in the calling thread, if nobody is at the helm, until it is done.

        A call that waits alone so reads its own reply, which saves waking two threads. It leaves
        at once when there is something that only the consumer's thread may do.
        """
        self._helm.steer(lambda: self._read_until(is_done, deadline), lambda: not self._is_idle())

    def _read_until(self, is_done: Callable[[], bool], deadline: Deadline) -> None:
        link = self._link
        while link is not None and self._helm.trouble is None and not (
            is_done() or self._cancelled or self._stop.is_set() or deadline.is_expired()
        ):
            self._step(link, deadline.left_s())

    def _consume_again(self, link: Link) -> None:
        cancelled, self._cancelled = self._cancelled, []
        for queue in self._queues:
            if queue.name in cancelled:
                self._telemetry.consumer_cancelled(link.info, queue.name)
                link.repair(queue)
                link.consume(queue.name, self._receiver.consuming(queue))

    def _bind_again(self, link: Link) -> None:
        for queue in self._bound:
            link.bind_again(queue)
        self._check_later()

    def _check_later(self) -> None:
        self._check = Deadline.after(CHECK_S if self._bound else None)

    def _end(self, link: Link) -> None:
        """Cancel, take no more, give back, and keep the connection until it may be closed."""
        for queue in self._queues:
            link.cancel(queue.name)
        self._receiver.take([], link)
        self._give_back(link, link.take_deliveries())
        self._stopped.set()
        self._idle_until_closing(link)
        for queue in self._queues:
            if queue.own:
                link.delete_queue(queue.name)
        link.close()
        self._telemetry.connection_closed(link.info, "pool_closed")

    def _give_back(self, link: Link, left: list[Delivery]) -> None:
        tag = self._receiver.unstarted(left)
        if tag:
            link.give_back(tag)

    def _idle_until_closing(self, link: Link) -> None:
        while not self._closing.is_set():
            link.read(self._beat_s(link))
            link.heartbeat(self._options.heartbeat_rate)
