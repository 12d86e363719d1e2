"""Clients: what an application calls remote methods with."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from tracedrpc.rpc import version as versions
from tracedrpc.rpc.call_context import UNSET, CallContext
from tracedrpc.rpc.transport import RPCTransport

if TYPE_CHECKING:
    from tracedrpc.rpc.transport import Transport, TransportOptions
    from tracedrpc.serializer import Serializer
    from tracedrpc.target import Target


class RPCClient(CallContext):
    """Calls the methods of remote servers. Make it with `get_rpc_client`.

    An application's own client class may override `prepare`; then `call` and `cast` go through
    it, as in oslo.messaging.
    """

    def __init__(
        self,
        transport: Transport,
        target: Target,
        timeout: float | None = None,
        version_cap: str | None = None,
        serializer: Serializer | None = None,
        retry: int | None = None,
        call_monitor_timeout: float | None = None,
        transport_options: TransportOptions | None = None,
        _manual_load: bool = True,
    ) -> None:
        super().__init__(
            transport, target, serializer, timeout, version_cap, retry,
            call_monitor_timeout, transport_options,
        )
        self._prepares = type(self).prepare is not RPCClient.prepare
        if not isinstance(transport, RPCTransport):
            self._doubt(transport)

    @staticmethod
    def _doubt(transport: Any) -> None:
        """Say that the transport was not made for RPC."""
        warnings.warn(
            f"RPC over {type(transport).__name__}: use get_rpc_transport to make the transport",
            RuntimeWarning,
            stacklevel=3,
        )

    def call(self, ctxt: Any, method: str, **kwargs: Any) -> Any:
        """Call a remote method and return its result; see `CallContext.call`."""
        if self._prepares:
            return self.prepare().call(ctxt, method, **kwargs)
        return super().call(ctxt, method, **kwargs)

    def cast(self, ctxt: Any, method: str, **kwargs: Any) -> None:
        """Send a request that has no reply; see `CallContext.cast`."""
        if self._prepares:
            self.prepare().cast(ctxt, method, **kwargs)
        else:
            super().cast(ctxt, method, **kwargs)

    def can_send_version(self, version: str | None = UNSET) -> bool:
        """Tell whether the version cap allows a version, by default the target's."""
        if version is not UNSET:
            versions.check(version)
        return super().can_send_version(version)


def get_rpc_client(
    transport: Transport, target: Target, client_cls: type[Any] = RPCClient, **kwargs: Any,
) -> Any:
    """Return a client.

    Args:
        transport: what to send with.
        target: where to, as long as `prepare` does not say otherwise.
        client_cls: what to return an instance of.
        **kwargs: for its constructor, see `RPCClient`.
    """
    return client_cls(transport, target, **kwargs)
