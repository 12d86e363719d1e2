"""Metrics of real calls over a real RabbitMQ: connections, pools, and no series for a message."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import tracedrpc
from tests.telemetry.meters import BOTH_WAYS
from tests.telemetry.support import CANARY, Lab
from tracedrpc_otel.instruments import INSTRUMENTS
from tracedrpc_otel.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED = {row.name: set(row.attributes) for row in INSTRUMENTS}
CONNECTION = "tracedrpc.client.connection."

pytestmark = pytest.mark.usefixtures("no_leaks")


class Endpoint:
    def echo(self, ctxt: Any, value: int) -> int:
        return value

    def fail(self, ctxt: Any) -> None:
        raise LookupError(CANARY)


@contextmanager
def _running(rabbit_url: str, topic: str, lab: Lab) -> Iterator[Any]:
    with tracedrpc.get_rpc_transport(url=rabbit_url, telemetry=lab.inner) as transport:
        to = tracedrpc.Target(topic=topic, server="cn7")
        with tracedrpc.get_rpc_server(transport, to, [Endpoint()], executor="threading"):
            yield tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=topic), timeout=10)


@pytest.mark.parametrize("way", BOTH_WAYS)
def test_real_calls_are_measured_on_both_sides_and_their_connections_too(
    rabbit_url: str, topic: str, way: str,
) -> None:
    readings = BOTH_WAYS[way]()
    lab = Lab(meter_provider=readings.provider, settings=Settings())
    with _running(rabbit_url, topic, lab) as client:
        for number in range(20):
            assert client.call({"token": CANARY}, "echo", value=number) == number
        client.cast({}, "echo", value=1)
        with pytest.raises(LookupError):
            client.call({}, "fail")
        during = readings.collect()
    after = readings.collect()

    calls = {point.attributes["rpc.method"]: point for point in during["rpc.client.call.duration"]}
    echo, fail = calls[f"{topic}/echo"], calls[f"{topic}/fail"]
    assert (echo.count, fail.count) == (20, 1)
    assert echo.exemplars
    assert echo.attributes["server.port"] > 0
    assert fail.attributes["error.type"] == "LookupError"
    served = {point.attributes["rpc.method"]: point.count for point in after["rpc.server.call.duration"]}
    assert served == {f"{topic}/echo": 20, f"{topic}/fail": 1}
    queued = after["tracedrpc.server.queue.duration"]
    assert sum(point.count for point in queued) == 22
    assert sum(point.sum for point in queued) < 10
    (processed,) = after["messaging.process.duration"]
    assert processed.count == 1

    made = after[CONNECTION + "create_time"]
    purposes = {point.attributes["tracedrpc.connection.purpose"] for point in made}
    assert purposes == {"send", "replies", "listen"}
    assert sum(point.value for point in during[CONNECTION + "count"]) >= 1
    assert sum(point.value for point in after[CONNECTION + "count"]) == 0
    (acquired,), (used,) = after[CONNECTION + "acquired"], after[CONNECTION + "use_time"]
    assert acquired.value >= 43  # 22 requests and 21 replies
    assert 0 < used.value < 60
    waits = {
        point.attributes["tracedrpc.pool.result"]: point.count for point in during[CONNECTION + "wait_time"]
    }
    assert waits["created"] >= 1
    assert waits.keys() <= {"created", "waited"}
    assert "tracedrpc.connection_lost" not in after

    for name, points in after.items():
        assert all(point.attributes.keys() <= ALLOWED[name] for point in points), name
        assert len(points) <= 6, name
        assert CANARY not in str(points), name
