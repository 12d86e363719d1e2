"""What the log says: nothing unasked, one readable line each, and never a secret."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
import types
from dataclasses import dataclass

import pytest

from tracedrpc import (
    MessagingTimeout,
    Target,
    Telemetry,
    _guard,
    expected_exceptions,
    get_rpc_client,
    get_rpc_server,
)
from tracedrpc._deadline import Deadline
from tracedrpc.driver import Incoming
from tracedrpc.message import Invocation, Mode, Received, Request, ServerTimeline
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
        self.timeline.handler_ns = 1
        self.timeline.handled_ns = 1_500_001
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
    "workers": lambda: 64,
}


def tell(telemetry, name):
    """Call a hook with plausible values for its parameters."""
    parameters = [one for one in inspect.signature(getattr(Telemetry, name)).parameters if one != "self"]
    getattr(telemetry, name)(**{one: VALUES.get(one, lambda: "word")() for one in parameters})


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, "tracedrpc")
    return caplog


SILENT = {"pool_opened", "connection_acquired"}
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
    assert fields["tracedrpc.duration_ms"] == 1.5
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
    touched = types.SimpleNamespace()  # has no field a line would need
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
