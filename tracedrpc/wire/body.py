"""JSON and the envelope around it: the one place where bytes become values."""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from dataclasses import dataclass, field
from functools import partial
from json.decoder import scanstring  # type: ignore[attr-defined] # missing in typeshed
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final

from tracedrpc.exceptions import DecodeError
from tracedrpc.wire.coerce import coerce, encode_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION_KEY: Final = "oslo.version"
MESSAGE_KEY: Final = "oslo.message"
VERSION: Final = "2.0"
"""Peers refuse any other version that is newer, so it can never change."""

CONTENT_TYPE: Final = "application/json"
CONTENT_ENCODING: Final = "utf-8"
COMPRESSION: Final = "compression"
"""The header that names how a body is compressed, kombu's convention."""
GZIP: Final = "application/x-gzip"
BZ2: Final = "application/x-bz2"
LZMA: Final = "application/x-lzma"
COMPRESSIONS: Final = {
    "gzip": GZIP, "zlib": GZIP, "bz2": BZ2, "bzip": BZ2, "bzip2": BZ2, "lzma": LZMA, "xz": LZMA,
}
"""What the option `kombu_compression` may be: kombu's names, and "bz2" as oslo.messaging's help has it.
"gzip" stands for a zlib stream, as in kombu."""

_MOST_LZMA_MEMORY: Final = 64 * 1024 * 1024
"""A header of a few bytes can ask for gigabytes; what kombu compresses needs 9 MiB."""
_COMPRESS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    GZIP: zlib.compress, BZ2: bz2.compress, LZMA: lzma.compress,
}
_DECOMPRESSOR: Final[Mapping[str, Callable[[], Any]]] = {
    GZIP: zlib.decompressobj,
    BZ2: bz2.BZ2Decompressor,
    LZMA: partial(lzma.LZMADecompressor, memlimit=_MOST_LZMA_MEMORY),
}

MOST_DEPTH: Final = 100
_ENCODINGS: Final = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_HEAD: Final = f'{{"{VERSION_KEY}": "{VERSION}", "{MESSAGE_KEY}": '
_VERSION_PARTS: Final = 2

dumps = json.JSONEncoder(default=coerce).encode
"""Value to JSON text; raises whatever the value makes it raise. `encode` says where."""
_loads = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Properties:
    """What AMQP says about a body.

    Attributes:
        content_type: the type, or None when the sender gave none.
        content_encoding: the character set, or None.
        headers: the application headers, as unchecked as the body.
    """

    content_type: str | None = CONTENT_TYPE
    content_encoding: str | None = CONTENT_ENCODING
    headers: Mapping[str, Any] = field(default_factory=dict)


def encode(value: Any, where: str) -> str:
    """Return a value as JSON text.

    Args:
        value: anything JSON can hold or `coerce` knows.
        where: what the path in an error begins with, e.g. "result".

    Raises:
        EncodeError: some place in the value has no JSON form; `path` names it.
    """
    try:
        return dumps(value)
    except Exception as error:  # the value's own code runs here
        raise encode_error({where: value}, error) from error


def envelope(inner: str) -> bytes:
    """Return the body that carries a message; the message itself travels as a JSON string."""
    return f"{_HEAD}{encode_basestring_ascii(inner)}}}".encode("ascii")


def compress(body: bytes, name: str) -> tuple[bytes, str]:
    """Return a body compressed as one of `COMPRESSIONS`, and the value of its `compression` header."""
    header = COMPRESSIONS[name]
    return _COMPRESS[header](body), header


def open_envelope(
    body: bytes | str | memoryview, properties: Properties, max_bytes: int,
) -> dict[str, Any]:
    """Return the message in a body. Everything from the wire comes through here.

    A body without the envelope's keys is a message itself, as before envelope 2.0.

    Raises:
        DecodeError: and nothing else, whatever the body is.
    """
    _check_content(properties)
    text = _text(_inflate(body, properties.headers, max_bytes))
    if text.startswith(_HEAD):
        inner = _inner(text)
        if inner is not None:
            return _load(inner)
    outer = _load(text)
    if VERSION_KEY not in outer or MESSAGE_KEY not in outer:
        return outer
    version, inner = outer[VERSION_KEY], outer[MESSAGE_KEY]
    if version != VERSION:
        _check_version(version)
    if not isinstance(inner, str):
        raise DecodeError("schema", f"{MESSAGE_KEY} is not a string")
    return _load(inner)


def _inner(text: str) -> str | None:
    """Return the string in an envelope as every peer writes it; None when it is not quite so.

    It spares the outer JSON object, which is a quarter of the time of decoding.
    """
    try:
        inner, end = scanstring(text, len(_HEAD) + 1)
    except ValueError:
        return None
    return inner if text[end:] == "}" and text[len(_HEAD)] == '"' else None


def _check_content(properties: Properties) -> None:
    kind, encoding = properties.content_type, properties.content_encoding
    if kind != CONTENT_TYPE and kind is not None and not _is_json(kind):
        raise DecodeError("content_type", f"the content type is not {CONTENT_TYPE}")
    if encoding == CONTENT_ENCODING or encoding is None:
        return
    if str(encoding).lower() not in _ENCODINGS:
        raise DecodeError("encoding", f"the content encoding is not {CONTENT_ENCODING}")


def _is_json(kind: object) -> bool:
    return isinstance(kind, str) and kind.partition(";")[0].strip().lower() in {"", CONTENT_TYPE}


def _inflate(
    body: bytes | str | memoryview, headers: Mapping[str, Any], max_bytes: int,
) -> bytes | str | memoryview:
    """Return the body without its compression, checking its size before and after."""
    if _size(body) > max_bytes:
        raise DecodeError("size", f"the body has more than {max_bytes} bytes")
    kind = headers.get(COMPRESSION)
    if not kind:
        return body
    data = _decompress(kind, body, max_bytes + 1)
    if len(data) > max_bytes:
        raise DecodeError("size", f"the body has more than {max_bytes} bytes when decompressed")
    return data


def _size(body: bytes | str | memoryview) -> int:
    return body.nbytes if isinstance(body, memoryview) else len(body)


def _decompress(kind: object, body: bytes | str | memoryview, most: int) -> bytes:
    """Return at most `most` bytes, so that a small body cannot become a huge one."""
    make = _DECOMPRESSOR.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise DecodeError("encoding", f"the compression is none of {', '.join(_DECOMPRESSOR)}")
    stream = make()
    try:
        inflated: bytes = stream.decompress(body.encode() if isinstance(body, str) else body, most)
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
        raise DecodeError("encoding", "the compressed body is damaged") from error
    if not stream.eof and len(inflated) < most:
        raise DecodeError("encoding", "the compressed body is cut short")
    return inflated


def _text(body: bytes | str | memoryview) -> str:
    if isinstance(body, str):
        return body
    try:
        return str(body, "utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError("encoding", "the body is not UTF-8") from error


def _load(text: str) -> dict[str, Any]:
    """Return the JSON object in a text.

    Python's own reading of JSON is the wire's: NaN, duplicate keys (the last one counts) and lone
    surrogates pass.
    """
    if text.count("[") + text.count("{") > MOST_DEPTH and is_deeper(text, MOST_DEPTH):
        raise DecodeError("depth", f"the JSON is nested deeper than {MOST_DEPTH} levels")
    try:
        value = _loads(text)
    except RecursionError as error:
        raise DecodeError("depth", "the JSON is nested too deeply") from error
    except ValueError as error:
        raise DecodeError("json", f"the JSON is not valid: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise DecodeError("schema", "the message is not a JSON object")
    return value


def is_deeper(text: str, most: int) -> bool:
    """Tell, without parsing it, whether JSON text nests deeper than `most` levels.

    All at the speed of C: drop escapes, then strings, then all but the brackets; what is left
    loses its innermost level in each round. The answer for text that is not JSON means nothing.
    """
    pieces = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    brackets = "".join(pieces).encode("ascii", "replace").translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(most):
        inner = brackets.replace(b"[]", b"")
        if len(inner) == len(brackets):
            return False
        brackets = inner
    return bool(brackets)


def _check_version(version: object) -> None:
    """Refuse an envelope that is not compatible with 2.0: equal major, minor not above."""
    parts = version.split(".") if isinstance(version, str) else []
    numbers = [int(part) for part in parts if part.isdecimal() and len(part) <= len("1000")]
    known_major, known_minor = 2, 0
    if len(numbers) != len(parts) or len(parts) < _VERSION_PARTS:
        raise DecodeError("version", "the envelope's version is not major.minor")
    if numbers[0] != known_major or numbers[1] > known_minor or any(numbers[2:]):
        raise DecodeError("version", f"the envelope's version is not compatible with {VERSION}")
