"""What was taken is passed on to a collector, from a bounded queue that harms nobody."""

from __future__ import annotations

from tests.console.exports import a_span, trace_export
from tests.console.stores import store
from tracedrpc_console import forward
from tracedrpc_console.forward import Forwarder
from tracedrpc_console.ingest.intake import PROTOBUF, Intake
from tracedrpc_console.receiver import Receiver, SpanStore
from tracedrpc_console.store.signals import Signal

BODY = trace_export(a_span()).SerializeToString()


def test_a_collector_gets_what_the_console_took():
    collected = SpanStore()
    with store() as a_store, Receiver(collected) as collector, Forwarder(collector.url) as forwarder:
        intake = Intake(a_store.writer, forwarder)
        intake.accept(Signal.TRACES, PROTOBUF, "", BODY)
        intake.accept(Signal.TRACES, PROTOBUF, "", b"\xff")
        forwarder.flush(20)
        assert (forwarder.sent, forwarder.failed, forwarder.reason) == (1, 0, "")
    assert [span.name for span in collected.spans()] == ["compute/reboot"]


def test_a_collector_that_is_away_is_told_once_and_nothing_waits_for_it():
    with store() as a_store, Forwarder("http://127.0.0.1:1") as forwarder:
        intake = Intake(a_store.writer, forwarder)
        for _ in range(3):
            intake.accept(Signal.TRACES, PROTOBUF, "", BODY)
        forwarder.flush(20)
        assert (forwarder.sent, forwarder.failed) == (0, 3)
        assert "refused" in forwarder.reason
        assert a_store.writer.flush(10)
        assert a_store.reader.status().spans == 1


def test_what_waits_is_bounded_in_number_and_bytes(monkeypatch):
    monkeypatch.setattr(forward, "BYTES_MOST", 100)
    waiting = Forwarder("http://127.0.0.1:1")
    waiting("/v1/traces", PROTOBUF, "", b"x" * 100)
    waiting("/v1/traces", PROTOBUF, "", b"x")
    assert (waiting.failed, waiting.reason) == (1, "it is too slow")
