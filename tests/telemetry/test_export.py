"""What arrives at a real OTLP endpoint, what gets lost on the way, and how long that may take."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry import support
from tests.telemetry.otlp_receiver import OtlpReceiver
from tests.telemetry.programs import run
from tests.telemetry.support import CANARY, Lab, incoming, invocation, publish, run_call
from tracedrpc.exceptions import NoSuchMethod, RemoteError
from tracedrpc_otel.configure import Configured, build
from tracedrpc_otel.exporting import GRPC, HTTP, ForkProof, otlp_exporter
from tracedrpc_otel.signals import MAKERS, make_resource

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOLS = (HTTP, GRPC)


@pytest.fixture(scope="module")
def running() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(running: OtlpReceiver) -> OtlpReceiver:
    running.clear()
    return running


def _url(receiver: OtlpReceiver, protocol: str) -> str:
    return receiver.grpc_url if protocol == GRPC else receiver.http_url


def _all_signals(url: str, protocol: str) -> Configured:
    """Return all three providers, none of them the global one."""
    resource = make_resource("nova-api", {"team": "x"})
    return Configured(
        make(resource, [ForkProof(lambda signal=signal: otlp_exporter(url, protocol, None, signal))])
        for signal, make in MAKERS.items()
    )


def _use(configured: Configured) -> None:
    """End a span, count to three and log a record."""
    providers = {name: signal.provider for name, signal in configured.signals.items()}
    with providers["traces"].get_tracer("t").start_as_current_span("work"):
        providers["metrics"].get_meter("m").create_counter("orders").add(3)
        providers["logs"].get_logger("l").emit(body="done", event_name="order_placed")


def _eventful(lab: Lab) -> None:
    """Meet every way in which a secret might get out."""
    run_call(lab)
    call = invocation()
    with pytest.raises(RemoteError), lab.telemetry.call(call):
        publish(call)
        support.finish(call)
        raise RemoteError("Gone", CANARY, [CANARY])
    for error in (LookupError(CANARY), NoSuchMethod(CANARY)):
        asked = incoming()
        with lab.telemetry.process(asked) as scope:
            asked.timeline.handler_ns = 1
            try:
                raise error
            except LookupError as caught:
                scope.failed(caught)
            except NoSuchMethod as caught:
                scope.failed(caught, expected=True)
    lab.telemetry.message_discarded("q", "json", CANARY.encode())


# ---- arrival ----------------------------------------------------------------------------------


def test_a_call_arrives_and_holds_no_secret(receiver: OtlpReceiver) -> None:
    configured = build("nova-api", otlp_exporter(receiver.http_url, HTTP), {"team": "x"})
    lab = Lab(configured.provider)
    _eventful(lab)
    assert configured.shutdown()
    assert configured.dropped == 0
    assert configured.exported == len(receiver.spans) == len(lab.spans) > 0
    span = receiver.spans[0]
    assert span.service == "nova-api"
    assert span.resource["team"] == "x"
    assert span.resource["host.name"]
    assert span.resource["service.instance.id"]
    assert span.origin.scope.schema_url.endswith("/1.44.0")
    assert CANARY.encode() not in b"".join(export.body for export in receiver.exports)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_three_signals_arrive_and_name_the_same_process(receiver: OtlpReceiver, protocol: str) -> None:
    configured = _all_signals(_url(receiver, protocol), protocol)
    _use(configured)
    assert configured.flush()
    (span,), (log,), (point,) = receiver.spans, receiver.logs, receiver.metrics
    assert (span.name, log.event_name, log.body, point.name, point.value) == (
        "work", "order_placed", "done", "orders", 3,
    )
    assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id)
    assert point.exemplars[0].trace_id == span.trace_id
    assert span.resource == log.resource == point.resource
    assert configured.shutdown()
    counts = {name: (signal.exported, signal.dropped) for name, signal in configured.signals.items()}
    assert counts == {"traces": (1, 0), "metrics": (2, 0), "logs": (1, 0)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_headers_go_with_every_export(receiver: OtlpReceiver, protocol: str) -> None:
    configured = Configured(
        make(make_resource("x", {}), [ForkProof(lambda signal=signal: otlp_exporter(
            _url(receiver, protocol), protocol, {"X-Api-Key": "k"}, signal,
        ))])
        for signal, make in MAKERS.items()
    )
    _use(configured)
    assert configured.shutdown()
    assert {export.signal for export in receiver.exports} == set(MAKERS)
    assert {export.headers["x-api-key"] for export in receiver.exports} == {"k"}


def test_a_base_url_may_end_in_the_path_of_any_signal(receiver: OtlpReceiver) -> None:
    configured = _all_signals(f"{receiver.http_url}/v1/traces/", HTTP)
    _use(configured)
    assert configured.shutdown()
    assert {export.signal for export in receiver.exports} == set(MAKERS)


def test_an_unknown_protocol_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="http/json"):
        otlp_exporter(None, "http/json")


# ---- dead endpoints ---------------------------------------------------------------------------


@contextmanager
def _refused() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    yield url


@contextmanager
def _black_hole() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(50)
        yield f"http://127.0.0.1:{hole.getsockname()[1]}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("endpoint", [_refused, _black_hole])
def test_a_dead_endpoint_holds_up_the_end_of_all_signals_no_longer_than_asked(
    endpoint: Any, protocol: str,
) -> None:
    with endpoint() as url:
        configured = _all_signals(url, protocol)
        for _ in range(3):
            _use(configured)
        begun = time.monotonic()
        assert not configured.shutdown(timeout_s=1.0)
        assert time.monotonic() - begun < 3.0
    counts = {name: (signal.exported, signal.dropped) for name, signal in configured.signals.items()}
    assert counts == {"traces": (0, 3), "metrics": (0, 1), "logs": (0, 3)}
    # What comes too late is lost too, and counted.
    _use(configured)
    assert configured.signals["traces"].dropped == configured.signals["logs"].dropped == 4


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_process_with_a_dead_endpoint_ends_in_time(protocol: str) -> None:
    script = """
import logging, sys, tracedrpc_otel
logging.getLogger("opentelemetry").disabled = True
from tests.telemetry.programs import echo_client
configured = tracedrpc_otel.configure("x", endpoint=sys.argv[1], protocol_name=sys.argv[2])
with echo_client() as client:
    client.call({}, "echo", value=1)
"""
    with _black_hole() as url:
        ended = run(script, url, protocol)
    assert ended.seconds < 20  # 5 s, and the start of an interpreter on a busy machine
