"""`oslo_messaging.transport`."""

from __future__ import annotations

import importlib
from typing import Any

from tracedrpc.compat import _stock
from tracedrpc.exceptions import DriverLoadFailure, InvalidTransportURL
from tracedrpc.rpc.transport import (
    RPCTransport,
    Transport,
    TransportOptions,
    get_transport,
    set_transport_defaults,
)
from tracedrpc.url import TransportHost, TransportURL

__all__ = [
    "DriverLoadFailure",
    "InvalidTransportURL",
    "RPCTransport",
    "Transport",
    "TransportHost",
    "TransportOptions",
    "TransportURL",
    "get_transport",
    "set_transport_defaults",
]


def __getattr__(name: str) -> Any:
    if name == "_transport_opts":
        from tracedrpc import oslo_options  # noqa: PLC0415 - oslo.config is an extra

        return oslo_options.list_opts()[0][1]
    if name == "NotificationTransport":
        _stock.require()
        return importlib.import_module(f"{_stock.STOCK}.transport").NotificationTransport
    raise AttributeError(f"module 'oslo_messaging.transport' has no attribute {name!r}")
