"""Finds the endpoint's method for a request and calls it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tracedrpc.driver import Incoming
from tracedrpc.exceptions import NoSuchMethod, UnsupportedVersion
from tracedrpc.message import Received
from tracedrpc.rpc.endpoint import get_method, may_have_method
from tracedrpc.rpc.monitor import watch_alone
from tracedrpc.rpc.policy import DefaultRPCAccessPolicy, RPCAccessPolicyBase
from tracedrpc.rpc.version import is_compatible
from tracedrpc.serializer import NoOpSerializer, changes_nothing
from tracedrpc.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tracedrpc.serializer import Serializer

    Method = Callable[..., Any]
    Run = Callable[[Method, Any, Mapping[str, Any]], Any]

_ANY_TARGET: Final = Target()
_CACHE_LIMIT: Final = 1024
"""Most resolutions remembered. Peers choose the names, so there must be a bound."""


class PingEndpoint:
    """Answers `oslo_rpc_server_ping`, for health checks from outside."""

    def oslo_rpc_server_ping(self, ctxt: Any, **kwargs: Any) -> str:  # noqa: ARG002 - as called
        """Say that the server is alive."""
        return "pong"


class DispatcherBase(ABC):
    """Answers the requests of a server; for dispatchers of an application's own."""

    @abstractmethod
    def dispatch(self, incoming: Any) -> Any:
        """Return the answer to a request, serialized, or raise what the caller shall get."""


class RPCDispatcher(DispatcherBase):
    """Calls the method that a request names, on the first endpoint that has it.

    An endpoint answers when the request's namespace is one of its target's, its version is
    compatible with the target's, its class has the method and the access policy allows it.

    Args:
        endpoints: objects whose methods are called; each may have a `target`.
        serializer: between the wire's values and the application's; None changes nothing.
        access_policy: a class or an instance; None means `DefaultRPCAccessPolicy`.
        ping_enabled: answer `oslo_rpc_server_ping`, unless an endpoint does. None means what the
            global object of oslo.config says, if the process has one, as in oslo.messaging.

    Raises:
        TypeError: an endpoint's `target` is no `Target`, or the access policy is none.
    """

    def __init__(
        self,
        endpoints: Iterable[Any],
        serializer: Serializer | None,
        access_policy: type[RPCAccessPolicyBase] | RPCAccessPolicyBase | None = None,
        ping_enabled: bool | None = None,
    ) -> None:
        is_pingable = _is_ping_set_globally() if ping_enabled is None else ping_enabled
        self.endpoints = [*endpoints, PingEndpoint()] if is_pingable else list(endpoints)
        self.serializer = serializer or NoOpSerializer()
        self.access_policy = _policy(access_policy)
        self._targets = [(endpoint, _target_of(endpoint)) for endpoint in self.endpoints]
        self._resolved: dict[tuple[str | None, str, str], Any] = {}

    def dispatch(self, incoming: Any) -> Any:
        """Call the method and return its result, serialized; raises as `answer` does.

        Args:
            incoming: a driver's `Incoming`, or anything else with the context `ctxt`, the dict
                `message`, which holds "method" and perhaps "args", "namespace" and "version",
                `client_timeout` in seconds or None, and `heartbeat()`.
        """
        if isinstance(incoming, Incoming):
            run = incoming.run
            return self.answer(incoming.received, None if run is None else partial(run, incoming))
        message = incoming.message
        received = Received(
            message["method"], message.get("args") or {}, incoming.ctxt,
            message.get("namespace"), message.get("version") or "1.0",
        )
        with watch_alone(incoming):
            return self.answer(received)

    def answer(self, received: Received, run: Run | None = None) -> Any:
        """Call the method that a request names and return its result, serialized.

        Args:
            received: the request.
            run: calls the method it is given with context and keyword arguments, and returns
                its result; for those who want to do something around it.

        Raises:
            NoSuchMethod: no compatible endpoint has the method, or peers may not call it.
            UnsupportedVersion: no endpoint has the namespace in a compatible version.
            Exception: whatever the method raises.
        """
        method = self.resolve(received)
        serializer = self.serializer
        if changes_nothing(serializer):
            context, args = received.context, received.args
        else:
            context = serializer.deserialize_context(received.context)
            args = {
                name: serializer.deserialize_entity(context, value)
                for name, value in received.args.items()
            }
        result = method(context, **args) if run is None else run(method, context, args)
        return serializer.serialize_entity(context, result)

    def resolve(self, received: Received) -> Method:
        """Return the bound method for a request; raises as `answer` does."""
        name = received.method
        key = (received.namespace, received.version, name)
        endpoint = self._resolved.get(key)
        if endpoint is not None and (method := self._method(endpoint, name)) is not None:
            return method
        compatible = self._compatible(received)
        for endpoint in compatible:
            method = self._method(endpoint, name) if may_have_method(endpoint, name) else None
            if method is not None:
                self._remember(key, endpoint)
                return method
        if compatible:
            raise NoSuchMethod(name)
        raise UnsupportedVersion(received.version, method=name)

    def _method(self, endpoint: Any, name: str) -> Method | None:
        """Ask the policy, each time, and only then evaluate the endpoint's attribute."""
        return get_method(endpoint, name) if self.access_policy.is_allowed(endpoint, name) else None

    def _compatible(self, received: Received) -> list[Any]:
        return [
            endpoint
            for endpoint, target in self._targets
            if received.namespace in target.accepted_namespaces
            and is_compatible(target.version or "1.0", received.version)
        ]

    def _remember(self, key: tuple[str | None, str, str], endpoint: Any) -> None:
        if len(self._resolved) >= _CACHE_LIMIT:
            self._resolved.clear()
        self._resolved[key] = endpoint


def _is_ping_set_globally() -> bool:
    config = sys.modules.get("oslo_config.cfg")
    return config is not None and bool(getattr(config.CONF, "rpc_ping_enabled", False))


def _policy(given: type[RPCAccessPolicyBase] | RPCAccessPolicyBase | None) -> RPCAccessPolicyBase:
    policy = given() if isinstance(given, type) else given
    if policy is None:
        return DefaultRPCAccessPolicy()
    if not isinstance(policy, RPCAccessPolicyBase):
        raise TypeError(f"access_policy must be a subclass of RPCAccessPolicyBase, not {given!r}")
    return policy


def _target_of(endpoint: Any) -> Target:
    target = getattr(endpoint, "target", None)
    if target is None:
        return _ANY_TARGET
    if not isinstance(target, Target):
        raise TypeError(
            f"an endpoint's attribute 'target' says its namespace and version and must be a "
            f"tracedrpc.Target, not {type(target).__name__}: {type(endpoint).__qualname__}",
        )
    return target
