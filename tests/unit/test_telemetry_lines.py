"""What the log says: nothing unasked, one readable line each, and never a secret."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
import types
from dataclasses import dataclass, replace

import pytest
import structlog

from tracedrpc import (
    MessagingTimeout,
    Target,
    Telemetry,
    _guard,
    _log,
    expected_exceptions,
    get_rpc_client,
    get_rpc_server,
)
from tracedrpc._deadline import Deadline
from tracedrpc.driver import Incoming
from tracedrpc.message import Invocation, Mode, Received, Request, ServerTimeline, ServerTimes
from tracedrpc.telemetry import ConnectionInfo, PoolStats, Scope
from tracedrpc.testing import memory_transport

SECRET = "canary-7c1e"
MSG_ID = "0123456789abcdef0123456789abcdef"


@dataclass
class StubPool:
    name: str = "pool"

    def stats(self):
        return PoolStats(idle=1, in_use=2, waiters=0, max_size=8, created=3, closed=0)


class StubIncoming(Incoming):
    topic = "compute"
    queue = "compute.host-1"

    def __init__(self):
        self.received = Received("reboot", {"password": SECRET}, {"token": SECRET}, msg_id=MSG_ID)
        self.timeline = ServerTimeline()
        delivered_ns = self.timeline.delivered_ns
        self.timeline.handler_ns = delivered_ns + 2_000_000
        self.timeline.handled_ns = delivered_ns + 3_500_000
        self.timeline.replied_ns = delivered_ns + 3_750_000
        self.scope = StubScope()

    def reply(self, result):
        raise NotImplementedError

    fail = heartbeat = reply


class StubScope(Scope):
    def __init__(self):
        self.ids = {"trace_id": "t" * 32, "span_id": "s" * 16}


def invocation():
    target = Target(topic="compute", namespace="v2", server="host-1")
    request = Request(
        target, "reboot", {"password": SECRET}, {"token": SECRET}, Mode.CALL, "u" * 32, MSG_ID,
    )
    made = Invocation(request, Deadline.after(1), StubScope())
    made.reply_queue = "reply_1"
    return made


def failure():
    try:
        return int(SECRET)
    except ValueError as error:
        return error


VALUES = {
    "invocation": invocation, "incoming": StubIncoming, "error": failure, "pool": StubPool,
    "connection": lambda: ConnectionInfo(3, "rabbit-1:5672", "send"),
    "target": lambda: Target(topic="compute", server="host-1"),
    "body": SECRET.encode, "expected": lambda: False,
    "delay_s": lambda: 0.25, "idle_s": lambda: 1.5, "waited_ns": lambda: 10, "duration_ns": lambda: 10,
    "workers": lambda: 64, "overrun_ns": lambda: 1_500_000,
}


def tell(telemetry, name):
    """Call a hook with plausible values for its parameters."""
    parameters = [one for one in inspect.signature(getattr(Telemetry, name)).parameters if one != "self"]
    getattr(telemetry, name)(**{one: VALUES.get(one, lambda: "word")() for one in parameters})


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, "tracedrpc")
    return caplog


SILENT = {"transport_opened", "pool_opened", "acquire_started", "connection_acquired"}
"""Moments that are counted by others and write no line."""
ALL = (*_guard.MOMENTS, "telemetry_failed")


@pytest.mark.parametrize("name", ALL)
def test_each_moment_is_one_line_that_begins_with_its_name(log, name):
    tell(Telemetry(), name)
    if name in SILENT:
        assert log.records == []
        return
    (record,) = log.records
    assert record.name == "tracedrpc"
    assert record.getMessage().split(" ")[0] == name
    assert "\n" not in record.getMessage()
    assert vars(record)["otel.event.name"] == name


@pytest.mark.parametrize("name", ALL)
def test_no_line_holds_an_argument_a_context_a_body_or_an_exceptions_text(log, name):
    tell(Telemetry(), name)
    for record in log.records:
        assert SECRET not in record.getMessage()
        assert SECRET not in repr(vars(record))


def test_a_line_can_be_read_without_tools(log):
    Telemetry().call_timed_out(invocation())
    text = log.records[0].getMessage()
    assert text.startswith("call_timed_out rpc.method=compute.v2/reboot ")
    assert f"tracedrpc.msg_id={MSG_ID}" in text
    assert "tracedrpc.timeout.phase=pool_acquire" in text
    assert "tracedrpc.reply_queue=reply_1" in text
    assert log.records[0].levelno == logging.WARNING


def test_the_fields_of_a_line_are_on_the_record_with_the_trace(log):
    Telemetry().request_finished(StubIncoming())
    fields = vars(log.records[0])
    assert fields["rpc.method"] == "compute/reboot"
    assert fields["tracedrpc.elapsed_ms"] == 3.75
    assert fields["tracedrpc.phase.dispatch_ms"] == 2
    assert fields["tracedrpc.phase.handler_ms"] == 1.5
    assert fields["tracedrpc.phase.reply_ms"] == 0.25
    assert fields["trace_id"] == "t" * 32


def test_a_failed_request_tells_class_and_place_but_no_text(log):
    Telemetry().request_failed(StubIncoming(), failure(), expected=False)
    (record,) = log.records
    assert record.levelno == logging.ERROR
    assert vars(record)["error.type"] == "ValueError"
    assert ":failure" in vars(record)["tracedrpc.stack"]


def test_an_expected_failure_is_a_debug_line(log):
    Telemetry().request_failed(StubIncoming(), failure(), expected=True)
    assert log.records[0].levelno == logging.DEBUG


def test_a_line_cannot_be_forged_by_what_it_holds(log):
    Telemetry().reply_discarded("x\ncall_finished rpc.method=y", "%s %d \x1b[31m\u202e")
    text = log.records[0].getMessage()
    assert text.count("\n") == 0
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "%s %d" in text


def test_values_with_spaces_are_quoted(log):
    Telemetry().reply_discarded("m", "two words")
    assert 'tracedrpc.reason="two words"' in log.records[0].getMessage()


def test_an_application_that_configures_no_logging_hears_nothing():
    code = (
        "import tracedrpc, tracedrpc.testing as testing\n"
        "t = testing.memory_transport()\n"
        "c = tracedrpc.get_rpc_client(t, tracedrpc.Target(topic='t'), timeout=0.01)\n"
        "try:\n    c.call({}, 'm')\n"
        "except tracedrpc.MessagingTimeout:\n    pass\n"
        "t.telemetry.telemetry_failed('x', ValueError())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_lines_below_the_level_are_not_built(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "tracedrpc")
    touched = types.SimpleNamespace(is_slow=lambda: False)  # has no field a line would need
    Telemetry().call_finished(touched, None)
    Telemetry().request_finished(touched)
    Telemetry().heartbeat_received(touched)
    assert caplog.records == []


class Endpoint:
    def login(self, ctxt, password):
        return {"token": f"{SECRET}-result"}

    def fail(self, ctxt, password):
        raise ValueError(f"{SECRET}-text")

    @expected_exceptions(KeyError)
    def refuse(self, ctxt, password):
        raise KeyError(f"{SECRET}-text")


def test_whole_calls_write_lines_without_arguments_results_or_secrets(log):
    with memory_transport() as transport:
        server = get_rpc_server(transport, Target(topic="t", server="s"), [Endpoint()], "blocking")
        client = get_rpc_client(transport, Target(topic="t"))
        with server:
            client.call({"token": SECRET}, "login", password=SECRET)
            client.cast({"token": SECRET}, "login", password=SECRET)
            for method, error in (("fail", ValueError), ("refuse", KeyError)):
                with pytest.raises(error):
                    client.call({"token": SECRET}, method, password=SECRET)
        with pytest.raises(MessagingTimeout):
            client.prepare(timeout=0.01).call({"token": SECRET}, "login", password=SECRET)
    events = {vars(record)["otel.event.name"] for record in log.records}
    assert events >= {
        "server_started", "call_finished", "request_finished", "request_failed", "server_stopped",
        "call_timed_out", "message_returned",
    }
    for record in log.records:
        assert SECRET not in repr(vars(record))


# ---- what is slow, and what is told of all -------------------------------------------------------


def ended(lasted_ms, slow_ms=1000):
    made = invocation()
    made.slow_ns = slow_ms * 1_000_000
    made.acquire_ns = made.started_ns + 1_000_000
    made.ended_ns = made.started_ns + int(lasted_ms * 1_000_000)
    return made


def levels(log):
    return [record.levelno for record in log.records]


def test_a_slow_call_is_a_warning_that_says_where_its_time_went(log):
    Telemetry().call_finished(ended(1500), None)
    (record,) = log.records
    assert record.levelno == logging.WARNING
    assert vars(record)["tracedrpc.why"] == "1500.0 ms: 1499.0 waiting for a connection"
    assert vars(record)["tracedrpc.phase.acquire_ms"] == 1499


def test_a_call_that_is_not_slow_has_no_warning_and_no_sentence(log):
    Telemetry().call_finished(ended(999), None)
    Telemetry().call_finished(ended(10_000, slow_ms=0), None)
    assert levels(log) == [logging.DEBUG] * 2
    assert "tracedrpc.why" not in vars(log.records[0])


def test_a_call_that_timed_out_has_had_its_warning(log):
    Telemetry().call_finished(ended(1500), MessagingTimeout())
    assert levels(log) == [logging.DEBUG]


def test_slow_calls_without_end_are_warned_of_a_few_times_and_then_told_for_debugging(log):
    for _ in range(8):
        Telemetry().call_finished(ended(1500), None)
    assert levels(log) == [logging.WARNING] * 5 + [logging.DEBUG] * 3
    assert all("tracedrpc.why" in vars(record) for record in log.records)


def test_slow_calls_of_one_method_do_not_hide_those_of_another(log):
    for method in ("a", "b"):
        for _ in range(6):
            made = ended(1500)
            made.request = replace(made.request, method=method)
            Telemetry().call_finished(made, None)
    assert levels(log).count(logging.WARNING) == 10


def test_a_slow_request_is_a_warning_with_its_phases(log):
    incoming = StubIncoming()
    incoming.slow_ns = 3_000_000
    for _ in range(7):
        Telemetry().request_finished(incoming)
    assert levels(log) == [logging.WARNING] * 5 + [logging.DEBUG] * 2
    fields = vars(log.records[0])
    phases = [fields[f"tracedrpc.phase.{phase}_ms"] for phase in ("dispatch", "handler", "reply")]
    assert phases == [2, 1.5, 0.25]


def test_a_request_that_failed_tells_its_phases_too(log):
    Telemetry().request_failed(StubIncoming(), failure(), expected=False)
    assert vars(log.records[0])["tracedrpc.phase.handler_ms"] == 1.5


def test_good_calls_and_requests_are_informed_of_on_request(log, monkeypatch):
    monkeypatch.setattr(_log, "CALLS", logging.INFO)
    log.set_level(logging.INFO, "tracedrpc")
    for _ in range(20):
        Telemetry().call_finished(ended(1), None)
        Telemetry().request_finished(StubIncoming())
    assert levels(log) == [logging.INFO] * 40


@pytest.mark.parametrize(("variable", "level"), [
    ("info", logging.INFO), (" INFO ", logging.INFO), ("debug", logging.DEBUG), ("", logging.DEBUG),
    ("nonsense", logging.DEBUG),
])
def test_the_environment_says_whether_good_calls_are_informed_of(variable, level):
    code = "import tracedrpc._log; print(tracedrpc._log.CALLS)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"TRACEDRPC_LOG_CALLS": variable},
    )
    assert int(done.stdout) == level


LIMITED = {
    "connect_failed", "connection_lost", "connection_ready", "publish_retried", "message_returned",
    "message_dropped", "message_discarded", "reply_discarded", "acquire_failed", "consumer_cancelled",
    "connection_blocked", "connection_unblocked", "queue_adopted", "background_failed",
}


@pytest.mark.parametrize("name", sorted(set(ALL) - SILENT))
def test_only_what_comes_in_storms_is_limited(log, name):
    for _ in range(20):
        tell(Telemetry(), name)
    assert len(log.records) == (5 if name in LIMITED else 20)


@pytest.mark.parametrize("name", sorted(set(ALL) - SILENT))
def test_values_are_numbers_or_short_texts_and_there_are_not_too_many(log, name):
    tell(Telemetry(), name)
    told = vars(log.records[0]).items()
    fields = {key: value for key, value in told if "." in key or key in {"trace_id", "span_id"}}
    assert 1 <= len(fields) <= 25  # otel.event.name is one more
    assert all(isinstance(value, (int, float)) or len(value) <= 256 for value in fields.values())


def test_a_line_with_everything_fits(log):
    made = ended(20_000)
    stamps = ("acquired_ns", "returned_ns", "published_ns", "replied_ns", "woken_ns")
    for number, stamp in enumerate(stamps, start=2):
        setattr(made, stamp, made.started_ns + number * 3_000_000_000)
    made.connect_ns, made.server, made.peer = 10**9, "s" * 300, "p" * 300
    made.routing_key = "k" * 400
    times = (100_000, 200_000, 400_000, "s" * 300)
    made.server_times = ServerTimes(made.wall_ns(made.replied_ns) - 10**8, *times)
    for _ in range(7):
        Telemetry().call_finished(made, failure())
    for record in log.records:
        fields = {key: value for key, value in vars(record).items() if key.startswith("tracedrpc.")}
        assert len(fields["tracedrpc.why"]) == 256
        assert "tracedrpc.phase.finish_ms" in fields
        assert len([key for key in vars(record) if "." in key or key in {"trace_id", "span_id"}]) <= 25


def test_context_variables_that_logging_has_names_for_fail_no_line(log):
    with structlog.contextvars.bound_contextvars(name="x", message="y", args="z", user="u"):
        Telemetry().pool_closed(StubPool())
    fields = vars(log.records[0])
    assert (fields["name_"], fields["message_"], fields["args_"], fields["user"]) == ("x", "y", "z", "u")


def test_a_filter_that_raises_fails_no_call(log):
    def broken(record):
        raise KeyError("a fault of the application's")

    logger = logging.getLogger("tracedrpc")
    logger.addFilter(broken)
    try:
        Telemetry().pool_closed(StubPool())
    finally:
        logger.removeFilter(broken)
