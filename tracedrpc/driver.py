"""The contract between the RPC layer and a driver: three small abstract classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracedrpc._scheduler import Scheduler
    from tracedrpc.message import Invocation, Received, ServerTimeline
    from tracedrpc.target import Target
    from tracedrpc.telemetry import Scope


class Workers(Protocol):
    """Where a listener runs requests; the RPC server owns it and chooses its size.

    A listener first reserves a worker, then tells the broker that the request has started (the
    acknowledgement), then hands it over. So nothing is acknowledged that waits for a worker.
    """

    size: int
    """How many requests run at once at the most."""

    def reserve(self) -> bool:
        """Reserve one worker; False when all are busy (then `when_free` is called once)."""
        ...

    def submit(self, job: Callable[[], None]) -> None:
        """Run the job on the worker reserved before; the job must not raise."""
        ...

    def when_free(self, wake: Callable[[], None]) -> None:
        """Say what to call, from any thread, when a worker is free after a refused `reserve`."""
        ...


class Incoming(ABC):
    """One request that a server works on. Its worker calls the methods, `heartbeat` any thread."""

    received: Received
    timeline: ServerTimeline
    topic: str
    """The topic of the server's target."""
    scope: Scope | None = None
    """The telemetry scope of this request, for moments that other threads report."""
    redelivered: bool = False
    queue: str = ""
    """The queue it came from."""
    exchange: str = ""
    routing_key: str = ""
    body_bytes: int = 0
    system: str = "rabbitmq"
    """What carried it: `Driver.system`."""
    function: Callable[..., Any] | None = None
    """The endpoint's method, once it is found."""
    result: Any = None
    """What the method returned, serialized; for telemetry that was asked to tell it."""
    slow_ns: int = 0
    """From this duration on, delivery to reply, a request counts as slow; 0 for never."""

    def is_slow(self) -> bool:
        """Tell whether it took, by its reply or until now, as long as what counts as slow."""
        return 0 < self.slow_ns <= self.timeline.elapsed_ns()
    run: Callable[[Incoming, Callable[..., Any], Any, Mapping[str, Any]], Any] | None = None
    """Calls the method for it, given request, method, context and arguments; set by the server."""

    @property
    def ctxt(self) -> Any:
        """The request context, for dispatchers written for oslo.messaging."""
        return self.received.context

    @property
    def message(self) -> dict[str, Any]:
        """The request as a dict, for dispatchers written for oslo.messaging."""
        received = self.received
        return {
            "method": received.method, "args": received.args,
            "namespace": received.namespace, "version": received.version,
        }

    @property
    def client_timeout(self) -> float | None:
        """How often the caller wants to hear from us at least, in seconds, or None."""
        return self.received.monitor_timeout_s

    @abstractmethod
    def reply(self, result: Any) -> None:
        """Send the result; a no-op for casts. Returns when it is handed to the broker.

        Raises:
            EncodeError: the result is not JSON-able; nothing was sent, `fail` may follow.
        """

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Send the exception; a no-op for casts."""

    @abstractmethod
    def heartbeat(self) -> None:
        """Tell the caller that the request is being worked on."""


class Listener(ABC):
    """Receives what is sent to one target. One thread of its own owns the connection."""

    @abstractmethod
    def start(self, handle: Callable[[Incoming], None], workers: Workers) -> None:
        """Begin to receive; `handle` runs on a worker, and must not raise.

        Returns when the queues are declared and consumed from.

        Raises:
            MessagingException: it could not, within the connection time-out.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop receiving; what has not started goes back to the broker. Running requests go on."""

    @abstractmethod
    def close(self) -> None:
        """Give up queues and connection; call it when the last reply has been handed over."""


class Driver(ABC):
    """Carries requests and replies. Thread-safe. Made once per transport."""

    system: str = "rabbitmq"
    """What carries messages, as OpenTelemetry's conventions for messaging name it."""

    scheduler: Scheduler
    """Runs short jobs at a time to come, for heartbeats and retries."""

    @abstractmethod
    def call(self, invocation: Invocation) -> Any:
        """Send a request and wait for its reply, at the longest until the invocation's deadline.

        Returns:
            the result, JSON values, not yet deserialized.

        Raises:
            MessagingTimeout: no reply in time.
            MessageDeliveryFailure: the broker did not take it and no retry was left.
            MessageUndeliverable: no queue, and `at_least_once` was asked for.
            EncodeError: arguments or context are not JSON-able; nothing was sent.
            Exception: what the remote method raised.
        """

    @abstractmethod
    def cast(self, invocation: Invocation) -> None:
        """Send a request that has no reply; returns when the broker has taken it.

        Raises:
            MessageDeliveryFailure: the broker did not take it before the deadline.
            MessageUndeliverable: no queue, and `at_least_once` was asked for.
            EncodeError: arguments or context are not JSON-able; nothing was sent.
        """

    @abstractmethod
    def listen(self, target: Target) -> Listener:
        """Return a listener for topic, topic.server and fanout of the target, not yet started."""

    @abstractmethod
    def cleanup(self) -> None:
        """Close everything, at the longest a few seconds; calls under way fail. Idempotent."""
