"""Durations of calls, casts and requests: what their spans say, with their trace, sampled or not."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import tracedrpc
from tests.telemetry.meters import BOTH_WAYS, Readings, Spy
from tests.telemetry.support import MS, FakePool, Lab, finish, incoming, invocation, publish, target
from tracedrpc.exceptions import MessageUndeliverable, MessagingTimeout, RemoteError
from tracedrpc.message import Mode
from tracedrpc.testing import memory_transport
from tracedrpc_otel.settings import Settings
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

CALL = {"rpc.system.name": "oslo.messaging", "rpc.method": "compute/reboot"}
NODE = {"server.address": "rabbit-1", "server.port": 5672}
DURATIONS = [
    "rpc.client.call.duration", "rpc.server.call.duration", "tracedrpc.server.queue.duration",
]


@pytest.fixture(params=BOTH_WAYS)
def readings(request: pytest.FixtureRequest) -> Readings:
    return BOTH_WAYS[request.param]()


@pytest.fixture
def lab(readings: Readings) -> Lab:
    return Lab(meter_provider=readings.provider)


def _seconds(span: ReadableSpan) -> float:
    return (span.end_time - span.start_time) / 1e9


def _call(lab: Lab, error: BaseException | None = None, **fields: Any) -> Any:
    """Run a call or cast of its client through the listener, as the RPC layer does."""
    call = invocation(**fields)
    call.scope = lab.telemetry.call(call)
    with call.scope as scope:
        publish(call)
        if call.request.mode is Mode.CALL and not isinstance(error, MessagingTimeout):
            finish(call)
        call.ended_ns = call.started_ns + 21 * MS
        if error is not None:
            scope.failed(error)
        lab.telemetry.call_finished(call, error)
    return call


def _serve(lab: Lab, error: BaseException | None = None, *, expected: bool = False, **fields: Any) -> Any:
    """Run a request through the listener, as the RPC layer does."""
    asked = incoming(**fields)
    asked.scope = lab.telemetry.process(asked)
    with asked.scope as scope:
        asked.timeline.handler_ns = asked.timeline.handled_ns = asked.timeline.started_ns
        asked.timeline.replied_ns = asked.timeline.delivered_ns + 7 * MS
        if error is None:
            lab.telemetry.request_finished(asked)
        else:
            scope.failed(error, expected=expected)
            lab.telemetry.request_failed(asked, error, expected=expected)
    return asked


# ---- values and attributes --------------------------------------------------------------------


def test_a_calls_duration_is_that_of_its_span(lab: Lab, readings: Readings) -> None:
    _call(lab)
    _serve(lab)
    client = readings.point("rpc.client.call.duration")
    assert client.attributes == CALL | NODE
    assert (client.count, client.sum) == (1, 0.021)
    served = readings.point("rpc.server.call.duration")
    assert served.attributes == CALL
    assert (served.count, served.sum) == (1, 0.007)
    spans = {span.kind.name: _seconds(span) for span in lab.spans if span.name == "compute/reboot"}
    assert spans == pytest.approx({"CLIENT": 0.021, "SERVER": 0.007})
    assert client.explicit_bounds[0] == 0.005
    assert client.explicit_bounds[-1] == 10


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (LookupError("x"), {"error.type": "LookupError", "rpc.response.status_code": "REMOTE_ERROR"}),
        (
            RemoteError("app.Full", "no", []),
            {"error.type": "app.Full", "rpc.response.status_code": "REMOTE_ERROR"},
        ),
        (
            MessageUndeliverable(None, "nova", "compute", None),
            {"error.type": "MessageUndeliverable", "rpc.response.status_code": "UNDELIVERABLE"},
        ),
        (KeyboardInterrupt(), {"error.type": "KeyboardInterrupt"}),
        (MessagingTimeout("late"), {"error.type": "MessagingTimeout", "rpc.response.status_code": "TIMEOUT"}),
    ],
)
def test_a_failed_call_says_how_as_its_span_does(
    lab: Lab, readings: Readings, error: BaseException, attributes: dict[str, str],
) -> None:
    _call(lab, error)
    assert readings.point("rpc.client.call.duration").attributes == CALL | NODE | attributes
    told = lab.span("compute/reboot").attributes
    assert {key: told.get(key) for key in attributes} == attributes


def test_a_call_that_never_had_a_connection_names_no_node(lab: Lab, readings: Readings) -> None:
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with call.scope:
        call.ended_ns = call.started_ns + MS
        lab.telemetry.call_finished(call, MessagingTimeout("no connection"))
    assert not NODE.keys() & readings.point("rpc.client.call.duration").attributes.keys()


def test_expected_exceptions_are_no_errors_of_the_server(lab: Lab, readings: Readings) -> None:
    _serve(lab, LookupError("x"), expected=True)
    _serve(lab, LookupError("x"), method="rebuild")
    points = readings.points("rpc.server.call.duration")
    errors = {point.attributes["rpc.method"]: point.attributes.get("error.type") for point in points}
    assert errors == {"compute/reboot": None, "compute/rebuild": "LookupError"}


@pytest.mark.parametrize("mode", [Mode.CAST, Mode.FANOUT])
def test_casts_are_messaging_and_spoil_no_rpc_histogram(lab: Lab, readings: Readings, mode: Mode) -> None:
    _call(lab, mode=mode)
    _serve(lab, mode=mode)
    assert not [name for name in readings.collect() if name.startswith("rpc.")]
    common = CALL | {"messaging.system": "rabbitmq"}
    del common["rpc.system.name"]
    template = "nova:compute.{server}" if mode is Mode.CAST else "nova"
    sent = readings.point("messaging.client.operation.duration")
    assert (sent.count, sent.sum) == (1, 0.021)
    assert sent.attributes == common | NODE | {
        "messaging.operation.name": mode.value, "messaging.operation.type": "send",
        "messaging.destination.template": template,
    }
    processed = readings.point("messaging.process.duration")
    assert (processed.count, processed.sum) == (1, 0.007)
    assert processed.attributes == common | {
        "messaging.operation.name": "process", "messaging.operation.type": "process",
        "messaging.destination.template": "nova:compute.{server}",
    }


def test_the_time_in_the_queue_is_the_spans(lab: Lab, readings: Readings) -> None:
    _serve(lab, sent_ns=time.time_ns() - 250 * MS)
    point = readings.point("tracedrpc.server.queue.duration")
    assert point.attributes == {
        "messaging.destination.template": "nova:compute.{server}", "tracedrpc.queue.quality": "sender_clock",
    }
    assert 0.25 <= point.sum < 2


def test_a_request_sent_in_the_last_century_has_a_wrong_clock(lab: Lab, readings: Readings) -> None:
    _serve(lab, sent_ns=1, mode=Mode.CAST)
    assert readings.points("messaging.process.duration")
    assert not readings.points("tracedrpc.server.queue.duration")


# ---- exemplars and sampling -------------------------------------------------------------------


def test_every_duration_of_a_sampled_call_carries_its_trace(lab: Lab, readings: Readings) -> None:
    _call(lab)
    asked = _serve(lab, sent_ns=time.time_ns() - 250 * MS)
    _call(lab, mode=Mode.CAST)
    _serve(lab, mode=Mode.CAST)
    spans = {span.context.span_id: span.context.trace_id for span in lab.spans}
    points = readings.collect()
    assert asked.scope is not None
    for name in (*DURATIONS, "messaging.client.operation.duration", "messaging.process.duration"):
        for point in points[name]:
            (exemplar,) = point.exemplars
            assert spans[exemplar.span_id] == exemplar.trace_id, name


def test_the_trace_is_found_when_the_span_is_not_current(lab: Lab, readings: Readings) -> None:
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with call.scope:
        publish(call)
        finish(call)
        thread = threading.Thread(target=lab.telemetry.call_finished, args=(call, None))
        thread.start()
        thread.join()
    (exemplar,) = readings.point("rpc.client.call.duration").exemplars
    assert exemplar.trace_id == lab.span("compute/reboot").context.trace_id


def test_an_unsampled_call_is_measured_without_an_exemplar(readings: Readings) -> None:
    lab = Lab(TracerProvider(ALWAYS_OFF, shutdown_on_exit=False), meter_provider=readings.provider)
    _call(lab)
    _serve(lab, sent_ns=time.time_ns())
    for name in DURATIONS:
        point = readings.point(name)
        assert point.count == 1
        assert not point.exemplars


def test_metrics_need_no_tracer(readings: Readings) -> None:
    lab = Lab()
    lab.inner = OTelTelemetry(SdkSink(trace.NoOpTracerProvider()), meter_provider=readings.provider)
    lab.telemetry = lab.inner
    _call(lab)
    _serve(lab, sent_ns=time.time_ns())
    assert [readings.point(name).count for name in DURATIONS] == [1, 1, 1]
    assert not lab.spans


def test_switched_off_nothing_is_measured_and_spans_stay(readings: Readings) -> None:
    lab = Lab(meter_provider=readings.provider, settings=Settings(metrics=False))
    _call(lab)
    lab.telemetry.message_dropped(None, "nova:compute", "expired")
    assert not readings.collect()
    assert lab.span("compute/reboot")


# ---- under way --------------------------------------------------------------------------------


def test_what_is_under_way_is_counted_until_it_ends(lab: Lab, readings: Readings) -> None:
    def under_way() -> tuple[int, int]:
        points = readings.collect()
        (calls,) = points["tracedrpc.client.in_flight"]
        (requests,) = points["tracedrpc.server.active_requests"]
        assert calls.attributes == requests.attributes == {"rpc.system.name": "oslo.messaging"}
        return calls.value, requests.value

    assert under_way() == (0, 0)
    call, asked = invocation(), incoming()
    call.scope, asked.scope = lab.telemetry.call(call), lab.telemetry.process(asked)
    with call.scope, asked.scope:
        assert under_way() == (1, 1)
        lab.telemetry.request_failed(asked, LookupError(), expected=False)
        lab.telemetry.call_finished(call, KeyboardInterrupt())
    assert under_way() == (0, 0)


# ---- how much is measured ---------------------------------------------------------------------


class Endpoint:
    def echo(self, ctxt: Any, value: int) -> int:
        return value

    def sleep(self, ctxt: Any) -> None:
        time.sleep(1.2)


class Rig:
    """A client and a server in one process, and what they measured when both are done."""

    def __init__(self) -> None:
        self.spy = Spy()
        self.transport = memory_transport(telemetry=Lab(meter_provider=self.spy).inner)
        to = target(exchange=None)
        self.server = tracedrpc.get_rpc_server(self.transport, to, [Endpoint()], executor="threading")
        self.server.start()
        self.client = tracedrpc.get_rpc_client(self.transport, target(exchange=None, server=None), timeout=5)

    def measured(self) -> list[str]:
        self.server.stop()
        self.server.wait()
        return self.spy.names()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.measured()
    rig.transport.cleanup()


def test_a_call_costs_three_measurements_on_both_sides_together(rig: Rig) -> None:
    assert rig.client.call({}, "echo", value=1) == 1
    assert rig.measured() == DURATIONS


def test_a_slow_call_with_heartbeats_costs_no_more(rig: Rig) -> None:
    rig.client.prepare(call_monitor_timeout=1).call({}, "sleep")
    assert rig.measured() == DURATIONS


def test_a_cast_costs_three_measurements_on_both_sides_together(rig: Rig) -> None:
    rig.client.cast({}, "echo", value=1)
    rig.client.call({}, "echo", value=2)  # so that the cast has arrived, too
    sent_and_worked_on = ["messaging.client.operation.duration", "messaging.process.duration"]
    queued = DURATIONS[-1]
    assert rig.measured() == sorted([*DURATIONS, *sent_and_worked_on, queued])


def test_a_time_out_costs_its_client_one_measurement(rig: Rig) -> None:
    with pytest.raises(MessagingTimeout):
        rig.client.prepare(topic="nowhere", timeout=0.05).call({}, "echo", value=1)
    assert rig.measured() == ["rpc.client.call.duration"]


def test_waiting_for_a_connection_costs_one_more_and_having_one_nothing() -> None:
    spy = Spy()
    lab = Lab(meter_provider=spy)
    lab.telemetry.connection_acquired(FakePool(), "hit", 0)
    assert not spy.measured
    lab.telemetry.connection_acquired(FakePool(), "waited", 5 * MS)
    assert spy.names() == ["tracedrpc.client.connection.wait_time"]
