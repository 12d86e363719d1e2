"""The RPC half's names in one place, as `oslo_messaging.rpc` has them."""

from tracedrpc.exceptions import (
    ClientSendError,
    ExpectedException,
    NoSuchMethod,
    RemoteError,
    RPCDispatcherError,
    RPCVersionCapError,
    UnsupportedVersion,
)
from tracedrpc.rpc.client import RPCClient, get_rpc_client
from tracedrpc.rpc.dispatcher import RPCDispatcher
from tracedrpc.rpc.expected import expected_exceptions
from tracedrpc.rpc.policy import (
    DefaultRPCAccessPolicy,
    ExplicitRPCAccessPolicy,
    LegacyRPCAccessPolicy,
    RPCAccessPolicyBase,
    expose,
)
from tracedrpc.rpc.server import RPCServer, get_rpc_server
from tracedrpc.rpc.transport import get_rpc_transport

__all__ = [
    "ClientSendError",
    "DefaultRPCAccessPolicy",
    "ExpectedException",
    "ExplicitRPCAccessPolicy",
    "LegacyRPCAccessPolicy",
    "NoSuchMethod",
    "RPCAccessPolicyBase",
    "RPCClient",
    "RPCDispatcher",
    "RPCDispatcherError",
    "RPCServer",
    "RPCVersionCapError",
    "RemoteError",
    "UnsupportedVersion",
    "expected_exceptions",
    "expose",
    "get_rpc_client",
    "get_rpc_server",
    "get_rpc_transport",
]
