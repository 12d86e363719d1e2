"""Calls and casts with one target and one set of settings."""

from __future__ import annotations

from functools import partial
from os import urandom
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from tracedrpc._deadline import Deadline
from tracedrpc.exceptions import (
    ClientSendError,
    InvalidTarget,
    RPCVersionCapError,
    TransportDriverError,
)
from tracedrpc.message import Invocation, Mode, Request
from tracedrpc.rpc import version as versions
from tracedrpc.serializer import NoOpSerializer, changes_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc.rpc.transport import Transport, TransportOptions
    from tracedrpc.serializer import Serializer
    from tracedrpc.target import Target

UNSET: Final[Any] = object()
"""Stands for "not given", so that None can be given."""


class CallContext:
    """A target and how to call it. `prepare` makes another one and leaves this one as it is.

    Attributes:
        transport, target, serializer: what it sends with and to.
        timeout: seconds a call may take and a cast may wait for the broker; None means the
            setting `rpc_response_timeout`.
        version_cap: the newest version that may be sent.
        retry: attempts after a failed publish; None or -1 for as many as the time allows.
        call_monitor_timeout: seconds without a sign of life after which a call is given up; None
            or 0 for no such limit.
        transport_options: how messages are carried.
        trace: record these calls whatever the sampler says.
    """

    def __init__(
        self,
        transport: Transport,
        target: Target,
        serializer: Serializer | None = None,
        timeout: float | None = None,
        version_cap: str | None = None,
        retry: int | None = None,
        call_monitor_timeout: float | None = None,
        transport_options: TransportOptions | None = None,
        trace: bool = False,
    ) -> None:
        self.transport = transport
        self.target = target
        self.serializer = serializer or NoOpSerializer()
        self.timeout = timeout
        self.version_cap = version_cap
        self.retry = retry
        self.call_monitor_timeout = call_monitor_timeout
        self.transport_options = transport_options
        self.trace = trace

    @property
    def conf(self) -> Any:
        """The transport's configuration."""
        return self.transport.conf

    def prepare(
        self,
        exchange: str | None = UNSET,
        topic: str | None = UNSET,
        namespace: str | None = UNSET,
        version: str | None = UNSET,
        server: str | None = UNSET,
        fanout: bool | None = UNSET,
        timeout: float | None = UNSET,
        version_cap: str | None = UNSET,
        retry: int | None = UNSET,
        call_monitor_timeout: float | None = UNSET,
        transport_options: TransportOptions | None = UNSET,
        *,
        trace: bool = UNSET,
    ) -> CallContext:
        """Return a call context that differs from this one in what is given; None is a value too.

        With `trace` its calls are recorded whatever the sampler says: for the one call that
        somebody wants to look at.

        Raises:
            MessagingException: the version is not "major.minor".
        """
        if version is not UNSET:
            versions.check(version)
        overrides = _given({
            "exchange": exchange, "topic": topic, "namespace": namespace,
            "version": version, "server": server, "fanout": fanout,
        })
        return CallContext(
            self.transport,
            self.target(**overrides) if overrides else self.target,
            self.serializer,
            self.timeout if timeout is UNSET else timeout,
            self.version_cap if version_cap is UNSET else version_cap,
            self.retry if retry is UNSET else retry,
            self.call_monitor_timeout if call_monitor_timeout is UNSET else call_monitor_timeout,
            self.transport_options if transport_options is UNSET else transport_options,
            self.trace if trace is UNSET else trace,
        )

    def can_send_version(self, version: str | None = UNSET) -> bool:
        """Tell whether the version cap allows a version, by default the target's."""
        asked = self.target.version if version is UNSET else version
        return versions.is_compatible(self.version_cap, asked)

    def call(self, ctxt: Any, method: str, **kwargs: Any) -> Any:
        """Call a remote method and return its result.

        Args:
            ctxt: the request context, a dict or an object with `to_dict()`; it is not changed.
            method: the remote method.
            **kwargs: its arguments.

        Raises:
            MessagingTimeout: no reply in time; it says where the call was last seen.
            MessageDeliveryFailure: the broker did not take the message.
            MessageUndeliverable: no queue takes it, with `at_least_once`.
            InvalidTarget: there is no topic, or the target is a fanout.
            RPCVersionCapError: the version cap does not allow the target's version.
            RemoteError: the method raised an exception that is not rebuilt here.
            Exception: what the method raised.
        """
        target = self.target
        if target.fanout:
            raise InvalidTarget("A call cannot be used with fanout", target)
        is_plain = changes_nothing(self.serializer)
        began_ns = 0 if is_plain else monotonic_ns()
        ids = urandom(32).hex()
        request = self._request(ctxt, method, kwargs, Mode.CALL, ids[:32], ids[32:])
        finish = None if is_plain else partial(self.serializer.deserialize_entity, ctxt)
        return self._carry(request, self.transport.driver.call, began_ns, finish)

    def cast(self, ctxt: Any, method: str, **kwargs: Any) -> None:
        """Send a request that has no reply; return when the broker has taken it.

        Raises:
            MessageDeliveryFailure: the broker did not take the message.
            MessageUndeliverable: no queue takes it, with `at_least_once`.
            InvalidTarget: there is no topic.
            RPCVersionCapError: the version cap does not allow the target's version.
        """
        began_ns = 0 if changes_nothing(self.serializer) else monotonic_ns()
        mode = Mode.FANOUT if self.target.fanout else Mode.CAST
        request = self._request(ctxt, method, kwargs, mode, urandom(16).hex(), None)
        self._carry(request, self.transport.driver.cast, began_ns)

    def _request(
        self, ctxt: Any, method: str, args: dict[str, Any], mode: Mode, unique_id: str, msg_id: str | None,
    ) -> Request:
        target, options = self.target, self.transport_options
        if not target.topic:
            raise InvalidTarget("A topic is required to send", target)
        if self.version_cap is not None and not self.can_send_version():
            raise RPCVersionCapError(target.version, self.version_cap)
        serializer = self.serializer
        if not changes_nothing(serializer):
            args = {name: serializer.serialize_entity(ctxt, value) for name, value in args.items()}
            ctxt = serializer.serialize_context(ctxt)
        if not isinstance(ctxt, dict) and not hasattr(ctxt, "items"):
            ctxt = ctxt.to_dict()
        timeout_s = self.timeout
        return Request(
            target, method, args, ctxt, mode, unique_id, msg_id,
            self.transport.options.rpc_response_timeout if timeout_s is None else timeout_s,
            (self.call_monitor_timeout or None) if mode is Mode.CALL else None,
            self.retry,
            options is not None and options.at_least_once,
            self.trace,
        )

    def _carry(
        self, request: Request, send: Callable[[Invocation], Any], began_ns: int,
        finish: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Let the driver carry a request, and tell telemetry how that went, whatever happens.

        Args:
            request: what to send.
            send: the driver's way.
            began_ns: when its serialization began; 0 without.
            finish: deserializes the result; None for nothing to do.
        """
        transport = self.transport
        telemetry = transport.telemetry
        invocation = Invocation(
            request, Deadline.after(request.timeout_s), system=transport.driver.system,
            slow_s=transport.options.slow_call_threshold,
        )
        if began_ns:
            invocation.began(began_ns)
        with telemetry.call(invocation) as scope:
            invocation.scope = scope
            try:
                result = invocation.result = send(invocation)
                if finish is not None:
                    result = finish(result)
            except BaseException as error:
                cause = error
                if isinstance(error, TransportDriverError):
                    cause = ClientSendError(request.target, error)
                invocation.ended_ns = invocation.ended_ns or monotonic_ns()
                telemetry.call_finished(invocation, cause)
                if cause is error:
                    raise
                raise cause from error
            invocation.ended_ns = monotonic_ns()
            telemetry.call_finished(invocation, None)
            return result


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not UNSET}
