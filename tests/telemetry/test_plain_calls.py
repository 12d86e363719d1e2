"""What is written at once of what went as nearly all goes is what is told of any call and request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.trace import NonRecordingSpan

from tests.telemetry.support import MS, Asked, incoming, invocation
from tests.telemetry.test_native_spans import AMPLE, TIGHT, Counting, remote, tidy
from tracedrpc.clocks import CLOCKS
from tracedrpc.message import ServerTimes, Stage
from tracedrpc_otel import plain_calls, plain_requests
from tracedrpc_otel.native_sink import NativeSink
from tracedrpc_otel.otlp_spans import Envelope
from tracedrpc_otel.own_provider import OwnProvider
from tracedrpc_otel.settings import Settings
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc.message import Invocation

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

RESOURCE = Resource({"service.name": "nova-api"})
STARTED_NS = 5_000_000_000
STARTED_WALL_NS = 1_700_000_000_000_000_000


def a_call(way_us: tuple[int, ...], served_us: tuple[int, int, int], skew_us: int) -> Invocation:
    """Return a call with its stamps.

    Args:
        way_us: from one to the next: asked, held, published, delivered, served, seen, awake, ended.
        served_us: on the server: before, in and after the method.
        skew_us: how far the server's clock is ahead.
    """
    call = invocation()
    call.started_ns, call.started_wall_ns = STARTED_NS, STARTED_WALL_NS
    stamps, at_ns = [], STARTED_NS
    total_us = sum(served_us)
    for number, each in enumerate(way_us):
        at_ns += each * 1000 + (total_us * 1000 if number == 4 else 0)
        stamps.append(at_ns)
    (
        call.acquire_ns, call.acquired_ns, call.published_ns, _, served_ns,
        call.replied_ns, call.woken_ns, call.ended_ns,
    ) = stamps
    call.server_times = ServerTimes(
        call.wall_ns(served_ns) + skew_us * 1000, served_us[0], served_us[1], total_us, "cn7",
    )
    call.server, call.attempts, call.stage = "cn7", 1, Stage.DONE
    call.peer, call.address = "rabbit-1:5672", "10.0.0.1"
    call.exchange, call.routing_key = "nova", "compute.cn7"
    call.reply_queue = "reply_77"
    return call


def told(call: Invocation, *, plainly: bool, limits: SpanLimits = AMPLE, **options: Any) -> list[Any]:
    """Return the spans of a call."""
    provider = OwnProvider(RESOURCE, limits)
    provider.id_generator = Counting()
    written: list[bytes] = []
    telemetry = OTelTelemetry(NativeSink(provider, written.append), settings=Settings(**options))
    if not plainly:
        object.__setattr__(telemetry._kit, "is_plain", False)
    CLOCKS.forget()
    call._anatomy = None
    with telemetry.call(call) as scope:
        call.scope = scope
    request = ExportTraceServiceRequest.FromString(Envelope("s", "1", "u").of(written, RESOURCE))
    return tidy(request)


times = st.integers(0, 9_000)


@given(
    way=st.tuples(*[times] * 8), served=st.tuples(times, times, times), skew=st.integers(-30_000, 30_000),
    confirmed=st.integers(-5_000, 20_000), has_parent=st.sampled_from([None, 0, 1]),
    timeout=st.sampled_from([None, 60.0, 0.25]), server=st.sampled_from([None, "cn7"]),
)
def test_the_spans_are_the_same_whichever_way_they_are_written(
    way: Any, served: Any, skew: int, confirmed: int, has_parent: Any, timeout: Any, server: Any,
) -> None:
    def make() -> Invocation:
        call = a_call(way, served, skew)
        request = call.request
        object.__setattr__(request, "timeout_s", timeout)
        object.__setattr__(request, "target", request.target(server=server))
        if confirmed > 0:
            call.confirmed_ns = call.published_ns + confirmed * 1000 - 3_000_000
        return call

    context = trace.set_span_in_context(NonRecordingSpan(remote(1))) if has_parent else None
    token = None if context is None else trace.context_api.attach(context)
    try:
        assert told(make(), plainly=True) == told(make(), plainly=False)
    finally:
        if token is not None:
            trace.context_api.detach(token)


QUICK = (20, 10, 120, 250, 150, 50, 30, 20)
SERVED = (100, 100, 50)


def is_plain(monkeypatch: pytest.MonkeyPatch, call: Invocation, **options: Any) -> bool:
    """Tell whether a call's spans were written at once."""
    answers = []
    write = plain_calls.write

    def noting(*args: Any) -> Any:
        answers.append(write(*args))
        return answers[-1]

    monkeypatch.setattr(plain_calls, "write", noting)
    spans = told(call, plainly=True, **options)
    assert spans
    return bool(answers and answers[-1])


def test_a_usual_call_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_plain(monkeypatch, a_call(QUICK, SERVED, 0))


def slow(call: Invocation) -> None:
    call.slow_ns = 1


def connecting(call: Invocation) -> None:
    call.connect_ns = 5


def retried(call: Invocation) -> None:
    call.attempts = 2


def returned(call: Invocation) -> None:
    call.returned_ns = call.published_ns


def monitored(call: Invocation) -> None:
    call.heartbeats = 1


def answered_by_another_library(call: Invocation) -> None:
    call.server_times = None


def with_a_clock_ahead(call: Invocation) -> None:
    assert call.server_times is not None
    call.server_times = ServerTimes(call.server_times.sent_ns + 60_000 * MS, *SERVED[:2], sum(SERVED), "cn7")


@pytest.mark.parametrize("change", [
    slow, connecting, retried, returned, monitored, answered_by_another_library, with_a_clock_ahead,
])
def test_a_call_with_more_to_tell_is_not(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None],
) -> None:
    call = a_call(QUICK, SERVED, 0)
    change(call)
    assert not is_plain(monkeypatch, call)


@pytest.mark.parametrize("options", [
    {"limits": TIGHT}, {"semconv": "oslo"}, {"capture": frozenset({"result"})},
])
def test_nor_is_one_that_a_switch_or_a_limit_changes(monkeypatch: pytest.MonkeyPatch, options: Any) -> None:
    assert not is_plain(monkeypatch, a_call(QUICK, SERVED, 0), **options)


def test_a_long_wait_for_a_connection_has_its_span() -> None:
    spans = told(a_call((20, 15_000, *QUICK[2:]), SERVED, 0), plainly=True)
    assert "acquire connection" in [span.name for span in spans]


# ---- requests ------------------------------------------------------------------------------------


def reboot() -> None:
    """The method of these requests."""


def a_request(way_us: tuple[int, ...], queued_us: int | None, timeout_s: float | None) -> Asked:
    """Return an answered request.

    Args:
        way_us: from one to the next: delivered, method entered, left, replied, handed over.
        queued_us: how long it was in its queue, None when its sender does not say.
        timeout_s: how long its sender waits.
    """
    sent_ns = 0 if queued_us is None else STARTED_WALL_NS - queued_us * 1000
    carrier = {"traceparent": f"00-{7:032x}-{8:016x}-01"}
    asked = incoming(carrier, sent_ns=sent_ns, timeout_s=timeout_s, reply_queue="reply_77")
    line, at_ns = asked.timeline, STARTED_NS
    line.delivered_ns, line.delivered_wall_ns = at_ns, STARTED_WALL_NS
    line.handler_ns, line.handled_ns, line.replied_ns, line.handed_ns = (
        at_ns := at_ns + each * 1000 for each in way_us
    )
    asked.function = reboot
    return asked


def told_of(asked: Asked, *, plainly: bool) -> list[Any]:
    """Return the spans of a request."""
    provider = OwnProvider(RESOURCE, AMPLE)
    provider.id_generator = Counting()
    written: list[bytes] = []
    telemetry = OTelTelemetry(NativeSink(provider, written.append), settings=Settings())
    if not plainly:
        object.__setattr__(telemetry._kit, "is_plain", False)
    with telemetry.process(asked) as scope:
        asked.scope = scope
    return tidy(ExportTraceServiceRequest.FromString(Envelope("s", "1", "u").of(written, RESOURCE)))


@given(
    way=st.tuples(*[st.integers(0, 12_000)] * 4), queued=st.none() | st.integers(0, 12_000),
    timeout=st.sampled_from([None, 60.0]),
)
def test_a_request_has_the_same_span_whichever_way_it_is_written(way: Any, queued: Any, timeout: Any) -> None:
    both = [told_of(a_request(way, queued, timeout), plainly=plainly) for plainly in (True, False)]
    assert both[0] == both[1]


def redelivered(asked: Asked) -> None:
    asked.redelivered = True


def counted(asked: Asked) -> None:
    object.__setattr__(asked.received, "delivery_count", 1)


def without_a_method(asked: Asked) -> None:
    asked.function = None


def taking_long(asked: Asked) -> None:
    asked.slow_ns = 1


@pytest.mark.parametrize("change", [None, redelivered, counted, without_a_method, taking_long])
def test_only_a_usual_request_is_written_at_once(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    answers = []
    write = plain_requests.write

    def noting(*args: Any) -> Any:
        answers.append(write(*args))
        return answers[-1]

    monkeypatch.setattr(plain_requests, "write", noting)
    asked = a_request((50, 80, 20, 30), 200, 60.0)
    if change is not None:
        change(asked)
    (span,) = told_of(asked, plainly=True)[-1:]
    assert span.name
    assert [answer is not None for answer in answers] == [change is None]
