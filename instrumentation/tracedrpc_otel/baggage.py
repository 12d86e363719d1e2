"""Baggage: what an application lets travel with its calls, key by key; by default nothing.

Written and read by hand as https://www.w3.org/TR/baggage/ has it. A key that is not allowed is
neither sent nor read, whatever the context or the peer holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes

from opentelemetry import baggage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.context import Context

HEADER: Final = "baggage"
MOST_ENTRIES: Final = 8
MOST_CHARS: Final = 1024
"""Of the whole header. What no longer fits is left out; a longer one that comes in is not read."""

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_OCTETS: Final = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_ENTRY: Final = re.compile(rf"[ \t]*({_NAME})[ \t]*=[ \t]*({_OCTETS})[ \t]*(?:;.*)?", re.ASCII)
_IS_KEY: Final = re.compile(_NAME, re.ASCII)


class Baggage:
    """Carries the entries of OpenTelemetry's baggage whose keys are allowed."""

    def __init__(self, keys: frozenset[str]) -> None:
        self._keys = [key for key in sorted(keys) if _IS_KEY.fullmatch(key)][:MOST_ENTRIES]

    def write(self, context: Context | None = None) -> str:
        """Return the header for a context, None for the current one; "" when there is nothing."""
        text = ""
        held = baggage.get_all(context)
        for key in self._keys:
            value = held.get(key)
            if isinstance(value, str | int | float):
                more = f"{text}{',' if text else ''}{key}={quote(str(value), safe='', errors='replace')}"
                text = more if len(more) <= MOST_CHARS else text
        return text

    def read(self, carrier: Mapping[str, Any], context: Context) -> Context:
        """Return the context with what a message brought along, and nothing else in its baggage."""
        context = baggage.clear(context)
        header = carrier.get(HEADER)
        if isinstance(header, str) and len(header) <= MOST_CHARS:
            for key, value in self._entries(header):
                context = baggage.set_baggage(key, value, context)
        return context

    def _entries(self, header: str) -> Iterator[tuple[str, str]]:
        for text in header.split(","):
            entry = _ENTRY.fullmatch(text)
            if entry is not None and entry[1] in self._keys:
                value = _decoded(entry[2])
                if value is not None:
                    yield entry[1], value


def _decoded(text: str) -> str | None:
    """Return the value, or None when it is no text or holds what could break a line."""
    try:
        value = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return None
    return value if value.isprintable() else None
