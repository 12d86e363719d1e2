from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.console.support import a_call, span
from tracedrpc_console.spans import Kind, Span, Trace, traces

IDS = [f"{number:x}" for number in range(12)]


@st.composite
def any_spans(draw: st.DrawFn) -> list[Span]:
    """Return spans of one trace: parents missing, in circles, clocks apart, ids twice."""
    spans = []
    for span_id in draw(st.lists(st.sampled_from(IDS), max_size=12)):
        parent_id = draw(st.sampled_from(["", "lost", *IDS]))
        start_ms = draw(st.integers(-5000, 5000))
        end_ms = start_ms + draw(st.integers(-10, 1000))
        spans.append(span(span_id, parent_id, "any", "any", Kind.INTERNAL, start_ms, end_ms))
    return spans


@given(any_spans())
def test_every_span_has_one_row_below_its_parents(spans: list[Span]) -> None:
    rows = Trace(spans).rows()
    assert sorted(row.span.span_id for row in rows) == sorted({each.span_id for each in spans})
    depths = {row.span.span_id: row.depth for row in rows}
    seen = set()
    for row in rows:
        if row.parent is not None:
            assert row.parent.span_id in seen
            assert row.depth == depths[row.parent.span_id] + 1
        else:
            assert row.depth == 0
        seen.add(row.span.span_id)


@given(any_spans())
def test_siblings_stand_in_the_order_of_their_starts(spans: list[Span]) -> None:
    trace = Trace(spans)
    for each in trace.spans:
        starts = [child.start_ns for child in trace.children(each)]
        assert starts == sorted(starts)


@given(any_spans())
def test_a_duration_is_never_negative(spans: list[Span]) -> None:
    assert all(each.duration_ms >= 0 for each in spans)


def test_a_span_without_its_parent_is_shown_but_is_not_the_root() -> None:
    orphans = a_call()[1:]
    trace = Trace(orphans)
    assert trace.root is None
    assert {row.span.span_id: row.depth for row in trace.rows()} == {"2": 0, "3": 0, "4": 1, "5": 0}


def test_a_child_whose_clock_is_ahead_stays_below_its_parent() -> None:
    early = span("9", "1", "compute", "early", Kind.SERVER, -3000, -2990)
    rows = Trace([*a_call(), early]).rows()
    assert [row.span.span_id for row in rows][:2] == ["1", "9"]


def test_a_trace_deeper_than_the_stack_is_no_trouble() -> None:
    root = span("0", "", "s", "n", Kind.INTERNAL, 0, 1)
    deep = [span(f"{at}", f"{at - 1}", "s", "n", Kind.INTERNAL, at, at + 1) for at in range(1, 5000)]
    assert Trace([root, *deep]).rows()[-1].depth == 4999


def test_spans_are_grouped_by_trace() -> None:
    one, two = a_call()[:2]
    other = Span("b" * 32, "1", "", "s", "n", Kind.SERVER, 1, 2)
    assert [len(trace.spans) for trace in traces([one, other, two])] == [2, 1]
