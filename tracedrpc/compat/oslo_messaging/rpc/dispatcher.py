"""`oslo_messaging.rpc.dispatcher`."""

from tracedrpc.exceptions import (
    ExpectedException,
    NoSuchMethod,
    RPCDispatcherError,
    UnsupportedVersion,
)
from tracedrpc.rpc.dispatcher import PingEndpoint, RPCDispatcher
from tracedrpc.rpc.policy import (
    DefaultRPCAccessPolicy,
    ExplicitRPCAccessPolicy,
    LegacyRPCAccessPolicy,
    RPCAccessPolicyBase,
)

__all__ = [
    "DefaultRPCAccessPolicy",
    "ExpectedException",
    "ExplicitRPCAccessPolicy",
    "LegacyRPCAccessPolicy",
    "NoSuchMethod",
    "PingEndpoint",
    "RPCAccessPolicyBase",
    "RPCDispatcher",
    "RPCDispatcherError",
    "UnsupportedVersion",
]
