"""The callers that wait for replies, and what reaches them."""

from __future__ import annotations

import _thread
import threading
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from tracedrpc.drivers.timeouts import timed_out, undecodable
from tracedrpc.exceptions import DecodeError, MessagingException
from tracedrpc.message import Stage
from tracedrpc.wire.failure import rebuild_failure
from tracedrpc.wire.reply import Reply, decode_reply, find_msg_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracedrpc._deadline import Deadline
    from tracedrpc.message import Invocation
    from tracedrpc.telemetry import Telemetry
    from tracedrpc.wire.body import Properties

    Read = Callable[[Callable[[], bool], Deadline], None]

REMEMBERED: Final = 1000
"""How many ended calls are remembered, to tell a late or second reply from a stray one."""


class Waiter:
    """One caller's place to wait. Made and waited on by the caller, filled by another thread."""

    __slots__ = ("_latch", "error", "invocation", "reply")

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.reply: Reply | None = None
        self.error: BaseException | None = None
        self._latch = _thread.allocate_lock()
        self._latch.acquire()

    def release(self) -> None:
        """Let the caller run; whoever took the waiter out of `Waiters` calls this, once."""
        self._latch.release()

    def is_filled(self) -> bool:
        """Tell whether there is something to return or raise."""
        return self.reply is not None or self.error is not None

    def wait(self, read: Read | None) -> bool:
        """Wait for the reply; False when the deadline or the monitor's limit has passed."""
        invocation = self.invocation
        monitor_s = invocation.request.monitor_timeout_s
        if monitor_s is None:
            return self._wait_until(invocation.deadline, read)
        while True:
            quiet_s = (monotonic_ns() - invocation.heartbeat_ns) / 1e9
            if self._wait_until(invocation.deadline.sooner(max(0.0, monitor_s - quiet_s)), read):
                return True
            if invocation.deadline.is_expired():
                return False
            if (monotonic_ns() - invocation.heartbeat_ns) / 1e9 >= monitor_s:
                invocation.stage = Stage.HEARTBEAT_LOST
                return False


    def _wait_until(self, deadline: Deadline, read: Read | None) -> bool:
        if read is not None:
            read(self.is_filled, deadline)
        return self._latch.acquire(timeout=deadline.left_s())


class Waiters:
    """All waiting calls of one transport, by message id. Thread-safe."""

    def __init__(self, telemetry: Telemetry, allowed_remote_exmods: Sequence[str], max_bytes: int) -> None:
        self._telemetry = telemetry
        self._allowed = tuple(allowed_remote_exmods)
        self._max_bytes = max_bytes
        self._waiting: dict[str, Waiter] = {}
        self._ended: dict[str, str] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        self.on_failed: Callable[[], None] = lambda: None
        """Called when a call was ended without a reply: its thread may be reading."""
        self.inquire: Callable[[Invocation], None] = lambda _: None
        """Called with a call that has timed out, to learn more about it, for a tenth of a second at most."""

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, invocation: Invocation) -> Waiter:
        """Make a place for the reply; call it before the request is sent, `forget` it after."""
        waiter = Waiter(invocation)
        invocation.heartbeat_ns = monotonic_ns()
        with self._lock:
            if self._is_closed:
                raise MessagingException("the transport is closed; make a new one")
            self._waiting[invocation.request.msg_id or ""] = waiter
        return waiter

    def forget(self, waiter: Waiter) -> None:
        """Give the place up; a reply that comes now is late."""
        msg_id = waiter.invocation.request.msg_id or ""
        if self._waiting.pop(msg_id, None) is not None:
            self._remember(msg_id, "late")

    def result(self, waiter: Waiter, read: Read | None = None) -> Any:
        """Wait, and return the result.

        Args:
            waiter: the caller's place.
            read: lets the calling thread read replies until it has its own, or does nothing when
                another thread does it.

        Raises:
            MessagingTimeout: nothing came in time; it says how far the call had come.
            Exception: what the remote method raised, or why the call was given up.
        """
        if not waiter.wait(read):
            raise self.give_up(waiter)
        invocation = waiter.invocation
        invocation.woken_ns = monotonic_ns()
        if waiter.error is not None:
            raise waiter.error
        reply = waiter.reply
        if reply is None:
            raise MessagingException("a reply was announced and is not there")
        invocation.stage = Stage.DONE
        if reply.failure is not None:
            raise rebuild_failure(reply.failure, self._allowed)
        return reply.result

    def give_up(self, waiter: Waiter) -> BaseException:
        """Report and return the time-out of a call that nobody waits for any more."""
        invocation = waiter.invocation
        self.forget(waiter)
        try:
            self.inquire(invocation)
        except Exception as error:  # noqa: BLE001 - what cannot be learnt must not hide the time-out
            self._telemetry.background_failed("inquiry", error)
        invocation.ended_ns = monotonic_ns()
        self._telemetry.call_timed_out(invocation)
        return timed_out(invocation)

    def deliver(self, queue: str, body: bytes, properties: Properties, replied_ns: int) -> None:
        """Take in a reply or heartbeat as it came from the wire; reply thread; never raises."""
        try:
            reply = decode_reply(body, properties, self._max_bytes)
        except DecodeError as error:
            self._telemetry.message_discarded(queue, error.reason, body)
            self._refuse(find_msg_id(body), error, replied_ns)
            return
        if not reply.ending and reply.failure is None and reply.result is None:
            self._heartbeat(reply)
            return
        waiter = self._waiting.pop(reply.msg_id, None)
        if waiter is None:
            self._telemetry.reply_discarded(reply.msg_id, self._ended.get(reply.msg_id, "unknown"))
            return
        self._remember(reply.msg_id, "duplicate")
        waiter.reply = reply
        invocation = waiter.invocation
        invocation.replied_ns = replied_ns
        invocation.server_times = reply.server_times
        invocation.server = reply.server or invocation.server
        waiter.release()

    def _refuse(self, msg_id: str | None, error: DecodeError, replied_ns: int) -> None:
        """End the call whose reply cannot be decoded; it need not wait for its time-out."""
        waiter = self._waiting.pop(msg_id or "", None)
        if waiter is None:
            return
        self._remember(msg_id or "", "duplicate")
        invocation = waiter.invocation
        invocation.replied_ns = replied_ns
        invocation.stage = Stage.REPLY_DECODE
        waiter.error = undecodable(invocation, error)
        waiter.release()

    def _heartbeat(self, reply: Reply) -> None:
        waiter = self._waiting.get(reply.msg_id)
        if waiter is None:
            return
        invocation = waiter.invocation
        invocation.server = reply.server or invocation.server
        now_ns = monotonic_ns()
        invocation.heartbeat_gap_ns = max(invocation.heartbeat_gap_ns, now_ns - invocation.heartbeat_ns)
        invocation.heartbeat_ns = now_ns
        invocation.heartbeats += 1
        invocation.stage = Stage.SERVER
        self._telemetry.heartbeat_received(invocation)

    def fail(self, invocation: Invocation, error: BaseException) -> None:
        """End one waiting call with an error."""
        waiter = self._waiting.pop(invocation.request.msg_id or "", None)
        if waiter is not None:
            waiter.error = error
            waiter.release()
            self.on_failed()

    def close(self) -> None:
        """End every waiting call with an error and accept no more."""
        with self._lock:
            self._is_closed = True
            waiting = list(self._waiting)
        for msg_id in waiting:
            waiter = self._waiting.pop(msg_id, None)
            if waiter is not None:
                waiter.error = MessagingException("the transport was closed while a call was under way")
                waiter.release()
        self.on_failed()

    def _remember(self, msg_id: str, fate: str) -> None:
        ended = self._ended
        with self._lock:
            ended[msg_id] = fate
            if len(ended) > REMEMBERED:
                del ended[next(iter(ended))]
