"""A trace as a picture. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tracedrpc_console.drawing import draw
from tracedrpc_console.spans import Span, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracedrpc_console.store.model import SpanRow

_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML has no way to write."""


def export(spans: Iterable[SpanRow]) -> bytes:
    """Return an SVG file."""
    return picture(spans).encode()


def picture(spans: Iterable[SpanRow]) -> str:
    """Return an SVG document."""
    return _NOT_XML.sub("\ufffd", draw(Trace(map(as_span, spans))))


def as_span(row: SpanRow) -> Span:
    """Return a stored span as pictures want it."""
    return Span(
        row.trace_id, row.span_id, row.parent_id, row.service, row.name, row.kind, row.start_ns, row.end_ns,
        is_error=row.is_error, attributes=row.attributes, events=row.events,
        instance=str(row.resource.get("service.instance.id", "")),
    )
