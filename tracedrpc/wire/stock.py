"""Where oslo.messaging 18.3.1 keeps the exceptions that are also ours."""

from __future__ import annotations

from typing import Final

from tracedrpc import exceptions

_STOCK: Final = {
    "oslo_messaging.exceptions": (
        "MessagingException", "MessagingTimeout", "MessageDeliveryFailure", "InvalidTarget",
        "MessageUndeliverable",
    ),
    "oslo_messaging.transport": ("InvalidTransportURL", "DriverLoadFailure"),
    "oslo_messaging._drivers.base": ("TransportDriverError",),
    "oslo_messaging.rpc.client": ("RemoteError", "RPCVersionCapError", "ClientSendError"),
    "oslo_messaging.server": (
        "MessagingServerError", "ExecutorLoadFailure", "ServerListenError", "TaskTimeout",
    ),
    "oslo_messaging.rpc.dispatcher": (
        "RPCDispatcherError", "NoSuchMethod", "UnsupportedVersion", "ExpectedException",
    ),
}
_MODULE_OF: Final = {name: module for module, names in _STOCK.items() for name in names}

OUR_MODULES: Final = frozenset({"tracedrpc", "tracedrpc.exceptions"})
"""Where our exceptions can be said to live."""


def stock_module(name: str) -> str | None:
    """Return the module that oslo.messaging keeps an exception of this name in, or None."""
    return _MODULE_OF.get(name)


def library_class(module: str, name: str) -> type[Exception] | None:
    """Return our exception class for a wire name, under oslo.messaging's path or our own."""
    if module not in OUR_MODULES and (module != _MODULE_OF.get(name)):
        return None
    cls = vars(exceptions).get(name)
    return cls if isinstance(cls, type) and issubclass(cls, Exception) else None
