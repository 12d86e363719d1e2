"""What telemetry adds to a call: CPU us for the client and for the server, without any I/O.

    python -m tests.bench.price

A call's way is gone through by hand, as the core goes it, once with telemetry and once with the
silent one; the difference is the price. Spans go into a queue that nobody exports.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from time import monotonic_ns, thread_time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NoOpTracerProvider

from tracedrpc._deadline import Deadline
from tracedrpc._guard import guarded
from tracedrpc.driver import Incoming
from tracedrpc.message import Invocation, Mode, Received, Request, ServerTimeline, ServerTimes, Stage
from tracedrpc.target import Target
from tracedrpc.telemetry import PoolStats, Telemetry
from tracedrpc_otel.native_sink import NativeSink
from tracedrpc_otel.own_meters import OwnMeterProvider
from tracedrpc_otel.own_provider import OwnProvider
from tracedrpc_otel.settings import Detail
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 20
CALLS = 100
"""Of a round; the cheapest round counts, because others were disturbed."""
SILENT = logging.CRITICAL + 1


@dataclass(frozen=True, slots=True)
class Price:
    """CPU us of one call, beyond what the silent telemetry costs."""

    client_us: float
    server_us: float

    @property
    def both_us(self) -> float:
        """Client and server together."""
        return self.client_us + self.server_us


@dataclass(frozen=True, slots=True)
class Case:
    """One way to have telemetry, and what it may cost; None where nobody has said.

    Attributes:
        budget_us: for `of`, "a side" or "both sides".
    """

    title: str
    make: Callable[[], Telemetry]
    budget_us: float | None = None
    of: str = "both sides"


class Queue(SpanProcessor):
    """Keeps the latest spans, as a batch does for its exporter."""

    def __init__(self) -> None:
        self._spans: deque[Any] = deque(maxlen=2048)

    def on_end(self, span: Any) -> None:
        """Keep a span."""
        self._spans.append(span)


class FixedPool:
    """A pool to be told of."""

    name = "send"

    def stats(self) -> PoolStats:
        """Return the counts of this instant."""
        return PoolStats(idle=1, in_use=1, waiters=0, max_size=8, created=2, closed=0)


class Asked(Incoming):
    """A request whose reply goes nowhere."""

    def __init__(self, received: Received) -> None:
        self.received = received
        self.timeline = ServerTimeline()
        self.topic = "compute"
        self.queue = self.routing_key = "compute.cn7"
        self.exchange = "nova"
        self.function = provider  # any will do

    def reply(self, result: Any) -> None:
        """Take the instant of the reply."""
        self.timeline.stamp_reply("cn7")

    def fail(self, error: BaseException) -> None:
        """Take the instant of the reply."""
        self.timeline.stamp_reply("cn7")

    def heartbeat(self) -> None:
        """Say nothing."""


def provider(sampler: Any = None) -> TracerProvider:
    """Return a provider whose spans go nowhere."""
    made = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    made.add_span_processor(Queue())
    return made


def meters() -> MeterProvider:
    """Return a provider whose metrics are collected by nobody."""
    return MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)


def by_sdk(detail: Detail = Detail.STANDARD, sampler: Any = ALWAYS_ON) -> Telemetry:
    """Return telemetry with spans that the SDK makes, without metrics."""
    sink = SdkSink(provider(sampler))
    return guarded(OTelTelemetry(sink, detail=detail, meter_provider=NoOpMeterProvider()))


def written(detail: Detail = Detail.STANDARD, sampler: Any = DEFAULT_ON) -> Telemetry:
    """Return telemetry with spans that we write, as `configure` sets it up, without metrics."""
    own = OwnProvider(Resource({}), SpanLimits())
    own.sampler = sampler
    batch: deque[bytes] = deque(maxlen=2048)
    sink = NativeSink(own, batch.append)
    return guarded(OTelTelemetry(sink, detail=detail, meter_provider=NoOpMeterProvider()))


def measured(meter_provider: MeterProvider) -> Telemetry:
    """Return telemetry with metrics, without spans."""
    return guarded(OTelTelemetry(SdkSink(NoOpTracerProvider()), meter_provider=meter_provider))


NEVER = ParentBased(TraceIdRatioBased(0))
CASES = (
    Case("no SDK", lambda: guarded(OTelTelemetry()), 8.0, "a side"),
    Case("not sampled, by the SDK", lambda: by_sdk(sampler=NEVER), 80.0),
    Case("standard, by the SDK", by_sdk, 250.0),
    Case("not sampled", lambda: written(sampler=NEVER), 80.0),
    Case("compact", lambda: written(Detail.COMPACT)),
    Case("standard", written, 250.0),
    Case("full", lambda: written(Detail.FULL)),
    Case("metrics alone, by the SDK", lambda: measured(meters())),
    Case("metrics alone", lambda: measured(OwnMeterProvider([], Resource({})))),
)


# ---- a call's way --------------------------------------------------------------------------------


WAY_US = (50, 80, 130, 900, 950, 1000)
"""Of a call: asked for a connection, held one, published, reply seen, caller awake, ended."""


def client_side(telemetry: Telemetry, invocation: Invocation, pool: FixedPool) -> dict[str, str]:
    """Tell telemetry what the core tells it of a call; return the carrier that it sends."""
    with telemetry.call(invocation) as scope:
        invocation.scope = scope
        carrier = dict(scope.carrier)
        telemetry.connection_acquired(pool, "hit", 0)
        asked, held, published, replied, woken, ended = (invocation.started_ns + us * 1000 for us in WAY_US)
        invocation.acquire_ns, invocation.acquired_ns, invocation.published_ns = asked, held, published
        invocation.attempts = 1
        invocation.peer, invocation.address = "rabbit-1:5672", "10.0.0.1"
        invocation.exchange, invocation.routing_key = "nova", "compute.cn7"
        invocation.reply_queue = "reply_77"
        invocation.server_times = ServerTimes(invocation.wall_ns(replied) - 200_000, 100, 200, 350, "cn7")
        invocation.server = "cn7"
        invocation.replied_ns, invocation.woken_ns, invocation.ended_ns = replied, woken, ended
        invocation.stage = Stage.DONE
        telemetry.call_finished(invocation, None)
    return carrier


def server_side(telemetry: Telemetry, incoming: Asked) -> None:
    """Tell telemetry what the core tells it of a request."""
    with telemetry.process(incoming) as scope:
        incoming.scope = scope
        incoming.timeline.handler_ns = monotonic_ns()
        incoming.timeline.handled_ns = monotonic_ns()
        incoming.reply(None)
        telemetry.request_finished(incoming)


def invocation() -> Invocation:
    """Return a call that has not begun."""
    target = Target(exchange="nova", topic="compute", server="cn7")
    request = Request(target, "reboot", {}, {}, Mode.CALL, "u" * 32, "a" * 32, 60.0)
    return Invocation(request, Deadline.after(60.0))


def incoming(carrier: dict[str, str]) -> Asked:
    """Return a request that has just been delivered."""
    return Asked(Received("reboot", {}, {}, unique_id="u" * 32, msg_id="a" * 32, carrier=carrier))


# ---- measuring -----------------------------------------------------------------------------------


def measure(telemetry: Telemetry, rounds: int = ROUNDS) -> Price:
    """Return what telemetry adds to a call."""
    silent = Telemetry()
    told, not_told = [], []
    for _ in range(rounds):
        told.append(_round(telemetry))
        not_told.append(_round(silent))
    client, server = ([min(side) for side in zip(*costs, strict=True)] for costs in (told, not_told))
    return Price(client[0] - server[0], client[1] - server[1])


def _round(telemetry: Telemetry) -> tuple[float, float]:
    """Return the CPU us of one call's client and of its server."""
    pool = FixedPool()
    calls = [invocation() for _ in range(CALLS)]
    carriers: list[dict[str, str]] = []
    client_us = _cpu_us(lambda: carriers.extend(client_side(telemetry, call, pool) for call in calls))
    requests = [incoming(carrier) for carrier in carriers]
    server_us = _cpu_us(lambda: [server_side(telemetry, request) for request in requests])
    return client_us, server_us


EIGHT: dict[str, str | int] = {
    "rpc.system.name": "oslo.messaging", "rpc.method": "compute/reboot", "server.address": "rabbit-1",
    "server.port": 5672, "network.peer.address": "10.0.0.1", "network.peer.port": 5672,
    "tracedrpc.mode": "call", "tracedrpc.msg_id": "a" * 32,
}


def span_us(rounds: int = ROUNDS) -> float:
    """Return the CPU us of one plain SDK span of eight attributes: a measure for machines that differ."""
    tracer = provider(ALWAYS_ON).get_tracer("plain")

    def work() -> None:
        for _ in range(CALLS):
            tracer.start_span("compute/reboot", attributes=EIGHT).end()

    return min(_cpu_us(work) for _ in range(rounds))


def _cpu_us(work: Callable[[], Any]) -> float:
    begun_ns = thread_time_ns()
    work()
    return (thread_time_ns() - begun_ns) / 1e3 / CALLS


# ---- printing ------------------------------------------------------------------------------------

PRICE_HEADER = ["price of telemetry, CPU us a call", "client", "server", "both", "budget", ""]


def price_rows() -> list[list[str]]:
    """Measure every case; return a row for each."""
    return [_row(case, measure(case.make())) for case in CASES]


def _row(case: Case, price: Price) -> list[str]:
    figures = [f"{us:.1f}" for us in (price.client_us, price.server_us, price.both_us)]
    if case.budget_us is None:
        return [case.title, *figures, "", ""]
    cost_us = max(price.client_us, price.server_us) if case.of == "a side" else price.both_us
    verdict = "met" if cost_us <= case.budget_us else "missed"
    return [case.title, *figures, f"<= {case.budget_us:g} {case.of}", verdict]


def main() -> None:
    """Print the table."""
    from tests.bench.run import print_table

    logging.getLogger("tracedrpc").setLevel(SILENT)
    print_table(PRICE_HEADER, price_rows())
    print(f"a plain span of the SDK with eight attributes: {span_us():.1f} us")


if __name__ == "__main__":
    main()
