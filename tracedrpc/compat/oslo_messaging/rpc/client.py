"""`oslo_messaging.rpc.client`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from tracedrpc.exceptions import ClientSendError, RemoteError, RPCVersionCapError
from tracedrpc.rpc.client import RPCClient as _RPCClient

if TYPE_CHECKING:
    from tracedrpc.rpc.transport import Transport
    from tracedrpc.target import Target

__all__ = ["ClientSendError", "RPCClient", "RPCVersionCapError", "RemoteError", "get_rpc_client"]

LOG: Final = logging.getLogger("oslo_messaging.rpc.client")


class RPCClient(_RPCClient):
    """tracedrpc's client; what it doubts goes to this module's log, where operators look for it."""

    @staticmethod
    def _doubt(transport: Any) -> None:  # noqa: ARG004 - the text is the original's
        LOG.warning(
            "Using notification transport for RPC. Please use get_rpc_transport to obtain an RPC "
            "transport instance.",
        )


def get_rpc_client(
    transport: Transport, target: Target, client_cls: type[Any] = RPCClient, **kwargs: Any,
) -> Any:
    """Return a client; see `tracedrpc.get_rpc_client`."""
    return client_cls(transport, target, **kwargs)
