"""Neither applications nor peers can make series or span names without end."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from tests.telemetry.meters import BOTH_WAYS, Readings
from tests.telemetry.support import MS, Lab, finish, incoming, invocation, publish, target
from tracedrpc.exceptions import NoSuchMethod, RemoteError
from tracedrpc.message import Mode
from tracedrpc_otel.cardinality import ERROR_LIMIT, NAMED_LIMIT, OTHER_LIMIT, PEER_LIMIT, Series
from tracedrpc_otel.durations import _call as _call_attributes
from tracedrpc_otel.instruments import CLIENT_DURATION, INSTRUMENTS

if TYPE_CHECKING:
    from tracedrpc.message import Invocation

MANY = 10_000
MOST = 1000
"""Methods told apart; what comes later is `_OTHER`."""
ALLOWED = {row.name: set(row.attributes) for row in INSTRUMENTS}


@pytest.fixture(params=BOTH_WAYS)
def readings(request: pytest.FixtureRequest) -> Readings:
    return BOTH_WAYS[request.param]()


@pytest.fixture
def lab(readings: Readings) -> Lab:
    return Lab(meter_provider=readings.provider)


def _call(
    lab: Lab, error: BaseException | None = None, peer: str = "rabbit-1:5672", **fields: Any,
) -> Invocation:
    call = invocation(**fields)
    call.scope = lab.telemetry.call(call)
    with call.scope as scope:
        publish(call)
        call.peer = peer
        finish(call)
        if error is not None:
            scope.failed(error)
        lab.telemetry.call_finished(call, error)
    return call


def _serve(lab: Lab, error: BaseException | None = None, **fields: Any) -> None:
    asked = incoming(**fields)
    asked.scope = lab.telemetry.process(asked)
    with asked.scope as scope:
        if error is None:
            asked.timeline.handler_ns = asked.timeline.handled_ns = asked.timeline.started_ns
            asked.timeline.replied_ns = asked.timeline.delivered_ns + MS
            lab.telemetry.request_finished(asked)
        else:
            scope.failed(error)
            lab.telemetry.request_failed(asked, error, expected=False)


def _methods(readings: Readings, name: str) -> list[str]:
    return [point.attributes["rpc.method"] for point in readings.points(name)]


def _check_keys(readings: Readings) -> None:
    for name, points in readings.collect().items():
        assert all(point.attributes.keys() <= ALLOWED[name] for point in points), name


class Named(Sampler):
    """Takes no span and keeps their names."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *_: Any, **__: Any,
    ) -> SamplingResult:
        self.names.add(name)
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "Named"


def test_ten_thousand_methods_and_ids_make_a_thousand_series_and_names(readings: Readings) -> None:
    named = Named()
    lab = Lab(TracerProvider(named, shutdown_on_exit=False), meter_provider=readings.provider)
    call, asked = invocation(), incoming(sent_ns=1)
    for number in range(MANY):
        name, msg_id = f"method_{number}", f"{number:032x}"
        call.request = replace(call.request, method=name, msg_id=msg_id, unique_id=msg_id)
        with lab.telemetry.call(call):
            lab.telemetry.call_finished(call, None)
        asked.received = replace(asked.received, method=name, msg_id=msg_id, unique_id=msg_id)
        lab.telemetry.request_finished(asked)
    methods = _methods(readings, "rpc.client.call.duration")
    assert len(methods) == len(set(methods)) == MOST + 1
    assert "_OTHER" in methods
    assert sorted(_methods(readings, "rpc.server.call.duration")) == sorted(methods)
    (other,) = [
        point for point in readings.points("rpc.client.call.duration")
        if point.attributes["rpc.method"] == "_OTHER"
    ]
    assert other.count == MANY - MOST
    assert len(named.names) == MOST + 1
    _check_keys(readings)


def test_the_span_and_the_metric_decide_alike(lab: Lab, readings: Readings) -> None:
    for number in range(MOST + 50):
        _call(lab, method=f"method_{number}", mode=Mode.CAST)
    told = {str(span.attributes["rpc.method"]) for span in lab.spans if span.kind.name == "PRODUCER"}
    assert told == set(_methods(readings, "messaging.client.operation.duration"))


def test_methods_that_nobody_has_are_one_series_and_push_none_out(lab: Lab, readings: Readings) -> None:
    for number in range(MOST + 50):
        _serve(lab, NoSuchMethod(f"made_up_{number}"), method=f"made_up_{number}")
    _serve(lab, method="reboot")
    assert sorted(_methods(readings, "rpc.server.call.duration")) == ["_OTHER", "compute/reboot"]


def test_classes_of_errors_are_bounded(lab: Lab, readings: Readings) -> None:
    for number in range(MOST):
        _call(lab, RemoteError(f"app.Error{number}", "text", []))
    points = readings.points("rpc.client.call.duration")
    assert len(points) == ERROR_LIMIT + 1
    assert "_OTHER" in {point.attributes["error.type"] for point in points}
    assert sum(point.count for point in points) == MOST


def test_broker_nodes_are_bounded(lab: Lab, readings: Readings) -> None:
    for number in range(3 * PEER_LIMIT):
        _call(lab, peer=f"rabbit-{number}:5672")
    points = readings.points("rpc.client.call.duration")
    assert len(points) == PEER_LIMIT + 1
    assert len([point for point in points if "server.address" not in point.attributes]) == 1


def test_topics_are_bounded(lab: Lab, readings: Readings) -> None:
    for number in range(2 * MOST):
        _call(lab, mode=Mode.CAST, to=target(topic=f"topic_{number}", server=None))
    points = readings.points("messaging.client.operation.duration")
    assert len({point.attributes["messaging.destination.template"] for point in points}) == MOST + 1


def test_methods_errors_and_nodes_together_are_bounded_and_nothing_is_lost() -> None:
    series = Series(CLIENT_DURATION, _call_attributes, dict)
    told: set[frozenset[Any]] = set()
    for method, error, node in product(range(400), range(20), range(5)):
        status = "REMOTE_ERROR" if error else ""
        attributes = series.of(f"m{method}", f"Error{error}" if error else "", status, f"rabbit-{node}:5672")
        told.add(frozenset(attributes.items()))
    named = [one for one in told if dict(one)["rpc.method"] != "_OTHER"]
    assert len(named) == NAMED_LIMIT
    assert len(told) <= NAMED_LIMIT + OTHER_LIMIT
    again = series.of("m0", "", "", "rabbit-0:5672")
    assert again["rpc.method"] == "m0"
    last = series.of("m399", "Error19", "REMOTE_ERROR", "rabbit-4:5672")
    assert last == {
        "rpc.system.name": "oslo.messaging", "rpc.method": "_OTHER", "error.type": "_OTHER",
        "rpc.response.status_code": "REMOTE_ERROR",
    }


def test_servers_make_no_series(lab: Lab, readings: Readings) -> None:
    for number in range(50):
        _call(lab, to=target(server=f"cn{number}"))
        _call(lab, to=target(server=f"cn{number}"), mode=Mode.CAST)
    assert len(readings.points("rpc.client.call.duration")) == 1
    assert len(readings.points("messaging.client.operation.duration")) == 1
