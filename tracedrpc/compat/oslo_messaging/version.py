"""`oslo_messaging.version`."""

from tracedrpc import __version__

__all__ = ["__version__"]
