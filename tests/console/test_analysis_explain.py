"""One sentence about a trace, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.support import a_call, failed, span
from tracedrpc import semconv
from tracedrpc.anatomy import Phase
from tracedrpc.message import Stage
from tracedrpc_console.analysis.advice import ABOUT, AFTER_TIMEOUT, WORDS
from tracedrpc_console.analysis.explain import explain, subject
from tracedrpc_console.analysis.tree import phases_ms
from tracedrpc_console.spans import Kind, Trace

if TYPE_CHECKING:
    from tracedrpc_console.spans import Span


def told(each: Span, **attributes: Any) -> Span:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return replace(each, attributes={**each.attributes, semconv.MODE: "call", **named})


def with_phases(spans: list[Span], **phases: float) -> list[Span]:
    named = {semconv.phase_ms(phase): ms for phase, ms in phases.items()}
    return [replace(spans[0], attributes={semconv.MODE: "call", **named}), *spans[1:]]


def test_what_the_call_says_itself_comes_first() -> None:
    call, *rest = a_call()
    said = explain(Trace([told(call, tracedrpc__why="40.0 ms: 10.0 in queue 'compute'"), *rest]))
    assert said.sentence == "compute/reboot: 40.0 ms: 10.0 in queue 'compute'"
    assert said.why == "40.0 ms: 10.0 in queue 'compute'"


def test_else_the_sentence_is_made_of_the_phases_without_the_small_ones() -> None:
    spans = with_phases(a_call(), queue=10.0, handler=24.0, prepare=0.1)
    said = explain(Trace(spans))
    told = "40.0 ms: 10.0 in the queue and on the way there, 24.0 in the method"
    assert said.sentence == f"compute/reboot: {told}"
    assert said.phases == {Phase.PREPARE: 0.1, Phase.QUEUE: 10.0, Phase.HANDLER: 24.0}
    assert said.advice == (ABOUT[Phase.QUEUE], ABOUT[Phase.HANDLER])


def test_a_trace_of_somebody_elses_is_explained_by_its_critical_path() -> None:
    spans = [
        span("1", "", "web", "GET /", Kind.SERVER, 0, 100),
        span("2", "1", "db", "SELECT", Kind.CLIENT, 10, 90),
    ]
    said = explain(Trace(failed(spans, "2")))
    assert said.sentence == "100.0 ms: 80.0 in db: SELECT, 20.0 in web: GET /; 1 span failed"
    assert [(share.service, share.ms) for share in said.shares] == [("db", 80.0), ("web", 20.0)]


def test_the_critical_path_comes_in_the_order_of_time() -> None:
    sections = explain(Trace(a_call())).critical
    assert [section.start_us for section in sections] == sorted(section.start_us for section in sections)


def test_what_a_method_does_is_not_blamed_on_the_method() -> None:
    spans = [
        span("1", "", "api", "demo/boot", Kind.SERVER, 0, 100),
        span("2", "1", "api", "handle boot", Kind.INTERNAL, 1, 99),
        span("3", "1", "api", "compute/boot", Kind.CLIENT, 10, 90),
    ]
    shares = {share.name: share.ms for share in explain(Trace(spans)).shares}
    assert shares == {"compute/boot": 80.0, "handle boot": 18.0, "demo/boot": 2.0}


def test_of_calls_that_timed_out_the_innermost_is_explained() -> None:
    outer = told(
        span("1", "", "a", "one", Kind.CLIENT, 0, 50, is_error=True), tracedrpc__timeout__phase="server",
    )
    inner = told(
        span("2", "1", "b", "two", Kind.CLIENT, 5, 45, is_error=True), tracedrpc__timeout__phase="unroutable",
    )
    assert subject(Trace([outer, inner])) == inner
    assert explain(Trace([outer, inner])).advice == (AFTER_TIMEOUT[Stage.UNROUTABLE],)


def test_an_inner_failure_that_was_caught_does_not_explain_a_call_that_went_well() -> None:
    outer = told(span("1", "", "a", "one", Kind.CLIENT, 0, 50))
    inner = told(span("2", "1", "b", "two", Kind.CLIENT, 5, 45, is_error=True))
    assert subject(Trace([outer, inner])) == outer


def test_a_remote_error_names_the_service_that_raised() -> None:
    call = told(span("1", "", "api", "one", Kind.CLIENT, 0, 50, is_error=True), error__type="NotFound")
    server = span("2", "1", "compute", "one", Kind.SERVER, 5, 45, is_error=True)
    (advice,) = explain(Trace([call, server])).advice
    assert advice.startswith("compute raised NotFound")


def test_parts_of_a_call_are_not_calls() -> None:
    publish = span("2", "", "api", "publish nova:compute", Kind.CLIENT, 0, 1)
    assert subject(Trace([publish])) is None


def test_an_empty_trace_has_nothing_to_say() -> None:
    assert explain(Trace([])).sentence == ""


@pytest.mark.parametrize("value", ["12", None, True, -1.0])
def test_a_phase_that_is_no_duration_is_left_out(value: Any) -> None:
    assert phases_ms({semconv.phase_ms(Phase.QUEUE): value}) == {}


def test_every_phase_and_every_time_out_has_words() -> None:
    assert set(WORDS) == set(ABOUT) == set(Phase)
    assert set(AFTER_TIMEOUT) == set(Stage) - {Stage.DONE}
