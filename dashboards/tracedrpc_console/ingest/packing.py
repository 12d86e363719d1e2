"""Bodies of exports unpacked, but not further than they may grow."""

from __future__ import annotations

import zlib
from typing import Final

_WINDOW: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class TooLargeError(ValueError):
    """The body is larger than an export may be, as it came or unpacked."""


class PackingError(ValueError):
    """The body is not packed as its `Content-Encoding` says, or in a way that is not known."""


def unpack(body: bytes, encoding: str, most: int) -> bytes:
    """Return the body as it was before it was packed.

    Args:
        body: as it came.
        encoding: "gzip", "deflate", "identity" or "".
        most: bytes that it may have.

    Raises:
        TooLargeError: it has more.
        PackingError: it cannot be unpacked.
    """
    if encoding in {"", "identity"}:
        whole = body
    elif encoding in _WINDOW:
        whole = _inflate(body, _WINDOW[encoding], most)
    else:
        raise PackingError(f"Content-Encoding {encoding!r} is not known; send gzip, deflate or identity")
    if len(whole) > most:
        raise TooLargeError(f"an export may have {most} bytes; send smaller batches")
    return whole


def _inflate(body: bytes, window: int, most: int) -> bytes:
    inflater = zlib.decompressobj(window)
    try:
        whole = inflater.decompress(body, most + 1)
    except zlib.error as error:
        raise PackingError(f"the body cannot be unpacked: {error}") from error
    if len(whole) <= most and not inflater.eof:
        raise PackingError("the packed body ends too early")
    return whole
