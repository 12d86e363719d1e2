"""`oslo_messaging.server`."""

from tracedrpc.exceptions import (
    ExecutorLoadFailure,
    MessagingServerError,
    ServerListenError,
    TaskTimeout,
)
from tracedrpc.rpc.message_server import MessageHandlingServer

__all__ = [
    "ExecutorLoadFailure",
    "MessageHandlingServer",
    "MessagingServerError",
    "ServerListenError",
    "TaskTimeout",
]
