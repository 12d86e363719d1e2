"""`oslo_messaging.dispatcher`."""

from tracedrpc.rpc.dispatcher import DispatcherBase

__all__ = ["DispatcherBase"]
