"""Single values that JSON has no type for, in the text form that oslo.messaging's peers expect."""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import uuid
from typing import Any, Final

_AS_TEXT: Final = (
    uuid.UUID,
    decimal.Decimal,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)
_NETADDR: Final = frozenset({"IPAddress", "IPNetwork", "IPRange"})

NOT_SIMPLE: Final = object()
"""What `as_simple` returns for a value that is no single value."""


def as_simple(value: Any) -> Any:
    """Return the JSON form of a date, an id, a number or an address, or `NOT_SIMPLE`.

    The forms are those of oslo.serialization's `jsonutils`. Networks are text here; there they
    are the list of all their addresses.

    Raises:
        UnicodeDecodeError: bytes that are not UTF-8.
    """
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f")
    if isinstance(value, dt.date):
        return value.strftime("%Y-%m-%d")
    if isinstance(value, _AS_TEXT) or _is_netaddr(type(value)):
        return str(value)
    return NOT_SIMPLE


def _is_netaddr(cls: type) -> bool:
    """Tell whether this is one of netaddr's classes, without a dependency on netaddr."""
    return cls.__name__ in _NETADDR and cls.__module__.partition(".")[0] == "netaddr"
