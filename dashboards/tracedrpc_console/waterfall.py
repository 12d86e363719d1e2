"""Draws a trace: one row a span, bars to scale. Pure: a trace in, lines of text out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.text import Text

from tracedrpc_console.spans import Kind

if TYPE_CHECKING:
    from tracedrpc_console.glyphs import Glyphs
    from tracedrpc_console.spans import Row, Span, Trace

WIDE: Final = 100
"""Columns from which on there is room for the tree's lines."""
ERROR: Final = "ERROR"
_PALETTE: Final = ("cyan", "green", "magenta", "yellow", "blue")
_RED: Final = "bold red"
_DIM: Final = "dim"
_KIND_WIDTH: Final = 8
_MS_WIDTH: Final = 7
_BAR_LEAST: Final = 12
_NAME_SHARE: Final = 0.44
_HEARTBEATS: Final = ("heartbeat_received", "heartbeat_sent")


@dataclass(frozen=True, slots=True)
class _Scale:
    """Time to columns."""

    start_ns: int
    end_ns: int
    width: int

    def column(self, at_ns: int) -> float:
        share = (at_ns - self.start_ns) / max(1, self.end_ns - self.start_ns)
        return min(1.0, max(0.0, share)) * self.width

    def cells(self, start_ns: int, end_ns: int) -> range:
        """Return the columns of a stretch of time, at least one."""
        first = min(self.width - 1, math.floor(self.column(start_ns)))
        return range(first, max(first + 1, round(self.column(end_ns))))


def waterfall(trace: Trace, width: int, glyphs: Glyphs) -> list[Text]:
    """Return the lines of a trace's picture: a scale, a row for each span, the signs' meaning.

    Args:
        trace: what to draw; one without spans has no lines.
        width: columns there are, 60 at least.
        glyphs: the signs to draw with.
    """
    rows = trace.rows()
    if not rows:
        return []
    return _Picture(trace, rows, width, glyphs).lines()


class _Picture:
    def __init__(self, trace: Trace, rows: list[Row], width: int, glyphs: Glyphs) -> None:
        self._trace = trace
        self._rows = rows
        self._glyphs = glyphs
        self._labels = _labels(rows, glyphs, has_lines=width >= WIDE)
        self._service_width = max(len(row.span.service) for row in rows)
        self._name_width = min(max(map(len, self._labels)), int(width * _NAME_SHARE))
        self._error_width = len(ERROR) + 1 if any(row.span.is_error for row in rows) else 0
        fixed = self._service_width + self._name_width + _KIND_WIDTH + _MS_WIDTH + self._error_width
        spans = [row.span for row in rows]
        self._scale = _Scale(
            min(span.start_ns for span in spans),
            max(span.end_ns for span in spans),
            max(_BAR_LEAST, width - fixed - 3),
        )
        services = dict.fromkeys(span.service for span in spans)
        self._colours = {name: _PALETTE[at % len(_PALETTE)] for at, name in enumerate(services)}
        self._used: dict[str, dict[str, None]] = {}

    def lines(self) -> list[Text]:
        drawn = [self._line(row, label) for row, label in zip(self._rows, self._labels, strict=True)]
        return [self._ruler(), *drawn, self._legend()]

    def _line(self, row: Row, label: str) -> Text:
        span = row.span
        colour = self._colours[span.service]
        bad = _RED if span.is_error else ""
        line = Text(no_wrap=True)
        line.append(span.service.ljust(self._service_width + 1), colour)
        line.append(_cut(label, self._name_width, self._glyphs).ljust(self._name_width + 1), bad)
        line.append(span.kind.ljust(_KIND_WIDTH + 1), _DIM)
        line.append_text(self._bar(row, _RED if span.is_error else colour))
        line.append(rounded(span.duration_ms).rjust(_MS_WIDTH), bad)
        if span.is_error:
            line.append(f" {ERROR}", _RED)
        line.rstrip()
        return line

    def _bar(self, row: Row, style: str) -> Text:
        span, glyphs = row.span, self._glyphs
        cells: list[tuple[str, str]] = [(" ", "")] * self._scale.width
        for at in self._queue(row):
            cells[at] = (self._use(glyphs.queue, "waiting in a queue"), _DIM)
        length = self._scale.column(span.end_ns) - self._scale.column(span.start_ns)
        sign = glyphs.bar if length >= 0.5 else glyphs.sliver  # noqa: PLR2004 - half a column
        if span.kind is Kind.INTERNAL and span.name.startswith("queue "):
            sign = self._use(glyphs.queue, "waiting in a queue")
        for at in self._scale.cells(span.start_ns, span.end_ns):
            cells[at] = (sign, style)
        for event in span.events:
            sign, meaning = self._sign(event.name)
            mark = _RED if event.name == "exception" else "bold"
            at = min(self._scale.width - 1, int(self._scale.column(event.at_ns)))
            cells[at] = (self._use(sign, meaning), mark)
        return Text.assemble(*cells)

    def _queue(self, row: Row) -> range:
        """Return the columns in which a message was on its way to who then took it up."""
        sent_ns = self._sent_ns(row.span, row.parent) if row.parent is not None else 0
        until = self._scale.cells(row.span.start_ns, row.span.end_ns).start
        return range(math.ceil(self._scale.column(sent_ns)), until) if sent_ns else range(0)

    def _sent_ns(self, taker: Span, parent: Span) -> int:
        """Return when the message that a span begins with was sent; 0 when it begins with none."""
        siblings = self._trace.children(parent)
        if taker.kind is Kind.CONSUMER:
            return parent.end_ns
        if taker.kind is Kind.SERVER and not any(span.name.startswith("queue ") for span in siblings):
            return next((span.end_ns for span in siblings if span.name.startswith("publish ")), 0)
        if taker.name.startswith("receive ") and not taker.is_error:
            return next((span.end_ns for span in siblings if span.kind is Kind.SERVER), 0)
        return 0

    def _sign(self, event: str) -> tuple[str, str]:
        if event in _HEARTBEATS:
            return self._glyphs.heartbeat, "heartbeat"
        if event == "exception":
            return self._glyphs.exception, "exception"
        return self._glyphs.event, event.replace("_", " ")

    def _use(self, sign: str, meaning: str) -> str:
        """Remember a sign and its meaning for the legend."""
        self._used.setdefault(sign, {})[meaning] = None
        return sign

    def _ruler(self) -> Text:
        left = self._service_width + self._name_width + _KIND_WIDTH + 3
        total = rounded((self._scale.end_ns - self._scale.start_ns) / 1e6)
        scale = "0" + total.rjust(self._scale.width - 1)
        return Text(" " * left + scale + "ms".rjust(_MS_WIDTH), _DIM, no_wrap=True)

    def _legend(self) -> Text:
        signs = {self._glyphs.bar: {"span, to scale": None}} | self._used
        return Text("   ".join(f"{sign} {', '.join(means)}" for sign, means in signs.items()), _DIM)


def milliseconds(value: float) -> str:
    """Return a duration for people: "0.42 ms", "41.2 ms", "1204 ms"."""
    return f"{rounded(value)} ms"


def rounded(value: float) -> str:
    """Return milliseconds for people without their unit, with the digits that count."""
    digits = 2 if value < 10 else 1 if value < 1000 else 0  # noqa: PLR2004 - about three of them
    return f"{value:.{digits}f}"


def _labels(rows: list[Row], glyphs: Glyphs, *, has_lines: bool) -> list[str]:
    if not has_lines:
        return [" " * row.depth + row.span.name for row in rows]
    labels = []
    trunk: list[str] = []  # what stands above the children of each level
    for row in rows:
        del trunk[max(0, row.depth - 1):]
        own = "" if row.depth == 0 else glyphs.last if row.is_last else glyphs.branch
        labels.append("".join(trunk) + own + row.span.name)
        if row.depth:
            trunk.append(glyphs.gap if row.is_last else glyphs.line)
    return labels


def _cut(text: str, width: int, glyphs: Glyphs) -> str:
    return text if len(text) <= width else text[: width - 1] + glyphs.ellipsis
