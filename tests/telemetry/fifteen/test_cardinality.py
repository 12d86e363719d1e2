"""Ten thousand methods and ten thousand ids make a thousand series and a thousand names of spans."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from tests.bench.price import Asked, FixedPool, client_side, server_side
from tests.telemetry.meters import Readings
from tracedrpc._deadline import Deadline
from tracedrpc._guard import guarded
from tracedrpc.exceptions import MessagingTimeout, NoSuchMethod
from tracedrpc.message import Invocation, Mode, Received, Request, Stage
from tracedrpc.target import Target
from tracedrpc_otel.settings import Detail
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from tracedrpc.telemetry import Telemetry

COUNT = 10_000
MOST_SERIES = 1000
MOST_NAMES = 1001
OWN_TO_ONE_CALL = (
    "msg_id", "reply_queue", "delivery", "unique_id", "message.id", "conversation_id", "target.server",
)


class Names(SpanProcessor):
    """Counts the names of spans by kind."""

    def __init__(self) -> None:
        self.of: Counter[tuple[str, str]] = Counter()

    def on_end(self, span: Any) -> None:
        self.of[span.kind.name, span.name] += 1

    def by_kind(self) -> dict[str, int]:
        """Return how many names the spans of each kind have."""
        return dict(Counter(kind for kind, _ in self.of))


class Told:
    """Telemetry of the real SDK, the names of its spans and the points of its metrics."""

    def __init__(self) -> None:
        self.names = Names()
        self.readings = Readings()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.names)
        self.telemetry: Telemetry = guarded(OTelTelemetry(
            SdkSink(provider), detail=Detail.COMPACT, meter_provider=self.readings.provider,
        ))


@pytest.fixture(scope="module")
def told() -> Told:
    """Return what ten thousand calls of as many methods told, one in ten of them timing out."""
    made, pool = Told(), FixedPool()
    for number in range(COUNT):
        carrier = client_side(made.telemetry, _invocation(number), pool)
        server_side(made.telemetry, _incoming(number, carrier))
        if number % 10 == 0:
            _time_out(made.telemetry, number)
    return made


def _id(number: int) -> str:
    return f"{number:032x}"


def _invocation(number: int) -> Invocation:
    target = Target(exchange="nova", topic="compute", server=f"cn{number}")
    request = Request(target, f"method_{number}", {}, {}, Mode.CALL, _id(number), _id(number), 60.0)
    return Invocation(request, Deadline.after(60.0))


def _incoming(number: int, carrier: dict[str, str]) -> Asked:
    return Asked(Received(
        f"method_{number}", {}, {}, unique_id=_id(number), msg_id=_id(number), carrier=carrier,
        reply_queue=f"reply_{_id(number)}",
    ))


def _time_out(telemetry: Telemetry, number: int) -> None:
    invocation = _invocation(number)
    with telemetry.call(invocation) as scope:
        invocation.scope = scope
        invocation.stage = Stage.UNROUTABLE
        invocation.reply_queue = f"reply_{_id(number)}"
        telemetry.call_timed_out(invocation)
        telemetry.call_finished(invocation, MessagingTimeout())


def test_spans_have_a_thousand_names(told: Told) -> None:
    counts = told.names.by_kind()
    assert counts["CLIENT"] <= MOST_NAMES
    assert counts["SERVER"] <= MOST_NAMES
    assert counts["CLIENT"] > MOST_NAMES / 2  # the first ones have their own
    assert sum(told.names.of.values()) >= 2 * COUNT


def test_methods_make_no_more_than_a_thousand_series_of_any_metric(told: Told) -> None:
    for name, points in told.readings.collect().items():
        others = [point for point in points if point.attributes.get("rpc.method") == "_OTHER"]
        assert len(points) - len(others) <= MOST_SERIES, name
        assert len(others) <= 2, name  # those that succeeded and those that timed out
    assert len(told.readings.points("rpc.client.call.duration")) > MOST_SERIES / 2


def test_no_metric_is_labelled_with_what_is_one_calls_own(told: Told) -> None:
    series = told.readings.collect().values()
    keys = {key for points in series for point in points for key in point.attributes}
    assert not [key for key in keys if key.endswith(OWN_TO_ONE_CALL)]


def test_the_sdk_had_to_drop_no_series_by_itself(told: Told) -> None:
    points = [point for points in told.readings.collect().values() for point in points]
    assert not [point for point in points if "otel.metric.overflow" in point.attributes]


def test_made_up_methods_make_no_names_on_the_server() -> None:
    told = Told()
    for number in range(MOST_NAMES + 500):
        incoming = _incoming(number, {})
        error = NoSuchMethod(f"method_{number}")
        with told.telemetry.process(incoming) as scope:
            incoming.scope = scope
            scope.failed(error)
            incoming.fail(error)
            told.telemetry.request_failed(incoming, error, expected=False)
    assert set(told.names.of) == {("SERVER", "_OTHER")}
    assert len(told.readings.points("rpc.server.call.duration")) == 1
