"""The span of a request on its server."""

from __future__ import annotations

import contextvars

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.telemetry.support import CANARY, Lab, incoming
from tracedrpc.exceptions import NoSuchMethod, UnsupportedVersion

PARENT = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "tracestate": "a=b"}


def test_the_server_span_is_the_callers_child_and_current_in_the_handler(lab: Lab) -> None:
    asked = incoming(PARENT)
    with lab.telemetry.process(asked):
        current = trace.get_current_span()
        current.set_attribute("application", "own")
        inside = current.get_span_context()
    span = lab.span("compute/reboot")
    assert span.kind is SpanKind.SERVER
    assert span.context == inside
    assert span.parent.span_id == int("2" * 16, 16)
    assert span.parent.is_remote
    assert span.context.trace_state.to_header() == "a=b"
    assert span.attributes["application"] == "own"
    assert span.start_time == asked.timeline.delivered_wall_ns


def test_without_trace_context_a_request_is_a_new_trace(lab: Lab) -> None:
    tracer = lab.provider.get_tracer("application")
    with tracer.start_as_current_span("unrelated"), lab.telemetry.process(incoming()):
        pass
    assert lab.span("compute/reboot").parent is None


def test_a_failure_is_recorded_once_by_type_and_place(lab: Lab) -> None:
    asked = incoming(PARENT)
    with lab.telemetry.process(asked) as scope:
        asked.timeline.handler_ns = asked.timeline.started_ns
        try:
            raise LookupError(CANARY)  # noqa: TRY301 - for its traceback
        except LookupError as error:
            scope.failed(error)
            asked.fail(error)
    span = lab.span("compute/reboot")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == span.attributes["error.type"] == "LookupError"
    (event,) = span.events
    assert event.name == "exception"
    assert set(event.attributes) == {"exception.type", "exception.stacktrace"}
    assert "test_server_spans.py" in event.attributes["exception.stacktrace"]
    assert CANARY not in span.to_json()
    assert span.end_time == asked.timeline.wall_ns(asked.timeline.replied_ns)


def test_an_expected_failure_leaves_the_status_unset(lab: Lab) -> None:
    with lab.telemetry.process(incoming()) as scope:
        scope.failed(LookupError(CANARY), expected=True)
    span = lab.span("compute/reboot")
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["error.type"] == "LookupError"
    assert span.attributes["tracedrpc.expected"] is True
    assert "tracedrpc.sampling.keep_reason" not in span.attributes
    assert not span.events


@pytest.mark.parametrize("error", [NoSuchMethod("reboot"), UnsupportedVersion("9.9", "reboot")])
def test_a_method_that_is_not_there_does_not_name_the_span(lab: Lab, error: Exception) -> None:
    with lab.telemetry.process(incoming()) as scope:
        scope.failed(error)
    span = lab.span("_OTHER")
    assert span.attributes["rpc.method"] == "_OTHER"
    assert span.attributes["rpc.method_original"] == "compute/reboot"
    assert span.status.status_code is StatusCode.ERROR


def test_a_handlers_own_call_of_an_unknown_method_does_not_rename_its_span(lab: Lab) -> None:
    asked = incoming()
    with lab.telemetry.process(asked) as scope:
        asked.timeline.handler_ns = asked.timeline.started_ns
        scope.failed(NoSuchMethod("other"))
    assert lab.span("compute/reboot").attributes["error.type"] == "NoSuchMethod"


def test_a_flood_of_unknown_methods_does_not_push_out_the_true_ones(lab: Lab) -> None:
    for number in range(1500):
        with lab.telemetry.process(incoming(method=f"m{number}")) as scope:
            scope.failed(NoSuchMethod("m"))
    with lab.telemetry.process(incoming()):
        pass
    assert lab.spans[-1].name == "compute/reboot"
    assert {span.name for span in lab.spans} == {"_OTHER", "compute/reboot"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_what_escapes_ends_the_span_too(lab: Lab, error: type[BaseException]) -> None:
    with pytest.raises(error), lab.telemetry.process(incoming()):
        raise error
    assert lab.span("compute/reboot").status.description == error.__name__
    assert not lab.ledger.open


def test_leaving_in_another_context_is_quiet(lab: Lab) -> None:
    scope = lab.telemetry.process(incoming())
    contextvars.copy_context().run(scope.__enter__)
    scope.__exit__(None, None, None)
    assert not lab.ledger.open


def test_a_redelivered_request_says_so(lab: Lab) -> None:
    asked = incoming(delivery_count=2)
    asked.redelivered = True
    with lab.telemetry.process(asked) as scope:
        assert scope.carrier["traceparent"]
    attributes = lab.span("compute/reboot").attributes
    assert attributes["tracedrpc.redelivered"] is True
    assert attributes["tracedrpc.delivery_count"] == 2
    assert attributes["tracedrpc.sampling.keep_reason"] == "redelivered"
