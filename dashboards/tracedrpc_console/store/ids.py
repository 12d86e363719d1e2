"""Ids of traces and spans as they are written and as they are stored."""

from __future__ import annotations


def bytes_of(digits: str) -> bytes:
    """Return hex digits as bytes; what is no id becomes one that nothing has."""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b"no id"
