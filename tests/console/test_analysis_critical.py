"""The critical path: what Jaeger blames, and that it ends whatever the spans say."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.layouts import LAYOUTS
from tracedrpc_console.analysis.critical import PathSpan, blame_us, critical_path


@pytest.mark.parametrize(
    ("layout", "blamed", "ms"),
    [
        ("A", "PRODUCER call", 56.0),
        ("B", "CLIENT call", 43.3),
        ("C", "CLIENT wait", 42.7),
        ("D", "CLIENT call", 19.3),
        ("D", "INTERNAL handle", 15.0),
        ("D", "SERVER server", 8.3),
        ("E", "INTERNAL queue", 17.9),
        ("E", "INTERNAL handle", 15.0),
        ("E", "CLIENT connect", 11.3),
        ("E", "SERVER server", 8.3),
        ("E", "CLIENT publish", 0.9),
        ("E", "PRODUCER publish reply", 0.7),
        ("E", "CLIENT receive", 0.7),
        ("E", "CLIENT call", 0.7),
        ("F", "CLIENT call", 25.4),
        ("G", "SERVER server", 992),
        ("J", "CLIENT call", 43.3),
        ("K", "CLIENT receive", 997),
        ("L1", "CLIENT call", 24.7),
        ("L2", "INTERNAL queue", 17.9),
        ("L3", "INTERNAL queue", 22.9),
        ("L4", "CLIENT call", 5.7),
        ("L5", "INTERNAL queue", 17.9),
    ],
)
def test_what_jaeger_blames_in_each_layout(layout: str, blamed: str, ms: float) -> None:
    assert blame_us(critical_path(LAYOUTS[layout]))[blamed] / 1000 == pytest.approx(ms, abs=0.15)


@pytest.mark.parametrize(
    ("layout", "is_on"),
    [
        ("A", False), ("B", False), ("C", False), ("D", True), ("E", True), ("F", False), ("G", True),
        ("J", False), ("K", False), ("L1", False), ("L2", True), ("L3", True), ("L4", True), ("L5", True),
    ],
)
def test_in_which_layouts_the_server_is_on_the_path(layout: str, is_on: bool) -> None:
    names = {section.span.name for section in critical_path(LAYOUTS[layout])}
    assert ("server" in names) is is_on


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_sections_of_a_path_add_up_to_the_root(layout: str) -> None:
    sections = critical_path(LAYOUTS[layout])
    assert sum(blame_us(sections).values()) == LAYOUTS[layout][0].end_us
    for later, earlier in pairwise(sections):
        assert later.start_us == earlier.end_us


def test_a_trace_without_spans_has_no_path() -> None:
    assert critical_path([]) == []


def test_spans_in_a_circle_have_no_path() -> None:
    assert critical_path([_span("1", "2", 0, 5), _span("2", "1", 0, 5)]) == []


def test_a_span_whose_parent_is_missing_counts_as_a_root() -> None:
    (section,) = critical_path([_span("1", "gone", 0, 5)])
    assert (section.span.id, section.start_us, section.end_us) == ("1", 0, 5)


def test_of_children_that_end_together_the_first_is_waited_for() -> None:
    path = critical_path([_span("1", "", 0, 9), _span("2", "1", 1, 8), _span("3", "1", 1, 8)])
    assert [section.span.id for section in path] == ["1", "2", "1"]


def test_ten_thousand_spans_one_below_the_other_are_walked() -> None:
    spans = [_span(str(at), str(at - 1) if at else "", at, 20_000 - at) for at in range(10_000)]
    assert sum(blame_us(critical_path(spans)).values()) == 20_000


_TIMES = st.integers(0, 30)


_KINDS = st.sampled_from(["CLIENT", "PRODUCER", "CONSUMER"])


@given(st.lists(st.tuples(st.integers(0, 12), _TIMES, _TIMES, _KINDS)))
def test_the_path_of_any_spans_ends_and_covers_its_root(rows: list[tuple[int, int, int, str]]) -> None:
    spans = [
        PathSpan(str(at), str(parent) if parent != at else "", "n", kind, start, end)
        for at, (parent, start, end, kind) in enumerate(rows)
    ]
    sections = critical_path(spans)
    assert all(section.start_us < section.end_us for section in sections)
    for later, earlier in pairwise(sections):
        assert later.start_us == earlier.end_us


def _span(span_id: str, parent_id: str, start_us: int, end_us: int) -> PathSpan:
    return PathSpan(span_id, parent_id, "name", "INTERNAL", start_us, end_us)
