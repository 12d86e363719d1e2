"""`oslo_messaging.target`."""

from tracedrpc.target import Target

__all__ = ["Target"]
