"""OTLP's spans, events and links, written straight into the bytes of their protobuf messages.

The messages and field numbers are those of opentelemetry/proto/trace/v1/trace.proto.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracedrpc_otel.otlp_bytes import attributes, sized, text, varint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import SpanContext, SpanKind, TraceState

SPAN: Final = b"\x4a"
EVENT: Final = b"\x1a"
LINK: Final = b"\x22"
"""Tags of the attributes of a span, an event and a link."""
_RESOURCE: Final = b"\x0a"

OK: Final = b"\x7a\x02\x18\x01"
UNSET: Final = b"\x7a\x00"
_LOCAL: Final = b"\x85\x01\x00\x01\x00\x00"
_REMOTE: Final = b"\x85\x01\x00\x03\x00\x00"
"""The flags of a span: that it is known whether its parent is of another process, and whether it is."""

_times: Final = Struct("<cQcQ").pack
_fixed64: Final = Struct("<Q").pack
_MOST_NAMES: Final = 4096


class Ids(NamedTuple):
    """What of a `SpanContext` is written; that class takes a microsecond to make."""

    trace_id: int
    span_id: int
    trace_state: TraceState
    is_remote: bool = False


class Dropped(NamedTuple):
    """How much of a span there was no room for."""

    attributes: int = 0
    events: int = 0
    links: int = 0


NOTHING_DROPPED: Final = Dropped()


def span(
    ids: Ids | SpanContext, parent: Ids | SpanContext | None, name: str, kind: SpanKind,
    times_ns: tuple[int, int], fields: bytes, status: bytes = UNSET, dropped: Dropped = NOTHING_DROPPED,
) -> bytes:
    """Return a span as a field of ScopeSpans, tag and length before it.

    Args:
        ids: its own.
        parent: its parent's; None for a root.
        name: as on the span.
        kind: as on the span.
        times_ns: start and end, ns since 1970.
        fields: its attributes, events and links, each as a field.
        status: `UNSET`, `OK`, or what `failed` returns.
        dropped: what there was no room for.
    """
    trace_id, span_id = ids.trace_id.to_bytes(16, "big"), ids.span_id.to_bytes(8, "big")
    parts = [b"\x0a\x10", trace_id, b"\x12\x08", span_id, _named(name, kind)]
    if parent is not None:
        parts += (b"\x22\x08", parent.span_id.to_bytes(8, "big"))
    parts += (
        _times(b"\x39", times_ns[0], b"\x41", times_ns[1]), fields, status,
        _REMOTE if parent is not None and parent.is_remote else _LOCAL,
    )
    if ids.trace_state:
        parts.append(b"\x1a" + text(",".join(f"{key}={value}" for key, value in ids.trace_state.items())))
    if dropped is not NOTHING_DROPPED:
        parts += (b"\x50", varint(dropped.attributes), b"\x60", varint(dropped.events))
        parts += (b"\x70", varint(dropped.links))
    return b"\x12" + sized(b"".join(parts))


@lru_cache(_MOST_NAMES)
def _named(name: str, kind: SpanKind) -> bytes:
    return b"\x2a" + text(name) + b"\x30" + varint(kind.value + 1)


def event(name: str, at_ns: int, values: bytes, dropped: int = 0) -> bytes:
    """Return an event as a field of a span; `values` are its attributes with the tag `EVENT`."""
    lost = b"\x20" + varint(dropped) if dropped else b""
    return b"\x5a" + sized(b"\x09" + _fixed64(at_ns) + b"\x12" + text(name) + values + lost)


def link(context: SpanContext, values: Mapping[str, Any], dropped: int = 0) -> bytes:
    """Return a link as a field of a span."""
    parts = [
        b"\x0a\x10", context.trace_id.to_bytes(16, "big"), b"\x12\x08", context.span_id.to_bytes(8, "big"),
        attributes(LINK, values), b"\x35\x00", b"\x03" if context.is_remote else b"\x01", b"\x00\x00",
    ]
    if dropped:
        parts.append(b"\x28" + varint(dropped))
    return b"\x6a" + sized(b"".join(parts))


def failed(description: str | None) -> bytes:
    """Return the status ERROR as a field of a span."""
    said = b"" if description is None else b"\x12" + text(description)
    return b"\x7a" + sized(said + b"\x18\x02")


class Envelope:
    """Puts spans into an ExportTraceServiceRequest, all of one resource and one scope.

    Args:
        name: of the instrumentation scope; `version` and `schema_url` are the scope's too.
    """

    def __init__(self, name: str, version: str, schema_url: str) -> None:
        self._scope = b"\x0a" + sized(b"\x0a" + text(name) + b"\x12" + text(version))
        self._schema = b"\x1a" + text(schema_url)
        self._resource: tuple[Resource | None, bytes] = (None, b"")

    def of(self, spans: Iterable[bytes], resource: Resource) -> bytes:
        """Return a request with these spans. Requests written one after the other are one request."""
        scope_spans = b"".join((self._scope, *spans, self._schema))
        return b"\x0a" + sized(b"".join((self._of_resource(resource), b"\x12", sized(scope_spans))))

    def _of_resource(self, resource: Resource) -> bytes:
        known, written = self._resource  # one tuple, so that threads see both or none
        if known is not resource:
            written = b"\x0a" + sized(attributes(_RESOURCE, resource.attributes))
            if resource.schema_url:
                written += b"\x1a" + text(resource.schema_url)
            self._resource = (resource, written)
        return written
