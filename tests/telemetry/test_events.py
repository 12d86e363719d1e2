"""Events go onto spans, into OpenTelemetry's logs, or both, as somebody chooses."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.telemetry.support import MS, FakePool, Lab, incoming, invocation, publish
from tracedrpc.exceptions import MessagingTimeout
from tracedrpc.message import Mode
from tracedrpc_otel.events import EXCEPTION_VARIABLE, opted_exceptions
from tracedrpc_otel.settings import Events, Settings


class LoggedLab(Lab):
    """A lab that keeps log records too."""

    def __init__(self, events: Events = Events.SPAN, provider: TracerProvider | None = None) -> None:
        self.kept = InMemoryLogRecordExporter()
        logs = LoggerProvider(shutdown_on_exit=False)
        logs.add_log_record_processor(SimpleLogRecordProcessor(self.kept))
        super().__init__(provider, settings=Settings(events=events), logger_provider=logs)

    @property
    def records(self) -> list[Any]:
        return [each.log_record for each in self.kept.get_finished_logs()]


def _play(lab: Lab) -> None:
    """Tell an event of each way: live, of the thread's span, of a leaf, at the end, an exception."""
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with pytest.raises(MessagingTimeout), call.scope:
        publish(call)
        lab.telemetry.connection_acquired(FakePool(), "waited", MS)
        lab.telemetry.publish_retried(call, "nova:compute", "connection_lost", 0.25)
        for count in range(1, 6):
            call.heartbeats, call.heartbeat_ns = count, call.started_ns + count * MS
            lab.telemetry.heartbeat_received(call)
        raise MessagingTimeout


TOLD = ["connection_acquired", "heartbeat_received", "publish_retried", "exception"]


def _on_spans(lab: Lab) -> set[str]:
    return {event.name for span in lab.spans for event in span.events}


def test_by_default_events_are_on_spans_only() -> None:
    lab = LoggedLab()
    _play(lab)
    assert _on_spans(lab) == set(TOLD)
    assert not lab.records


def test_in_the_logs_they_have_the_calls_ids_their_own_time_and_attributes() -> None:
    lab = LoggedLab(Events.LOGS)
    _play(lab)
    assert not _on_spans(lab)
    client = lab.span("compute/reboot")
    names = {record.event_name for record in lab.records}
    assert names == {*TOLD[:-1], "rpc.client.call.exception"}
    for record in lab.records:
        assert (record.trace_id, record.span_id) == (client.context.trace_id, client.context.span_id)
        assert record.trace_flags.sampled
        assert record.body is None
    beat = next(record for record in lab.records if record.event_name == "heartbeat_received")
    assert beat.timestamp == client.start_time + MS
    assert beat.attributes["tracedrpc.heartbeat.count"] == 1
    assert beat.severity_number is SeverityNumber.INFO


def test_both_means_both() -> None:
    lab = LoggedLab(Events.DUP)
    _play(lab)
    assert _on_spans(lab) == set(TOLD)
    assert len(lab.records) == sum(len(span.events) for span in lab.spans)


@pytest.mark.parametrize(
    ("word", "on_span", "in_logs"),
    [("", True, False), ("logs", False, True), ("http, logs/dup", True, True), ("nonsense", True, False)],
)
def test_the_conventions_own_switch_moves_exceptions_alone(
    word: str, on_span: bool, in_logs: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(EXCEPTION_VARIABLE, word)
    lab = LoggedLab()
    _play(lab)
    assert ("exception" in _on_spans(lab)) is on_span
    assert set(TOLD) - {"exception"} <= _on_spans(lab)
    assert [record.event_name for record in lab.records] == ["rpc.client.call.exception"] * in_logs


def test_both_logs_words_mean_both() -> None:
    assert opted_exceptions({EXCEPTION_VARIABLE: "logs,logs/dup"}) is Events.DUP


@pytest.mark.parametrize(
    ("mode", "name"), [(Mode.CALL, "rpc.server.call.exception"), (Mode.CAST, "messaging.process.exception")],
)
def test_a_servers_exception_has_the_conventions_name_and_severity(mode: Mode, name: str) -> None:
    lab = LoggedLab(Events.LOGS)
    with lab.telemetry.process(incoming(mode=mode)) as scope:
        scope.failed(LookupError())
    (record,) = lab.records
    assert (record.event_name, record.severity_number) == (name, SeverityNumber.ERROR)
    assert record.attributes["exception.type"] == "LookupError"


def test_a_sender_that_fails_logs_a_warning() -> None:
    lab = LoggedLab(Events.LOGS)
    with pytest.raises(RuntimeError), lab.telemetry.call(invocation(Mode.CAST)):
        raise RuntimeError
    (record,) = lab.records
    assert (record.event_name, record.severity_text) == ("messaging.send.exception", "WARN")


def test_what_is_not_sampled_is_not_logged_either() -> None:
    lab = LoggedLab(Events.LOGS, TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    _play(lab)
    assert not lab.records
