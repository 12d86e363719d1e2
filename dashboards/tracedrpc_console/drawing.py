"""Draws a trace as an SVG picture: a strip of phases, then one row a span. Pure: no file, no screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from tracedrpc import semconv
from tracedrpc.anatomy import Phase
from tracedrpc_console.spans import Kind
from tracedrpc_console.waterfall import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracedrpc_console.spans import Row, Span, Trace

WIDTH: Final = 1080
_LEFT: Final = 400
"""Where the bars begin, in pixels; what is left of it is for the names."""
_RIGHT: Final = 80
_ROW: Final = 24
_BAR: Final = 12
_HEAD: Final = 58
_STRIP: Final = 62
_CHAR: Final = 7.2
"""Width of a letter, for cutting names and placing words; the font is monospaced."""
_LEAST_SHARE: Final = 0.01
_SERVICES: Final = ("#2563eb", "#059669", "#9333ea", "#d97706", "#0891b2", "#be185d")
_PHASES: Final = {
    Phase.PREPARE: "#94a3b8", Phase.CONNECT: "#f97316", Phase.ACQUIRE: "#facc15",
    Phase.PUBLISH: "#38bdf8", Phase.UNROUTABLE: "#e11d48", Phase.CONFIRM: "#0ea5e9",
    Phase.QUEUE: "#f59e0b", Phase.DISPATCH: "#a78bfa", Phase.HANDLER: "#22c55e",
    Phase.REPLY: "#14b8a6", Phase.RETURN: "#60a5fa", Phase.REMOTE: "#fb7185",
    Phase.WAKEUP: "#c084fc", Phase.FINISH: "#cbd5e1",
}
_STYLE: Final = """
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2937 }
.title { font-size: 14px; font-weight: bold } .dim { fill: #6b7280 } .bad { fill: #dc2626 }
.ground { fill: #ffffff } .line { stroke: #e5e7eb } .mark { fill: #111827 }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb } .dim { fill: #9ca3af } .bad { fill: #f87171 }
  .ground { fill: #0f172a } .line { stroke: #334155 } .mark { fill: #f9fafb }
}
"""


@dataclass(frozen=True, slots=True)
class _Scale:
    start_ns: int
    end_ns: int

    def x(self, at_ns: int) -> float:
        share = (at_ns - self.start_ns) / max(1, self.end_ns - self.start_ns)
        return _LEFT + min(1.0, max(0.0, share)) * (WIDTH - _LEFT - _RIGHT)


def draw(trace: Trace) -> str:
    """Return an SVG document; of a trace without spans an empty one."""
    rows = trace.rows()
    spans = [row.span for row in rows]
    if not spans:
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="0"/>\n'
    scale = _Scale(min(span.start_ns for span in spans), max(span.end_ns for span in spans))
    services = dict.fromkeys(span.service for span in spans)
    colours = {name: _SERVICES[at % len(_SERVICES)] for at, name in enumerate(services)}
    call = trace.root or spans[0]
    parts = [*_head(call), *_strip(call)]
    top = _HEAD + (_STRIP if _phases(call) else 0)
    for at, row in enumerate(rows):
        parts += _row(row, top + at * _ROW, scale, colours)
    height = top + len(rows) * _ROW + 12
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(call.name)}>',
        f"<style>{_STYLE}</style>", _patterns(colours),
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>', *parts, "</svg>\n",
    ])


def _patterns(colours: dict[str, str]) -> str:
    """Return a hatching for each service: time in which nothing of anybody's runs."""
    hatchings = "".join(
        f'<pattern id="wait{at}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="3" height="6" fill="{colour}"/></pattern>'
        for at, colour in enumerate(colours.values())
    )
    return f"<defs>{hatchings}</defs>"


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


def _head(call: Span) -> Iterator[str]:
    style = "title bad" if call.is_error else "title"
    yield _text(12, 24, f"{call.name}   {milliseconds(call.duration_ms)}", style)
    why = str(call.attributes.get(semconv.WHY, "") or f"trace {call.trace_id}")
    yield _text(12, 44, _cut(why, WIDTH - 24), "dim")


def _phases(call: Span) -> dict[Phase, float]:
    named = {phase: call.attributes.get(semconv.phase_ms(phase)) for phase in Phase}
    return {phase: float(ms) for phase, ms in named.items() if isinstance(ms, (int, float)) and ms > 0}


def _strip(call: Span) -> Iterator[str]:
    """Yield one bar for the whole call, divided into its phases, and their names below."""
    phases = _phases(call)
    whole = sum(phases.values())
    x, words = 12.0, 12.0
    for phase, ms in phases.items():
        width = ms / whole * (WIDTH - 24)
        yield (
            f'<rect x="{x:.2f}" y="{_HEAD}" width="{max(width, 0.5):.2f}" height="16" '
            f'fill="{_PHASES[phase]}"><title>{phase} {milliseconds(ms)}</title></rect>'
        )
        x += width
        if ms / whole >= _LEAST_SHARE:
            word = f"{phase} {milliseconds(ms)}"
            yield f'<rect x="{words:.1f}" y="{_HEAD + 25}" width="9" height="9" fill="{_PHASES[phase]}"/>'
            yield _text(words + 13, _HEAD + 34, word)
            words += 13 + len(word) * _CHAR + 16


def _row(row: Row, y: float, scale: _Scale, colours: dict[str, str]) -> Iterator[str]:
    span = row.span
    middle = y + _ROW / 2
    yield f'<line class="line" x1="12" x2="{WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}"/>'
    yield _text(12, middle + 4, span.service[:12], "dim")
    indent = 12 + 96 + row.depth * 14
    yield _text(indent, middle + 4, _cut(span.name, _LEFT - indent - 8), "bad" if span.is_error else "")
    colour = "#dc2626" if span.is_error else colours[span.service]
    start, end = scale.x(span.start_ns), scale.x(span.end_ns)
    is_wait = span.kind is Kind.INTERNAL and span.name.partition(" ")[0] in {"queue", "acquire"}
    fill = f"url(#wait{list(colours).index(span.service)})" if is_wait else colour
    yield (
        f'<rect x="{start:.2f}" y="{middle - _BAR / 2:.1f}" width="{max(1.5, end - start):.2f}" '
        f'height="{_BAR}" rx="2" fill="{fill}"><title>{escape(span.kind)}</title></rect>'
    )
    for event in span.events:
        x = scale.x(event.at_ns)
        yield (
            f'<circle class="mark" cx="{x:.2f}" cy="{middle:.1f}" r="2.5">'
            f"<title>{escape(event.name)}</title></circle>"
        )
    yield _text(WIDTH - 12, middle + 4, milliseconds(span.duration_ms), "", "end")


def _cut(text: str, width: float) -> str:
    most = max(1, int(width / _CHAR))
    return text if len(text) <= most else f"{text[:most - 1]}…"
