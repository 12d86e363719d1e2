"""Servers: they receive requests, let the dispatcher answer them and send what it says."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Self

from tracedrpc._deadline import Deadline
from tracedrpc.exceptions import (
    EncodeError,
    ExpectedException,
    InvalidTarget,
    MessagingException,
    ServerListenError,
    TaskTimeout,
)
from tracedrpc.rpc.dispatcher import RPCDispatcher
from tracedrpc.rpc.lifecycle import ENDED, Lifecycle, State
from tracedrpc.rpc.monitor import CallMonitor
from tracedrpc.rpc.workers import check_executor, make_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tracedrpc.driver import Incoming, Listener
    from tracedrpc.rpc.policy import RPCAccessPolicyBase
    from tracedrpc.rpc.transport import Transport
    from tracedrpc.rpc.workers import InlineWorkers, ThreadWorkers
    from tracedrpc.serializer import Serializer
    from tracedrpc.target import Target
    from tracedrpc.telemetry import Scope


class MessageHandlingServer(ABC):
    """Starts and stops: a listener brings requests, workers run them.

    `start`, `stop` and `wait` may be called from any thread and in any order. After `stop` and
    `wait` the server can be started again. A `with` block starts it, and stops it and waits.

    Args:
        transport: what to receive with.
        dispatcher: what answers a request.
        executor: "threading" (None means it), or "blocking": each request in the thread that
            received it, one at a time.

    Raises:
        ExecutorLoadFailure: there is no such executor.
    """

    target: Target

    def __init__(self, transport: Transport, dispatcher: RPCDispatcher, executor: str | None = None) -> None:
        check_executor(executor)
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

    def reset(self) -> None:
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
            if not self._workers.stop(deadline.left_s()):
                raise TaskTimeout("gave up waiting: requests are still running")
            self._workers = None
        if self.listener is not None:
            self.listener.close()
            self.listener = None
            self.transport.telemetry.server_stopped(self.target)


class RPCServer(MessageHandlingServer):
    """Answers the requests that are sent to its target. Make it with `get_rpc_server`."""

    def __init__(
        self,
        transport: Transport,
        target: Target,
        dispatcher: RPCDispatcher,
        executor: str | None = None,
    ) -> None:
        super().__init__(transport, dispatcher, executor)
        self.target = target
        self._telemetry = transport.telemetry
        self._monitor = CallMonitor(transport.driver.scheduler, transport.telemetry)

    def _create_listener(self) -> Listener:
        if not (self.target.topic and self.target.server):
            message = "A server's target must have topic and server names specified"
            raise InvalidTarget(message, self.target)
        return self.transport.driver.listen(self.target)

    def _handle(self, incoming: Incoming) -> None:
        telemetry = self._telemetry
        try:
            with telemetry.process(incoming) as scope:
                incoming.scope = scope
                self._answer(incoming, scope)
        except Exception as error:  # noqa: BLE001 - the reply could not be sent; the worker goes on
            telemetry.background_failed("server", error)

    def _answer(self, incoming: Incoming, scope: Scope) -> None:
        """Dispatch a request and send what came of it.

        Whatever a method raises is its answer, SystemExit too: the caller must not wait for a
        worker that has ended. Ctrl-C in a handler that runs in the main thread is passed on after.
        """
        try:
            result = self.dispatcher.dispatch(incoming.received, partial(self._run, incoming))
        except ExpectedException as wrapped:
            self._fail(incoming, scope, wrapped.exc_info[1] or wrapped, expected=True)
        except BaseException as error:
            self._fail(incoming, scope, error, expected=False)
            if isinstance(error, KeyboardInterrupt) and _is_main_thread():
                raise
        else:
            self._reply(incoming, scope, result)

    def _reply(self, incoming: Incoming, scope: Scope, result: Any) -> None:
        try:
            incoming.reply(result)
        except EncodeError as error:
            self._fail(incoming, scope, error, expected=False)
        else:
            self._telemetry.request_finished(incoming)

    def _run(
        self, incoming: Incoming, method: Callable[..., Any], context: Any, args: Mapping[str, Any],
    ) -> Any:
        """Call the endpoint's own method, timed, with heartbeats for those who want them."""
        timeline = incoming.timeline
        with self._monitor.watch(incoming):
            timeline.handler_ns = monotonic_ns()
            try:
                return method(context, **args)
            finally:
                timeline.handled_ns = monotonic_ns()

    def _fail(self, incoming: Incoming, scope: Scope, error: BaseException, *, expected: bool) -> None:
        scope.failed(error, expected=expected)
        try:
            incoming.fail(error)
        finally:
            self._telemetry.request_failed(incoming, error, expected=expected)


def get_rpc_server(
    transport: Transport,
    target: Target,
    endpoints: Iterable[Any],
    executor: str | None = None,
    serializer: Serializer | None = None,
    access_policy: type[RPCAccessPolicyBase] | RPCAccessPolicyBase | None = None,
    server_cls: type[Any] = RPCServer,
) -> Any:
    """Return a server, not yet started.

    Args:
        transport: what to receive with.
        target: topic and server name to listen for, and perhaps an exchange.
        endpoints: objects whose methods are called; the first that has the method answers.
        executor: see `MessageHandlingServer`.
        serializer: between the wire's values and the application's.
        access_policy: which methods may be called; None means those without a leading "_".
        server_cls: what to return an instance of.

    Raises:
        TypeError: an endpoint's `target` is no `Target`, or the access policy is none.
        ExecutorLoadFailure: there is no such executor.
    """
    is_pingable = transport.options.rpc_ping_enabled
    dispatcher = RPCDispatcher(endpoints, serializer, access_policy, is_pingable)
    return server_cls(transport, target, dispatcher, executor)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
