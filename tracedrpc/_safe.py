"""The one choke point for text that goes into logs and spans."""

from __future__ import annotations

from typing import Final, NewType

SafeText = NewType("SafeText", str)
"""Text that came out of `safe`, or is a constant of ours. Where telemetry's types ask for it, the type
checker finds whoever goes round the choke point."""

LIMIT: Final = 256
"""Longest text, in characters, that telemetry holds of any one value."""

_ESCAPES: Final = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - one byte
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF,
        *range(0xD800, 0xE000),
    )
}
"""Control characters, line separators, direction overrides and lone surrogates: each can forge or
break a log line, or the encoder of an exporter."""


def safe(value: object, limit: int = LIMIT) -> SafeText:
    """Return a value as one line of at most `limit` characters without control characters."""
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text  # type: ignore[return-value]  # it is safe now; `SafeText(text)` takes as long as the check
    return SafeText(text.translate(_ESCAPES))
