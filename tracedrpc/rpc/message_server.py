"""What every server does: start, receive, stop, wait for what is under way, close."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from tracedrpc._deadline import Deadline
from tracedrpc.exceptions import MessagingException, ServerListenError, TaskTimeout
from tracedrpc.rpc.lifecycle import ENDED, Lifecycle, State
from tracedrpc.rpc.workers import check_executor, make_workers

if TYPE_CHECKING:
    from tracedrpc.driver import Incoming, Listener
    from tracedrpc.rpc.dispatcher import DispatcherBase
    from tracedrpc.rpc.transport import Transport
    from tracedrpc.rpc.workers import InlineWorkers, ThreadWorkers
    from tracedrpc.target import Target


class MessageHandlingServer(ABC):
    """Starts and stops: a listener brings requests, workers run them.

    `start`, `stop` and `wait` may be called from any thread and in any order. After `stop` and
    `wait` the server can be started again. A `with` block starts it, and stops it and waits.
    Where oslo.service is loaded, it is one of its services, for launchers.

    Args:
        transport: what to receive with.
        dispatcher: what answers a request.
        executor: "threading" (None means it); "eventlet", which is the same, with green threads in
            a process that eventlet has patched; or "blocking": each request in the thread that
            received it, one at a time.

    Raises:
        ExecutorLoadFailure: there is no such executor.
    """

    target: Target

    def __init__(self, transport: Transport, dispatcher: DispatcherBase, executor: str | None = None) -> None:
        check_executor(executor)
        _be_a_service()
        self.conf = transport.conf
        self.transport = transport
        self.dispatcher = dispatcher
        self.executor_type = executor or "threading"
        self.listener: Listener | None = None
        self._workers: ThreadWorkers | InlineWorkers | None = None
        self._life = Lifecycle()

    @property
    def state(self) -> State:
        """Where the server stands at this instant."""
        return self._life.state

    def start(
        self,
        override_pool_size: int | None = None,
        *,
        timeout: float | None = None,
        log_after: float | None = None,  # noqa: ARG002 - oslo.messaging's; a TaskTimeout says more
    ) -> None:
        """Begin to receive; return when requests can arrive. No-op while the server runs.

        Args:
            override_pool_size: workers, in place of the setting `executor_thread_pool_size`.
            timeout: most seconds to wait while another thread starts or stops the server.
            log_after: accepted and ignored.

        Raises:
            ServerListenError: the driver could not listen.
            InvalidTarget: the target lacks topic or server.
            TaskTimeout: another thread took too long.
        """
        steps = dict.fromkeys((State.NEW, State.STOPPED, State.CLOSED), State.SERVING)
        deadline = Deadline.after(timeout)
        with self._life.step(steps, State.STARTING, deadline, failed=State.CLOSED) as is_due:
            if is_due:
                self._release(deadline)
                self._open(override_pool_size or self.transport.options.executor_thread_pool_size)

    def stop(
        self,
        *,
        timeout: float | None = None,
        log_after: float | None = None,  # noqa: ARG002 - oslo.messaging's; a TaskTimeout says more
    ) -> None:
        """Receive nothing more; requests under way go on. No-op before `start`.

        Raises:
            TaskTimeout: another thread took too long.
        """
        steps = {State.NEW: State.CLOSED, State.SERVING: State.STOPPED}
        with self._life.step(steps, State.STOPPING, Deadline.after(timeout)) as is_due:
            if is_due and self.listener is not None:
                self.listener.stop()

    def wait(
        self,
        *,
        timeout: float | None = None,
        log_after: float | None = None,  # noqa: ARG002 - oslo.messaging's; a TaskTimeout says more
    ) -> None:
        """Wait until somebody stops the server and all its requests are answered; then close.

        Raises:
            TaskTimeout: it was not stopped, or requests were still running; wait again.
        """
        deadline = Deadline.after(timeout)
        steps = {State.STOPPED: State.CLOSED}
        with self._life.step(steps, State.CLOSING, deadline, await_states=ENDED) as is_due:
            if is_due:
                self._release(deadline)

    def reset(self) -> None:  # noqa: B027 - has nothing to do, as in oslo.messaging
        """Do nothing; service managers call it on SIGHUP."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self.wait()

    @abstractmethod
    def _create_listener(self) -> Listener:
        """Return a listener that has not been started."""

    @abstractmethod
    def _handle(self, incoming: Incoming) -> None:
        """Answer one request; worker thread; must not raise."""

    def _open(self, size: int) -> None:
        listener = self._create_listener()
        workers = make_workers(self.executor_type, size)
        try:
            listener.start(self._handle, workers)
        except BaseException as error:
            listener.close()
            if isinstance(error, MessagingException):
                raise ServerListenError(self.target, error) from error
            raise
        self.listener, self._workers = listener, workers
        self.transport.telemetry.server_started(self.target, workers.size)

    def _release(self, deadline: Deadline) -> None:
        """Let running requests finish, then give up queues and connection."""
        if self._workers is not None:
            if not self._workers.stop(deadline.limit_s()):
                raise TaskTimeout("gave up waiting: requests are still running")
            self._workers = None
        if self.listener is not None:
            self.listener.close()
            self.listener = None
            self.transport.telemetry.server_stopped(self.target)


def _be_a_service() -> None:
    """Be a `ServiceBase` where oslo.service is in use: its launchers take nothing else."""
    module = sys.modules.get("oslo_service.service")
    base = getattr(module, "ServiceBase", None)
    if base is not None:
        base.register(MessageHandlingServer)
