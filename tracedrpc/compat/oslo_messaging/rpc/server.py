"""`oslo_messaging.rpc.server`."""

from tracedrpc.rpc.expected import expected_exceptions
from tracedrpc.rpc.policy import expose
from tracedrpc.rpc.server import RPCServer, get_rpc_server

__all__ = ["RPCServer", "expected_exceptions", "expose", "get_rpc_server"]
