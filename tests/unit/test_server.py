"""The server's life and its way with one request, against a listener that does what it is told."""

from __future__ import annotations

import threading
from time import monotonic_ns

import pytest

from tracedrpc import (
    ExecutorLoadFailure,
    InvalidTarget,
    MessageDeliveryFailure,
    Options,
    RPCDispatcher,
    ServerListenError,
    Target,
    expected_exceptions,
    get_rpc_server,
)
from tracedrpc.driver import Driver, Incoming, Listener
from tracedrpc.exceptions import EncodeError, TaskTimeout
from tracedrpc.message import Received, ServerTimeline
from tracedrpc.rpc.lifecycle import State
from tracedrpc.rpc.server import RPCServer
from tracedrpc.rpc.transport import RPCTransport, bind
from tracedrpc.testing import RecordingTelemetry

PATIENCE_S = 5


class StubListener(Listener):
    def __init__(self, driver):
        self.driver = driver
        self.calls = []

    def start(self, handle, workers):
        self.calls.append("start")
        self.handle, self.workers = handle, workers
        self.driver.start_gate.wait(PATIENCE_S)
        if self.driver.error is not None:
            raise self.driver.error

    def stop(self):
        self.calls.append("stop")

    def close(self):
        self.calls.append("close")


class StubDriver(Driver):
    scheduler = None

    def __init__(self):
        self.error = None
        self.listeners = []
        self.start_gate = threading.Event()
        self.start_gate.set()

    def call(self, invocation):
        raise NotImplementedError

    cast = call

    def listen(self, target):
        self.listeners.append(StubListener(self))
        return self.listeners[-1]

    def cleanup(self):
        pass


class StubIncoming(Incoming):
    topic = "t"

    def __init__(self, method="work", timeout_s=None, lasted_s=0.0, **fields):
        self.received = Received(method, {}, {}, **({"msg_id": "m", "timeout_s": timeout_s} | fields))
        self.timeline = ServerTimeline(monotonic_ns() - int(lasted_s * 1e9))
        self.sent = []
        self.unserialisable = False
        self.is_broken = False

    def reply(self, result):
        if self.unserialisable:
            raise EncodeError("result", "no")
        self.timeline.stamp_reply()
        self.sent.append(("reply", result))

    def fail(self, error):
        if self.is_broken:
            raise MessageDeliveryFailure("gone")
        self.timeline.stamp_reply()
        self.sent.append(("fail", error))

    def heartbeat(self):
        raise NotImplementedError


class Endpoint:
    def __init__(self):
        self.gate = threading.Event()
        self.started = threading.Event()

    def work(self, ctxt):
        return "done"

    def fail(self, ctxt):
        raise ValueError("unexpected")

    @expected_exceptions(KeyError)
    def refuse(self, ctxt):
        raise KeyError("expected")

    def leave(self, ctxt):
        raise SystemExit

    def interrupt(self, ctxt):
        raise KeyboardInterrupt

    def block(self, ctxt):
        self.started.set()
        self.gate.wait(PATIENCE_S)


@pytest.fixture
def driver():
    return StubDriver()


@pytest.fixture
def telemetry():
    return RecordingTelemetry()


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def transport(driver, telemetry):
    made = bind(RPCTransport(driver), None, Options(executor_thread_pool_size=3), telemetry)
    telemetry.clear()
    return made


@pytest.fixture
def server(transport, endpoint):
    made = get_rpc_server(transport, Target(topic="t", server="s"), [endpoint])
    yield made
    endpoint.gate.set()
    made.stop()
    made.wait(timeout=PATIENCE_S)


@pytest.fixture
def blocking(transport, endpoint):
    return get_rpc_server(transport, Target(topic="t", server="s"), [endpoint], "blocking")


def begin(call):
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def submit(listener, incoming):
    assert listener.workers.reserve()
    listener.workers.submit(lambda: listener.handle(incoming))


# ---- life ----------------------------------------------------------------------------------------


def test_a_server_starts_stops_and_closes_its_listener(server, driver, telemetry):
    assert server.state is State.NEW
    server.start()
    assert server.state is State.SERVING
    server.stop()
    assert server.state is State.STOPPED
    server.wait()
    assert server.state is State.CLOSED
    assert driver.listeners[0].calls == ["start", "stop", "close"]
    assert telemetry.names() == ["server_started", "server_stopped"]


def test_the_pool_size_is_the_transports_unless_it_is_overridden(server, driver, telemetry):
    server.start()
    server.stop()
    server.start(override_pool_size=7)
    assert [moment.fields["workers"] for moment in telemetry.of("server_started")] == [3, 7]
    assert driver.listeners[1].workers.size == 7


def test_a_second_start_does_nothing(server, driver):
    server.start()
    server.start()
    assert len(driver.listeners) == 1


def test_two_starts_at_once_listen_once(server, driver):
    driver.start_gate.clear()
    threads = [begin(server.start), begin(server.start)]
    driver.start_gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(driver.listeners) == 1


def test_stop_before_start_returns_and_a_start_after_it_starts(server, driver):
    server.stop()
    server.wait()
    assert driver.listeners == []
    server.start()
    assert server.state is State.SERVING


def test_a_server_can_be_started_again(server, driver):
    for _ in range(2):
        server.start()
        server.stop()
        server.wait()
    assert [listener.calls for listener in driver.listeners] == [["start", "stop", "close"]] * 2


def test_a_start_after_a_stop_without_a_wait_closes_the_old_listener_first(server, driver):
    server.start()
    server.stop()
    server.start()
    assert driver.listeners[0].calls == ["start", "stop", "close"]
    assert driver.listeners[1].calls == ["start"]


def test_wait_blocks_until_somebody_stops_the_server(server):
    server.start()
    waiting = begin(server.wait)
    with pytest.raises(TaskTimeout, match="serving"):
        server.wait(timeout=0.01)
    assert waiting.is_alive()
    server.stop()
    waiting.join(PATIENCE_S)
    assert server.state is State.CLOSED


def test_wait_waits_for_requests_under_way(server, driver, endpoint):
    server.start()
    incoming = StubIncoming("block")
    submit(driver.listeners[0], incoming)
    assert endpoint.started.wait(PATIENCE_S)
    server.stop()
    with pytest.raises(TaskTimeout, match="still running"):
        server.wait(timeout=0.01)
    assert driver.listeners[0].calls == ["start", "stop"]
    endpoint.gate.set()
    server.wait()
    assert incoming.sent == [("reply", None)]
    assert driver.listeners[0].calls[-1] == "close"


def test_stop_gives_up_when_a_start_takes_too_long(server, driver):
    driver.start_gate.clear()
    starting = begin(server.start)
    while server.state is not State.STARTING:
        starting.join(0.001)
    with pytest.raises(TaskTimeout, match="starting"):
        server.stop(timeout=0.01)
    driver.start_gate.set()
    starting.join(PATIENCE_S)


def test_log_after_is_accepted(server):
    server.start(log_after=1)
    server.stop(log_after=1)
    server.wait(log_after=1, timeout=PATIENCE_S)


def test_reset_does_nothing(server):
    server.start()
    server.reset()
    assert server.state is State.SERVING


def test_a_with_block_starts_and_closes(blocking, driver):
    with blocking as inside:
        assert inside is blocking
        assert blocking.state is State.SERVING
    assert driver.listeners[0].calls == ["start", "stop", "close"]


def test_a_driver_that_cannot_listen_is_a_listen_error_with_the_target(server, driver):
    driver.error = MessageDeliveryFailure("refused")
    with pytest.raises(ServerListenError, match="refused") as caught:
        server.start()
    assert caught.value.target == Target(topic="t", server="s")
    assert caught.value.ex is driver.error
    assert driver.listeners[0].calls == ["start", "close"]
    driver.error = None
    server.start()
    assert server.state is State.SERVING


@pytest.mark.parametrize("target", [Target(topic="t"), Target(server="s"), Target()])
def test_a_server_needs_topic_and_name(transport, target):
    server = get_rpc_server(transport, target, [])
    with pytest.raises(InvalidTarget, match="must have topic and server names specified"):
        server.start()
    assert server.state is State.CLOSED


def test_an_unknown_executor_is_refused_when_the_server_is_made(transport):
    with pytest.raises(ExecutorLoadFailure):
        get_rpc_server(transport, Target(topic="t", server="s"), [], executor="bogus")


def test_the_server_class_gets_what_oslo_messaging_gives_it(transport):
    class Own(RPCServer):
        def __init__(self, transport, target, dispatcher, executor):
            assert isinstance(dispatcher, RPCDispatcher)
            super().__init__(transport, target, dispatcher, executor)

    server = get_rpc_server(transport, Target(topic="t", server="s"), [], server_cls=Own)
    assert isinstance(server, Own)
    assert server.conf is transport.conf


def test_ping_is_an_option(driver, telemetry):
    transport = bind(RPCTransport(driver), None, Options(rpc_ping_enabled=True), telemetry)
    server = get_rpc_server(transport, Target(topic="t", server="s"), [])
    incoming = StubIncoming("oslo_rpc_server_ping")
    server._handle(incoming)
    assert incoming.sent == [("reply", "pong")]


# ---- one request ---------------------------------------------------------------------------------


def test_a_request_is_answered_inside_its_scope_and_timed(blocking, telemetry):
    incoming = StubIncoming()
    blocking._handle(incoming)
    assert incoming.sent == [("reply", "done")]
    assert telemetry.names() == ["process.entered", "request_finished", "process.left"]
    assert incoming.scope is not None
    assert 0 < incoming.timeline.handler_ns <= incoming.timeline.handled_ns


@pytest.mark.parametrize(
    ("method", "error", "expected"),
    [("fail", ValueError, False), ("refuse", KeyError, True), ("leave", SystemExit, False),
     ("absent", AttributeError, False)],
)
def test_what_a_method_raises_is_its_answer(blocking, telemetry, method, error, expected):
    incoming = StubIncoming(method)
    blocking._handle(incoming)
    ((kind, sent),) = incoming.sent
    assert kind == "fail"
    assert isinstance(sent, error)
    assert telemetry.names() == ["process.entered", "process.failed", "request_failed", "process.left"]
    for name in ("process.failed", "request_failed"):
        fields = telemetry.of(name)[0].fields
        assert fields["error"] is incoming.sent[0][1]
        assert fields["expected"] is expected


def test_ctrl_c_in_a_worker_is_an_answer_too(blocking):
    incoming = StubIncoming("interrupt")
    begin(lambda: blocking._handle(incoming)).join(PATIENCE_S)
    assert isinstance(incoming.sent[0][1], KeyboardInterrupt)


def test_a_result_that_json_cannot_hold_is_sent_as_a_failure(blocking, telemetry):
    incoming = StubIncoming()
    incoming.unserialisable = True
    blocking._handle(incoming)
    assert isinstance(incoming.sent[0][1], EncodeError)
    assert "request_failed" in telemetry.names()
    assert "request_finished" not in telemetry.names()


def test_an_answer_that_cannot_be_sent_is_said_and_harms_nobody(blocking, telemetry):
    incoming = StubIncoming("fail")
    incoming.is_broken = True
    blocking._handle(incoming)
    assert telemetry.of("background_failed")[0].fields["where"] == "server"
    assert "request_failed" in telemetry.names()


# ---- what else is told of a request --------------------------------------------------------------


def test_the_method_that_answers_is_known_while_it_runs(blocking, endpoint):
    incoming = StubIncoming()
    endpoint.work = None  # looked up on the class
    blocking._handle(incoming)
    assert incoming.function is None
    del endpoint.work
    blocking._handle(incoming)
    assert incoming.function == endpoint.work


def test_a_method_that_is_not_there_is_no_function(blocking):
    incoming = StubIncoming("absent")
    blocking._handle(incoming)
    assert incoming.function is None


@pytest.mark.parametrize("fields", [{"delivery_count": 2}, {}])
@pytest.mark.parametrize("flag", [True, False])
def test_a_request_that_was_delivered_before_is_told_inside_its_scope(blocking, telemetry, fields, flag):
    incoming = StubIncoming(**fields)
    incoming.redelivered = flag
    blocking._handle(incoming)
    told = telemetry.names()
    assert ("request_redelivered" in told) is (flag or bool(fields))
    if "request_redelivered" in told:
        assert told[:2] == ["process.entered", "request_redelivered"]
        assert telemetry.of("request_redelivered")[0].fields == {"incoming": incoming}


@pytest.mark.parametrize("method", ["work", "fail", "absent"])
def test_an_answer_that_comes_after_the_callers_whole_limit_is_told(blocking, telemetry, method):
    incoming = StubIncoming(method, timeout_s=2.0, lasted_s=2.5)
    blocking._handle(incoming)
    (late,) = telemetry.of("deadline_exceeded")
    assert 0.5e9 <= late.fields["overrun_ns"] < 60e9
    assert telemetry.names()[-2:] == ["deadline_exceeded", "process.left"]


@pytest.mark.parametrize("fields", [
    {"timeout_s": 60.0, "lasted_s": 2.5},
    {"timeout_s": None, "lasted_s": 1e6},
    {"timeout_s": 1.0, "lasted_s": 1e6, "msg_id": None},
])
def test_an_answer_in_time_or_to_nobody_is_not_late(blocking, telemetry, fields):
    blocking._handle(StubIncoming(**fields))
    assert not telemetry.of("deadline_exceeded")
