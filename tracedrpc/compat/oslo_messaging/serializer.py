"""`oslo_messaging.serializer`."""

from tracedrpc.serializer import JsonPayloadSerializer, NoOpSerializer, Serializer

__all__ = ["JsonPayloadSerializer", "NoOpSerializer", "Serializer"]
