"""Hand-made calls and requests, and a tracer provider that keeps what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tracedrpc._deadline import Deadline
from tracedrpc._guard import guarded
from tracedrpc.driver import Incoming
from tracedrpc.message import Invocation, Mode, Received, Request, ServerTimeline, Stage
from tracedrpc.target import Target
from tracedrpc.telemetry import Pool, PoolStats
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MS = 1_000_000
CANARY = "c4n4ry-s3cr3t"


class Ledger(SpanProcessor):
    """Counts starts and ends."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.started = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started += 1
        self.open.add(span.get_span_context().span_id)

    def on_end(self, span: Any) -> None:
        self.open.remove(span.context.span_id)


class Lab:
    """A guarded listener over a real SDK, and its spans by name."""

    def __init__(self, provider: TracerProvider | None = None, **options: Any) -> None:
        self.provider = provider or TracerProvider(shutdown_on_exit=False)
        self.ledger = Ledger()
        self.exporter = InMemorySpanExporter()
        self.provider.add_span_processor(self.ledger)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.inner = OTelTelemetry(SdkSink(self.provider), **options)
        self.telemetry = guarded(self.inner)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, [span.name for span in self.spans]
        return found[0]


def target(**fields: Any) -> Target:
    return Target(**({"exchange": "nova", "topic": "compute", "server": "cn7"} | fields))


def invocation(
    mode: Mode = Mode.CALL, method: str = "reboot", to: Target | None = None, **fields: Any,
) -> Invocation:
    request = Request(
        target=to or target(),
        method=method,
        args={"password": CANARY},
        context={"token": CANARY},
        mode=mode,
        unique_id="u" * 32,
        msg_id="a" * 32 if mode is Mode.CALL else None,
        timeout_s=60.0 if mode is Mode.CALL else None,
        **fields,
    )
    return Invocation(request, Deadline.after(60.0))


def publish(call: Invocation) -> None:
    """Stamp the way to the broker: 2 ms for a connection, 1 ms to the socket."""
    call.acquire_ns = call.started_ns + MS
    call.acquired_ns = call.started_ns + 3 * MS
    call.published_ns = call.started_ns + 4 * MS
    call.attempts = 1
    call.stage = Stage.QUEUE_OR_SERVER
    call.peer = "rabbit-1:5672"
    call.exchange = "nova"
    call.routing_key = "compute.cn7" if call.request.mode is not Mode.FANOUT else ""
    call.reply_queue = "reply_77"


def finish(call: Invocation, server: ServerTimeline | None = None) -> None:
    """Stamp the way back: reply after 20 ms, caller awake 1 ms later."""
    call.replied_ns = call.started_ns + 20 * MS
    if server is not None:
        call.server_times = server.stamp_reply()
    call.woken_ns = call.ended_ns = call.started_ns + 21 * MS
    call.stage = Stage.DONE


class Asked(Incoming):
    """A request on a server."""

    def __init__(self, received: Received, timeline: ServerTimeline) -> None:
        self.received = received
        self.timeline = timeline
        self.topic = "compute"
        self.queue = "compute.cn7"
        self.exchange = "nova"
        self.routing_key = "compute.cn7"

    def reply(self, result: Any) -> None:
        self.timeline.stamp_reply()

    def fail(self, error: BaseException) -> None:
        self.timeline.stamp_reply()

    def heartbeat(self) -> None:
        pass


def incoming(
    carrier: Any = None, mode: Mode = Mode.CALL, method: str = "reboot", **fields: Any,
) -> Asked:
    received = Received(
        method=method,
        args={"password": CANARY},
        context={"token": CANARY},
        unique_id="u" * 32,
        msg_id="a" * 32 if mode is Mode.CALL else None,
        carrier=carrier or {},
        mode=mode,
        **fields,
    )
    return Asked(received, ServerTimeline())


def at(call: Invocation, delivered_ms: float) -> ServerTimeline:
    """Return a server's timeline on this call's clock: 5 ms to the handler, 8 ms in it."""
    timeline = ServerTimeline()
    timeline.delivered_ns = call.started_ns + int(delivered_ms * MS)
    timeline.delivered_wall_ns = call.wall_ns(timeline.delivered_ns)
    timeline.started_ns = timeline.delivered_ns + MS
    timeline.handler_ns = timeline.delivered_ns + 5 * MS
    timeline.handled_ns = timeline.delivered_ns + 13 * MS
    return timeline


class ReplyStamp:
    """Makes `stamp_reply` take a chosen instant instead of now."""

    def __init__(self, timeline: ServerTimeline, replied_ns: int) -> None:
        self.timeline = timeline
        self.replied_ns = replied_ns

    def stamp_reply(self) -> Any:
        from tracedrpc.message import ServerTimes

        line = self.timeline
        line.replied_ns = self.replied_ns
        return ServerTimes(
            sent_ns=line.wall_ns(self.replied_ns),
            wait_us=(line.handler_ns - line.delivered_ns) // 1000,
            handler_us=(line.handled_ns - line.handler_ns) // 1000,
            total_us=(self.replied_ns - line.delivered_ns) // 1000,
        )


class FakePool(Pool):
    name = "send"

    def stats(self) -> PoolStats:
        return PoolStats(idle=1, in_use=2, waiters=0, max_size=10, created=3, closed=0)


def run_call(lab: Lab, **fields: Any) -> tuple[Invocation, Asked]:
    """Run a whole call, client and server, through the listener."""
    call = invocation(**fields)
    call.scope = lab.telemetry.call(call)
    with call.scope as scope:
        publish(call)
        asked = incoming(dict(scope.carrier))
        asked.timeline = at(call, 5.0)
        asked.scope = lab.telemetry.process(asked)
        with asked.scope:
            stamp = ReplyStamp(asked.timeline, call.started_ns + 19 * MS)
            finish(call, stamp)  # type: ignore[arg-type]
    return call, asked
