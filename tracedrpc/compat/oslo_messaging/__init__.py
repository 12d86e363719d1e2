"""What `import oslo_messaging` means when a program runs on tracedrpc: its names, our objects.

The RPC half is tracedrpc's. The notification half is oslo.messaging's own code, where that is
installed; without it, its names raise an error that says so.
"""

from __future__ import annotations

import importlib
from typing import Any

from tracedrpc.compat import _names
from tracedrpc.compat.oslo_messaging import (
    dispatcher,
    exceptions,
    rpc,
    serializer,
    server,
    target,
    transport,
)
from tracedrpc.compat.oslo_messaging.exceptions import (
    InvalidTarget,
    MessageDeliveryFailure,
    MessageUndeliverable,
    MessagingException,
    MessagingTimeout,
)
from tracedrpc.compat.oslo_messaging.rpc import (
    ClientSendError,
    DefaultRPCAccessPolicy,
    ExpectedException,
    ExplicitRPCAccessPolicy,
    LegacyRPCAccessPolicy,
    NoSuchMethod,
    RemoteError,
    RPCAccessPolicyBase,
    RPCClient,
    RPCDispatcher,
    RPCDispatcherError,
    RPCVersionCapError,
    UnsupportedVersion,
    expected_exceptions,
    expose,
    get_rpc_client,
    get_rpc_server,
    get_rpc_transport,
)
from tracedrpc.compat.oslo_messaging.serializer import (
    JsonPayloadSerializer,
    NoOpSerializer,
    Serializer,
)
from tracedrpc.compat.oslo_messaging.server import (
    ExecutorLoadFailure,
    MessageHandlingServer,
    MessagingServerError,
    ServerListenError,
)
from tracedrpc.compat.oslo_messaging.target import Target
from tracedrpc.compat.oslo_messaging.transport import (
    DriverLoadFailure,
    InvalidTransportURL,
    Transport,
    TransportHost,
    TransportOptions,
    TransportURL,
    get_transport,
    set_transport_defaults,
)

__all__ = [
    "ClientSendError",
    "DefaultRPCAccessPolicy",
    "DriverLoadFailure",
    "ExecutorLoadFailure",
    "ExpectedException",
    "ExplicitRPCAccessPolicy",
    "InvalidTarget",
    "InvalidTransportURL",
    "JsonPayloadSerializer",
    "LegacyRPCAccessPolicy",
    "MessageDeliveryFailure",
    "MessageHandlingServer",
    "MessageUndeliverable",
    "MessagingException",
    "MessagingServerError",
    "MessagingTimeout",
    "NoOpSerializer",
    "NoSuchMethod",
    "RPCAccessPolicyBase",
    "RPCClient",
    "RPCDispatcher",
    "RPCDispatcherError",
    "RPCVersionCapError",
    "RemoteError",
    "Serializer",
    "ServerListenError",
    "Target",
    "Transport",
    "TransportHost",
    "TransportOptions",
    "TransportURL",
    "UnsupportedVersion",
    "dispatcher",
    "exceptions",
    "expected_exceptions",
    "expose",
    "get_rpc_client",
    "get_rpc_server",
    "get_rpc_transport",
    "get_transport",
    "rpc",
    "serializer",
    "server",
    "set_transport_defaults",
    "target",
    "transport",
]

NOTIFICATIONS = frozenset({
    "LoggingErrorNotificationHandler", "LoggingNotificationHandler", "NotificationFilter",
    "NotificationResult", "Notifier", "PublishErrorsHandler", "get_batch_notification_listener",
    "get_notification_listener", "get_notification_transport",
})
"""Names of the other half."""


def __getattr__(name: str) -> Any:
    if name in NOTIFICATIONS:
        return getattr(importlib.import_module(f"{__name__}.notify"), name)
    if name in _names.PASSED:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'oslo_messaging' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *NOTIFICATIONS})
