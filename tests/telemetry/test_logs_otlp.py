"""What is logged with `logging` arrives as OpenTelemetry's log records."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

from tests.telemetry.otlp_receiver import OtlpReceiver
from tests.telemetry.programs import Echo, echo_client
from tracedrpc._log import WARNING, line
from tracedrpc_otel.configure import Configured
from tracedrpc_otel.exporting import HTTP, ForkProof, otlp_exporter
from tracedrpc_otel.log_handler import Attachment, OtlpHandler
from tracedrpc_otel.log_records import TEXT_LIMIT
from tracedrpc_otel.signals import make_logs, make_resource, make_traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.telemetry.otlp_values import LogData

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Logged:
    """A handler above the root logger, and what arrived of what it was given."""

    def __init__(self, receiver: OtlpReceiver, redact: set[str]) -> None:
        exporter = ForkProof(lambda: otlp_exporter(receiver.http_url, HTTP, None, "logs"))
        resource = make_resource("x", {})
        self.configured = Configured([make_logs(resource, [exporter]), make_traces(resource, [])])
        self.receiver = receiver
        self.handler = OtlpHandler(self.configured.signals["logs"].provider, redact)
        self.attachment = Attachment(self.handler)
        self.tracer = self.configured.provider.get_tracer("t")  # type: ignore[union-attr]
        self.log = logging.getLogger("shop")

    @property
    def records(self) -> list[LogData]:
        assert self.configured.flush(10)
        return sorted(self.receiver.logs, key=lambda log: log.at_ns)  # they come by logger

    @property
    def only(self) -> LogData:
        (record,) = self.records
        return record


@pytest.fixture(scope="module")
def running() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def logged(running: OtlpReceiver) -> Iterator[Logged]:
    running.clear()
    made = Logged(running, {"password"})
    assert made.attachment.attach()
    yield made
    made.attachment.detach()
    made.configured.shutdown()


# ---- records ----------------------------------------------------------------------------------


def test_a_record_has_its_text_level_logger_and_extra_fields(logged: Logged) -> None:
    logged.log.warning("sold %d of %s", 3, "apples", extra={"shop.count": 3, "list": ["a", 1], "none": None})
    record = logged.only
    assert record.body == "sold 3 of apples"
    assert (record.severity, record.severity_text) == (13, "WARN")
    assert record.origin.scope.name == "shop"
    assert record.attributes == {"shop.count": 3, "list": ["a", "1"]}
    assert record.event_name == ""
    assert 0 <= record.observed_ns - record.at_ns < 60e9


def test_a_line_of_ours_is_an_event_with_its_fields(logged: Logged) -> None:
    line(WARNING, "call_timed_out", {"rpc.method": "compute/reboot", "tracedrpc.elapsed_ms": 1.5})
    record = logged.only
    assert record.event_name == "call_timed_out"
    assert record.body.startswith("call_timed_out rpc.method=compute/reboot")
    assert record.attributes == {"rpc.method": "compute/reboot", "tracedrpc.elapsed_ms": 1.5}
    assert record.origin.scope.name == "tracedrpc"


@pytest.mark.parametrize(
    ("level", "number", "text"),
    [(5, 1, "TRACE"), (10, 5, "DEBUG"), (25, 9, "INFO"), (40, 17, "ERROR"), (50, 21, "FATAL")],
)
def test_levels_are_severities(logged: Logged, level: int, number: int, text: str) -> None:
    logged.log.handle(logging.makeLogRecord({"name": "shop", "levelno": level, "msg": "x"}))
    assert (logged.only.severity, logged.only.severity_text) == (number, text)


def test_a_record_belongs_to_the_span_that_its_fields_name(logged: Logged) -> None:
    with logged.tracer.start_as_current_span("other"):
        ids = {"trace_id": TRACE, "span_id": SPAN, "trace_flags": "01"}
        logged.log.warning("x", extra=ids)
    record = logged.only
    assert (record.trace_id, record.span_id, record.trace_flags) == (TRACE, SPAN, 1)
    assert not record.attributes


def test_a_record_belongs_to_the_current_span_else(logged: Logged) -> None:
    with logged.tracer.start_as_current_span("work") as span:
        logged.log.warning("inside", extra={"trace_id": "not hex"})
    logged.log.warning("outside")
    inside, outside = logged.records
    assert int(inside.span_id, 16) == span.get_span_context().span_id
    assert inside.attributes == {"trace_id": "not hex"}
    assert (outside.trace_id, outside.span_id) == ("", "")


def test_an_exception_is_told_with_its_stack(logged: Logged) -> None:
    try:
        {}["apple"]
    except KeyError:
        logged.log.exception("no such fruit")
    attributes = logged.only.attributes
    assert attributes["exception.type"] == "KeyError"
    assert attributes["exception.message"] == "'apple'"
    assert "Traceback" in attributes["exception.stacktrace"]


def test_a_structlog_event_on_its_way_to_a_formatter_is_text_and_fields(logged: Logged) -> None:
    try:
        {}["apple"]
    except KeyError:
        event = {"event": "order_placed", "order": 3, "level": "info", "timestamp": "t", "exc_info": True}
        logged.log.warning(event, extra={"_logger": 1, "_name": "info"})
    record = logged.only
    assert record.body == "order_placed"
    assert record.attributes["order"] == 3
    assert record.attributes["exception.type"] == "KeyError"
    assert not {"_logger", "_name", "level", "timestamp", "exc_info"} & record.attributes.keys()


def test_objects_become_text_and_long_texts_are_cut(logged: Logged) -> None:
    logged.log.warning("x" * 100_000, extra={"thing": object, "long": "y" * 100_000})
    record = logged.only
    assert record.attributes["thing"] == "<class 'object'>"
    assert len(record.body) == len(record.attributes["long"]) == TEXT_LIMIT


def test_redacted_fields_do_not_leave(logged: Logged) -> None:
    logged.log.warning("x", extra={"password": "hunter2", "deep": {"db.PASSWORD": "hunter2"}, "user": "me"})
    assert logged.only.attributes["user"] == "me"
    assert b"hunter2" not in logged.receiver.exports[-1].body


def test_a_record_that_cannot_be_formatted_disturbs_nobody(
    logged: Logged, capsys: pytest.CaptureFixture[str],
) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    bad = {"name": "shop", "levelno": 30, "msg": "%s", "args": (Bad(),)}
    logged.handler.handle(logging.makeLogRecord(bad))
    assert "no text" in capsys.readouterr().err
    logged.log.warning("next")
    assert logged.only.body == "next"


# ---- no loops ---------------------------------------------------------------------------------


def test_what_exporters_log_is_not_exported(logged: Logged) -> None:
    logging.getLogger("opentelemetry.exporter.otlp").warning("cannot send")
    logging.getLogger("grpc._channel").warning("cannot send")
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    logging.getLogger("urllib3.connectionpool").warning("cannot send")
    detach(token)
    logged.log.warning("hello")
    assert logged.only.body == "hello"


def test_what_is_logged_while_a_record_is_made_is_not_exported(logged: Logged) -> None:
    class Chatty:
        def __str__(self) -> str:
            logged.log.warning("asked for my text")
            return "chatty"

    logged.log.warning("x", extra={"thing": Chatty()})
    assert logged.only.attributes == {"thing": "chatty"}


# ---- which call -------------------------------------------------------------------------------


class Talking(Echo):
    def __init__(self, before_end: Callable[[], Any] = lambda: None) -> None:
        self.before_end = before_end

    def echo(self, ctxt: Any, value: Any) -> Any:
        logging.getLogger("shop").warning("in the handler")
        self.before_end()
        return value


def test_what_a_handler_logs_names_its_call_and_nothing_leaks_to_the_next(logged: Logged) -> None:
    with echo_client(Talking()) as client:
        client.call({}, "echo", value=1)
        client.cast({}, "echo", value=2)
        client.call({}, "echo", value=3)
    lines = [record for record in logged.records if record.body == "in the handler"]
    assert [record.attributes.get("rpc.method") for record in lines] == ["compute/echo"] * 3
    of_calls = [record.attributes["tracedrpc.msg_id"] for record in lines if len(record.attributes) == 2]
    assert len(set(of_calls)) == 2
    assert len([record for record in lines if "tracedrpc.msg_id" not in record.attributes]) == 1
    logged.log.warning("outside")
    assert logged.records[-1].attributes == {}


def test_a_line_about_another_call_keeps_to_that_call(logged: Logged) -> None:
    def speak() -> None:
        line(WARNING, "message_dropped", {"rpc.method": "other/method"})

    with echo_client(Talking(speak)) as client:
        client.call({}, "echo", value=1)
    (record,) = [record for record in logged.records if record.event_name == "message_dropped"]
    assert record.attributes == {"rpc.method": "other/method"}


