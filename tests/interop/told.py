"""What came of an operation, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peer_errors import NoDisk

if TYPE_CHECKING:
    from client import Client, Operation

_FIELDS = ("size", "unit", "kwargs", "exc_type", "value", "version", "version_cap", "exchange", "routing_key")


def outcome(operation: Operation, client: Client) -> Any:
    """Return what an operation returned, or what an application can see of what it raised."""
    try:
        return operation(client)
    except AssertionError as error:
        return {"wrong": str(error)}
    except Exception as error:  # noqa: BLE001 - it is what is tested
        return told(error, client.topic)


def told(error: Exception, topic: str) -> dict[str, Any]:
    """Return class, bases, fields, and what came from the server; the pairing's own topic is `T`."""
    kind = type(error)
    fields = {name: getattr(error, name) for name in _FIELDS if getattr(error, name, None) is not None}
    is_rebuilt = kind.__module__ == "builtins" or kind.__name__.endswith("_Remote")
    return {
        "raised": kind.__name__,
        "is": [cls.__name__ for cls in kind.__mro__[1:-3]],
        "fields": {name: str(value).replace(topic, "T") for name, value in fields.items()},
        "says": str(error.args[0]).split("\n")[0] if is_rebuilt else "",
        "is NoDisk": isinstance(error, NoDisk),
        "has traceback": "Traceback" in str(error),
    }
