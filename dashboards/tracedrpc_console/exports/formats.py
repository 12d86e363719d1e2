"""The formats in which a trace leaves the console, and one way to all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from tracedrpc_console.exports import chrome, html, jaeger, otlp, svg
from tracedrpc_console.store.model import LogQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracedrpc_console.store.model import LogRow, Page, SpanRow

MOST_LOGS: Final = 5000
"""Log records in an HTML file at most, the newest ones."""


class Format(StrEnum):
    """What a trace can become."""

    OTLP = "otlp"
    JAEGER = "jaeger"
    CHROME = "chrome"
    HTML = "html"
    SVG = "svg"


@dataclass(frozen=True, slots=True)
class Export:
    """A file.

    Attributes:
        name: without a folder; made of hex digits and the format only.
    """

    name: str
    media_type: str
    content: bytes


class TraceSource(Protocol):
    """Where traces come from; `store.reader.Reader` is one."""

    def trace(self, trace_id: str) -> Sequence[SpanRow] | None:
        """Return a trace's spans; None when there is no such trace."""

    def trace_blobs(self, trace_id: str) -> Sequence[bytes]:
        """Return a trace's spans as serialized `ResourceSpans`."""

    def logs(self, query: LogQuery) -> Page[LogRow]:
        """Return log records, newest first."""


_TYPES: Final = {
    Format.OTLP: ("otlp.json", "application/json"),
    Format.JAEGER: ("jaeger.json", "application/json"),
    Format.CHROME: ("chrome.json", "application/json"),
    Format.HTML: ("html", "text/html; charset=utf-8"),
    Format.SVG: ("svg", "image/svg+xml"),
}


def export(source: TraceSource, trace_id: str, wanted: Format) -> Export | None:
    """Return a trace as a file; None when there is no such trace.

    Args:
        source: is asked once, or for HTML twice.
        trace_id: 32 hex digits, lower case.
        wanted: which format.
    """
    content = _content(source, trace_id, wanted)
    suffix, media_type = _TYPES[wanted]
    return None if content is None else Export(f"trace-{trace_id}.{suffix}", media_type, content)


def _content(source: TraceSource, trace_id: str, wanted: Format) -> bytes | None:
    if wanted in {Format.OTLP, Format.JAEGER}:
        blobs = source.trace_blobs(trace_id)
        if not blobs:
            return None
        groups = otlp.parsed(blobs)
        return otlp.export(groups) if wanted is Format.OTLP else jaeger.export(groups)
    spans = source.trace(trace_id)
    if not spans:
        return None
    match wanted:
        case Format.CHROME:
            return chrome.export(spans)
        case Format.SVG:
            return svg.export(spans)
    return html.export(spans, source.logs(LogQuery(trace_id=trace_id, limit=MOST_LOGS)).items)
