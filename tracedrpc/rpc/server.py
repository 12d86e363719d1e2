"""RPC servers: they let the dispatcher answer each request and send what it says."""

from __future__ import annotations

import threading
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from tracedrpc import semconv as names
from tracedrpc._correlation import bind
from tracedrpc.exceptions import EncodeError, ExpectedException, InvalidTarget
from tracedrpc.rpc.dispatcher import RPCDispatcher
from tracedrpc.rpc.message_server import MessageHandlingServer
from tracedrpc.rpc.monitor import CallMonitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tracedrpc.driver import Incoming, Listener
    from tracedrpc.rpc.dispatcher import DispatcherBase
    from tracedrpc.rpc.policy import RPCAccessPolicyBase
    from tracedrpc.rpc.transport import Transport
    from tracedrpc.serializer import Serializer
    from tracedrpc.target import Target
    from tracedrpc.telemetry import Scope


class RPCServer(MessageHandlingServer):
    """Answers the requests that are sent to its target. Make it with `get_rpc_server`."""

    def __init__(
        self,
        transport: Transport,
        target: Target,
        dispatcher: DispatcherBase,
        executor: str | None = None,
    ) -> None:
        super().__init__(transport, dispatcher, executor)
        self.target = target
        self._telemetry = transport.telemetry
        self._monitor = CallMonitor(transport.driver, transport.telemetry)

    def _create_listener(self) -> Listener:
        if not (self.target.topic and self.target.server):
            message = "A server's target must have topic and server names specified"
            raise InvalidTarget(message, self.target)
        return self.transport.driver.listen(self.target)

    def _handle(self, incoming: Incoming) -> None:
        telemetry, received = self._telemetry, incoming.received
        bind(names.rpc_method(incoming.topic, received.namespace, received.method), received.msg_id)
        try:
            with telemetry.process(incoming) as scope:
                incoming.scope = scope
                if incoming.redelivered or incoming.received.delivery_count:
                    telemetry.request_redelivered(incoming)
                self._answer(incoming, scope)
                self._check_deadline(incoming)
        except Exception as error:  # noqa: BLE001 - the reply could not be sent; the worker goes on
            telemetry.background_failed("server", error)

    def _answer(self, incoming: Incoming, scope: Scope) -> None:
        """Dispatch a request and send what came of it.

        Whatever a method raises is its answer, SystemExit too: the caller must not wait for a
        worker that has ended. Ctrl-C in a handler that runs in the main thread is passed on after.
        """
        try:
            incoming.run = self._run
            result = self.dispatcher.dispatch(incoming)
        except ExpectedException as wrapped:
            self._fail(incoming, scope, wrapped.exc_info[1] or wrapped, expected=True)
        except BaseException as error:
            self._fail(incoming, scope, error, expected=False)
            if isinstance(error, KeyboardInterrupt) and _is_main_thread():
                raise
        else:
            incoming.result = result
            self._reply(incoming, scope, result)

    def _check_deadline(self, incoming: Incoming) -> None:
        """Tell when a call was answered too late for its caller, whose clock need not agree with ours.

        Its own time here is compared with the caller's whole limit, so it may have been too late
        without this; but it was, with this.
        """
        limit_s = incoming.received.timeout_s
        if limit_s is None or incoming.received.msg_id is None:
            return
        timeline = incoming.timeline
        overrun_ns = timeline.replied_ns - timeline.delivered_ns - int(limit_s * 1e9)
        if overrun_ns > 0:
            self._telemetry.deadline_exceeded(incoming, overrun_ns)

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
        incoming.function = method
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
