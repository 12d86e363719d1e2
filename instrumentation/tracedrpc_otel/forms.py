"""Spans of which only ids, times and durations differ, written by filling in a form."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.trace import TraceState

from tracedrpc_otel import otlp_spans
from tracedrpc_otel.otlp_bytes import attributes
from tracedrpc_otel.otlp_spans import Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.trace import SpanKind

TEXT_SIZE: Final = 32
"""Characters of a text that is filled in: an id of ours."""
_STATE: Final = TraceState()
_double: Final = Struct("<d").pack
_fixed64: Final = Struct("<Q").pack


class Blanks(NamedTuple):
    """What stands for a value in a form while it is made: values that no attribute has.

    Attributes:
        texts, measures: stand for the text and the floats to come, in the order of `fill`.
    """

    texts: Sequence[str]
    measures: Sequence[float]

    @classmethod
    def of(cls, texts: int, measures: int) -> Blanks:
        """Return so many of each."""
        return cls(
            [f"\x01blank {number:025d}" for number in range(texts)],
            [-5.562684646268003e-309 * (number + 1) for number in range(measures)],
        )


class Form:
    """A span as bytes with blanks: trace id, span id, parent's span id, start, end, texts, measures.

    Args:
        name: as on the span.
        kind: as on the span.
        values: its attributes, blanks among them.
        parent: None for a root, else whether the parent is of another process.
        blanks: those that are among the values.
    """

    def __init__(
        self, name: str, kind: SpanKind, values: Mapping[str, object], *,
        parent: bool | None, blanks: Blanks,
    ) -> None:
        trace_id, span_id, parent_id = 0xB1A1 << 96 | 0xB1A2, 0xB1A3 << 32 | 0xB1A4, 0xB1A5 << 32 | 0xB1A6
        start_ns, end_ns = 0xB1A7 << 40 | 0xB1A8, 0xB1A9 << 40 | 0xB1AA
        above = None if parent is None else Ids(trace_id, parent_id, _STATE, parent)
        written = otlp_spans.span(
            Ids(trace_id, span_id, _STATE), above, name, kind, (start_ns, end_ns),
            attributes(otlp_spans.SPAN, values),
        )
        marks = [
            (trace_id.to_bytes(16, "big"), "16s"), (span_id.to_bytes(8, "big"), "8s"),
            *(() if parent is None else ((parent_id.to_bytes(8, "big"), "8s"),)),
            (_fixed64(start_ns), "Q"), (_fixed64(end_ns), "Q"),
            *((text.encode(), f"{TEXT_SIZE}s") for text in blanks.texts),
            *((_double(value), "d") for value in blanks.measures),
        ]
        self._pack, self._parts, self._order = _cut(written, marks)

    def fill(self, *values: bytes | float) -> bytes:
        """Return the span, in the order that the class says; ids and texts as bytes."""
        parts = self._parts.copy()
        for place, value in zip(self._order, values, strict=True):
            parts[place] = value
        return self._pack(*parts)


def _cut(
    written: bytes, marks: Sequence[tuple[bytes, str]],
) -> tuple[Callable[..., bytes], list[object], list[int]]:
    """Cut bytes at the marks; return a packer, its arguments without the blanks, and where each blank is."""
    begins = sorted((written.index(mark), number) for number, (mark, _) in enumerate(marks))
    parts: list[object] = []
    codes, order, at = ["<"], [0] * len(marks), 0
    for begin, number in begins:
        mark, code = marks[number]
        codes += (f"{begin - at}s", code)
        order[number] = len(parts) + 1
        parts += (written[at:begin], b"")
        at = begin + len(mark)
    codes.append(f"{len(written) - at}s")
    parts.append(written[at:])
    return Struct("".join(codes)).pack, parts, order
