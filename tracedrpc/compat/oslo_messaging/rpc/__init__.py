"""`oslo_messaging.rpc`."""

from tracedrpc.compat.oslo_messaging.rpc import client, dispatcher, server, transport
from tracedrpc.compat.oslo_messaging.rpc.client import (
    ClientSendError,
    RemoteError,
    RPCClient,
    RPCVersionCapError,
    get_rpc_client,
)
from tracedrpc.compat.oslo_messaging.rpc.dispatcher import (
    DefaultRPCAccessPolicy,
    ExpectedException,
    ExplicitRPCAccessPolicy,
    LegacyRPCAccessPolicy,
    NoSuchMethod,
    RPCAccessPolicyBase,
    RPCDispatcher,
    RPCDispatcherError,
    UnsupportedVersion,
)
from tracedrpc.compat.oslo_messaging.rpc.server import expected_exceptions, expose, get_rpc_server
from tracedrpc.compat.oslo_messaging.rpc.transport import get_rpc_transport

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
    "RPCVersionCapError",
    "RemoteError",
    "UnsupportedVersion",
    "client",
    "dispatcher",
    "expected_exceptions",
    "expose",
    "get_rpc_client",
    "get_rpc_server",
    "get_rpc_transport",
    "server",
    "transport",
]
