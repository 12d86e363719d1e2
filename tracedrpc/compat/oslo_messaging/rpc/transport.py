"""`oslo_messaging.rpc.transport`."""

from tracedrpc.rpc.transport import get_rpc_transport

__all__ = ["get_rpc_transport"]
