"""RPC over RabbitMQ in which every call explains itself.

The names are those of oslo.messaging's RPC half: `import tracedrpc as messaging` is how a service
moves over.
"""

from tracedrpc._guard import install as install_telemetry
from tracedrpc.exceptions import (
    ClientSendError,
    DriverLoadFailure,
    ExecutorLoadFailure,
    ExpectedException,
    InvalidOption,
    InvalidTarget,
    InvalidTransportURL,
    MessageDeliveryFailure,
    MessageUndeliverable,
    MessagingException,
    MessagingServerError,
    MessagingTimeout,
    NoSuchMethod,
    RemoteError,
    RPCDispatcherError,
    RPCVersionCapError,
    ServerListenError,
    UnsupportedVersion,
)
from tracedrpc.options import Options
from tracedrpc.rpc.client import RPCClient, get_rpc_client
from tracedrpc.rpc.dispatcher import RPCDispatcher
from tracedrpc.rpc.expected import expected_exceptions
from tracedrpc.rpc.message_server import MessageHandlingServer
from tracedrpc.rpc.policy import (
    DefaultRPCAccessPolicy,
    ExplicitRPCAccessPolicy,
    LegacyRPCAccessPolicy,
    RPCAccessPolicyBase,
    expose,
)
from tracedrpc.rpc.server import get_rpc_server
from tracedrpc.rpc.transport import (
    Transport,
    TransportOptions,
    get_rpc_transport,
    get_transport,
    set_transport_defaults,
)
from tracedrpc.serializer import JsonPayloadSerializer, NoOpSerializer, Serializer
from tracedrpc.target import Target
from tracedrpc.telemetry import Telemetry
from tracedrpc.url import TransportHost, TransportURL

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - sorted by theme
    # transport
    "get_rpc_transport",
    "get_transport",
    "set_transport_defaults",
    "Transport",
    "TransportHost",
    "TransportOptions",
    "TransportURL",
    "Options",
    # client
    "get_rpc_client",
    "RPCClient",
    "Target",
    # server
    "get_rpc_server",
    "MessageHandlingServer",
    "RPCDispatcher",
    "expected_exceptions",
    # who may call what
    "expose",
    "DefaultRPCAccessPolicy",
    "ExplicitRPCAccessPolicy",
    "LegacyRPCAccessPolicy",
    "RPCAccessPolicyBase",
    # serializers
    "JsonPayloadSerializer",
    "NoOpSerializer",
    "Serializer",
    # what can go wrong
    "MessagingException",
    "MessagingTimeout",
    "MessageDeliveryFailure",
    "MessageUndeliverable",
    "InvalidTarget",
    "InvalidTransportURL",
    "InvalidOption",
    "DriverLoadFailure",
    "ClientSendError",
    "RemoteError",
    "RPCVersionCapError",
    "MessagingServerError",
    "ExecutorLoadFailure",
    "ServerListenError",
    "RPCDispatcherError",
    "NoSuchMethod",
    "UnsupportedVersion",
    "ExpectedException",
    # telemetry
    "Telemetry",
    "install_telemetry",
    "__version__",
]
