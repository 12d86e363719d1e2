"""Client, memory driver and server together: no broker, and no thread where none is said."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from tracedrpc import (
    InvalidTarget,
    MessageUndeliverable,
    MessagingException,
    MessagingTimeout,
    NoSuchMethod,
    RemoteError,
    Target,
    TransportOptions,
    get_rpc_client,
    get_rpc_server,
    get_rpc_transport,
)
from tracedrpc.anatomy import Phase, anatomy_of
from tracedrpc.drivers.memory import MemoryDriver
from tracedrpc.exceptions import EncodeError
from tracedrpc.testing import RecordingTelemetry, memory_transport

PATIENCE_S = 5
PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


class Endpoint:
    def __init__(self, name="s"):
        self.name = name
        self.seen = []

    def echo(self, ctxt, **args):
        self.seen.append((ctxt, args))
        return args

    def who(self, ctxt):
        self.seen.append("who")
        return self.name

    def thread(self, ctxt):
        return threading.current_thread().name

    def boom(self, ctxt):
        raise ValueError("boom")

    def unserialisable(self, ctxt):
        return object()

    def leave(self, ctxt):
        raise SystemExit(1)


@pytest.fixture
def telemetry():
    return RecordingTelemetry()


@pytest.fixture
def transport(telemetry):
    with memory_transport(telemetry=telemetry, rpc_response_timeout=PATIENCE_S) as made:
        yield made


@contextmanager
def serving(transport, endpoint=None, server="s", topic="t", executor="blocking", workers=None, **target):
    endpoint = endpoint or Endpoint(server)
    subject = get_rpc_server(transport, Target(topic=topic, server=server, **target), [endpoint], executor)
    subject.start(workers)
    try:
        yield endpoint
    finally:
        subject.stop()
        subject.wait(timeout=PATIENCE_S)


def client_for(transport, **target):
    return get_rpc_client(transport, Target(**({"topic": "t"} | target)))


def own_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tracedrpc-")]


def in_thread(call):
    """Run a call in a thread; return a function that waits for its result or exception."""
    outcome = []

    def run():
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - it is handed on
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result():
        thread.join(PATIENCE_S)
        return outcome[0]

    return result


@pytest.mark.parametrize("scheme", ["memory", "fake"])
def test_the_driver_is_found_by_both_its_names(scheme, telemetry):
    with get_rpc_transport(url=f"{scheme}://", telemetry=telemetry) as transport:
        assert isinstance(transport.driver, MemoryDriver)
        with serving(transport):
            assert client_for(transport).call({}, "who") == "s"


def test_a_call_to_a_blocking_server_needs_no_thread(transport):
    before = threading.active_count()
    with serving(transport):
        assert client_for(transport).call({}, "thread") == threading.current_thread().name
        assert threading.active_count() == before


def test_arguments_context_and_result_go_as_json(transport):
    with serving(transport) as endpoint:
        result = client_for(transport).call({"user": ("u",)}, "echo", pair=(1, 2), by_int={1: "x"})
    assert result == {"pair": [1, 2], "by_int": {"1": "x"}}
    assert endpoint.seen == [({"user": ["u"]}, result)]


def test_what_json_cannot_hold_is_refused_before_it_is_sent(transport):
    with serving(transport) as endpoint, pytest.raises(EncodeError, match="args"):
        client_for(transport).call({}, "echo", thing=object())
    assert endpoint.seen == []


def test_what_the_method_raises_reaches_the_caller(transport):
    with serving(transport), pytest.raises(ValueError, match="boom"):
        client_for(transport).call({}, "boom")


def test_a_result_that_json_cannot_hold_is_an_error_at_once(transport, telemetry):
    began = time.monotonic()
    with serving(transport), pytest.raises(RemoteError) as caught:
        client_for(transport).call({}, "unserialisable")
    assert caught.value.exc_type == "EncodeError"
    assert time.monotonic() - began < PATIENCE_S / 2
    assert telemetry.names().count("request_failed") == 1
    assert "request_finished" not in telemetry.names()


def test_a_handler_that_exits_is_answered_and_the_server_goes_on(transport):
    with serving(transport, executor="threading"):
        client = client_for(transport)
        for _ in range(3):
            with pytest.raises(RemoteError) as caught:
                client.call({}, "leave")
            assert caught.value.exc_type == "SystemExit"
        assert client.call({}, "who") == "s"


def test_a_method_that_does_not_exist_is_an_error_of_the_allowed_class(telemetry):
    with (
        memory_transport(allowed_remote_exmods=["tracedrpc.exceptions"], telemetry=telemetry) as transport,
        serving(transport),
    ):
        with pytest.raises(NoSuchMethod):
            client_for(transport).prepare(call_monitor_timeout=1).call({}, "absent")
        assert len(transport.driver.scheduler) == 0


def test_a_topic_is_shared_in_turn_and_a_server_has_its_own_queue(transport):
    with serving(transport, server="a"), serving(transport, server="b"):
        client = client_for(transport)
        assert sorted(client.call({}, "who") for _ in range(4)) == ["a", "a", "b", "b"]
        assert {client.prepare(server="b").call({}, "who") for _ in range(3)} == {"b"}


def test_a_fanout_reaches_every_server_of_the_topic_and_no_other(transport):
    with (
        serving(transport, server="a") as a,
        serving(transport, server="b") as b,
        serving(transport, topic="other") as other,
    ):
        client_for(transport, fanout=True).cast({}, "who")
        assert (a.seen, b.seen, other.seen) == (["who"], ["who"], [])


def test_exchanges_are_apart(transport):
    with serving(transport, exchange="x") as endpoint:
        client_for(transport, exchange="x").call({}, "who")
        with pytest.raises(MessagingTimeout):
            client_for(transport, exchange="y").prepare(timeout=0.01).call({}, "who")
    assert endpoint.seen == ["who"]


def test_transports_of_one_name_reach_each_other_and_others_do_not():
    with (
        memory_transport("here") as here,
        memory_transport("here") as too,
        memory_transport() as private,
        serving(here),
    ):
        assert client_for(too).call({}, "who") == "s"
        with pytest.raises(MessagingTimeout):
            client_for(private).prepare(timeout=0.01).call({}, "who")


def test_a_worker_pool_answers_several_callers_at_once(transport):
    gate = threading.Barrier(3)

    class Meeting:
        def meet(self, ctxt):
            gate.wait(PATIENCE_S)
            return threading.current_thread().name

    with serving(transport, Meeting(), executor="threading", workers=3):
        client = client_for(transport)
        results = [in_thread(lambda: client.call({}, "meet")) for _ in range(3)]
        names = {result() for result in results}
    assert names == {"tracedrpc-worker-1", "tracedrpc-worker-2", "tracedrpc-worker-3"}


def test_requests_wait_for_a_free_worker_and_none_is_lost(transport):
    gate, active, most = threading.Event(), [], []

    class Slow:
        def work(self, ctxt, number):
            active.append(number)
            most.append(len(active))
            gate.wait(PATIENCE_S)
            active.remove(number)
            return number

    with serving(transport, Slow(), executor="threading", workers=2):
        client = client_for(transport)
        results = [in_thread(lambda n=n: client.call({}, "work", number=n)) for n in range(10)]
        gate.set()
        assert sorted(result() for result in results) == list(range(10))
    assert max(most) <= 2


def test_a_call_waits_for_a_server_to_come(transport, telemetry):
    result = in_thread(lambda: client_for(transport).call({}, "who"))
    telemetry.wait_for("message_returned")
    with serving(transport):
        assert result() == "s"


def test_a_call_without_a_server_says_that_nobody_listens(transport):
    with pytest.raises(MessagingTimeout, match="no server is listening on 't'") as caught:
        client_for(transport).prepare(timeout=0.02).call({}, "who")
    assert caught.value.phase == "unroutable"
    assert caught.value.method == "who"


def test_a_call_that_timed_out_before_a_server_came_is_never_run(transport):
    with pytest.raises(MessagingTimeout):
        client_for(transport).prepare(timeout=0.01).call({}, "who")
    with serving(transport) as endpoint:
        assert endpoint.seen == []


def test_a_cast_waits_for_a_server_until_its_time_is_up(transport, telemetry):
    client_for(transport).cast({}, "who")
    client_for(transport).prepare(timeout=0.01).cast({}, "who")
    dropped = telemetry.wait_for("message_dropped")
    assert [moment.fields["reason"] for moment in dropped] == ["unroutable"]
    with serving(transport) as endpoint:
        assert endpoint.seen == ["who"]


def test_a_fanout_that_nobody_hears_is_gone(transport, telemetry):
    client_for(transport, fanout=True).cast({}, "who")
    with serving(transport) as endpoint:
        assert endpoint.seen == []
    assert "message_returned" not in telemetry.names()


@pytest.mark.parametrize("send", ["call", "cast"])
def test_at_least_once_without_a_server_fails_at_once(transport, send):
    client = client_for(transport, server="gone")
    options = TransportOptions(at_least_once=True)
    with pytest.raises(MessageUndeliverable) as caught:
        getattr(client.prepare(transport_options=options), send)({}, "who")
    assert caught.value.routing_key == "t.gone"
    assert caught.value.exchange == "openstack"


def test_a_stopped_server_keeps_its_queue_until_it_is_closed(transport, telemetry):
    endpoint = Endpoint()
    server = get_rpc_server(transport, Target(topic="t", server="s"), [endpoint], "blocking")
    server.start()
    server.stop()
    client = client_for(transport)
    client.cast({}, "who")
    assert endpoint.seen == []
    assert "message_dropped" not in telemetry.names()
    server.wait()
    assert [moment.fields["reason"] for moment in telemetry.of("message_dropped")] == ["closed"]
    server.start()
    assert client.call({}, "who") == "s"
    server.stop()
    server.wait()


def test_a_call_in_the_queue_of_a_server_that_closes_waits_for_the_next(transport, telemetry):
    server = get_rpc_server(transport, Target(topic="t", server="s"), [Endpoint()], "blocking")
    server.start()
    server.stop()
    result = in_thread(lambda: client_for(transport).call({}, "who"))
    telemetry.wait_for("call.entered")
    while not (transport.driver.broker._queues["openstack", "t"].messages):
        time.sleep(0.001)
    server.wait()
    with serving(transport, server="next"):
        assert result() == "next"


def test_a_server_may_call_itself(transport):
    class Recursive:
        def down(self, ctxt, levels):
            return levels and 1 + client_for(transport).call(ctxt, "down", levels=levels - 1)

    with serving(transport, Recursive()):
        assert client_for(transport).call({}, "down", levels=5) == 5


def test_a_message_delivered_twice_is_worked_on_once(transport, telemetry):
    with serving(transport) as endpoint:
        client_for(transport).cast({}, "who")
        transport.driver.cast(telemetry.of("call_finished")[0].fields["invocation"])
    assert endpoint.seen == ["who"]
    assert telemetry.of("message_discarded")[0].fields["reason"] == "duplicate"


def test_a_request_that_is_too_large_is_discarded_by_the_server(telemetry):
    with memory_transport(telemetry=telemetry, max_message_size=2048) as transport, serving(transport):
        client_for(transport).cast({}, "echo", text="x" * 4096)
    assert telemetry.of("message_discarded")[0].fields["reason"] == "size"


def test_heartbeats_keep_a_monitored_call_alive(transport, telemetry):
    class Slow:
        def work(self, ctxt):
            telemetry.wait_for("heartbeat_received", 2)
            return "done"

    with serving(transport, Slow(), executor="threading"):
        assert client_for(transport).prepare(call_monitor_timeout=0.2).call({}, "work") == "done"
    assert len(telemetry.of("heartbeat_sent")) >= 2


def test_a_monitored_call_whose_server_falls_silent_is_given_up_before_its_time_out(transport):
    with pytest.raises(MessagingTimeout) as caught:
        client_for(transport).prepare(call_monitor_timeout=0.05).call({}, "who")
    assert caught.value.elapsed_s < PATIENCE_S / 2


def test_a_late_reply_is_discarded_and_said(transport, telemetry):
    gate = threading.Event()

    class Slow:
        def work(self, ctxt):
            gate.wait(PATIENCE_S)

    with serving(transport, Slow(), executor="threading"):
        with pytest.raises(MessagingTimeout):
            client_for(transport).prepare(timeout=0.02).call({}, "work")
        gate.set()
        assert telemetry.wait_for("reply_discarded")[0].fields["reason"] == "late"


def test_trace_context_travels_and_the_endpoint_does_not_see_it(telemetry):
    telemetry.carrier = {"traceparent": PARENT}
    context = {"user": "u"}
    with memory_transport(telemetry=telemetry) as transport, serving(transport) as endpoint:
        client_for(transport).call(context, "echo")
    incoming = telemetry.of("process.entered")[0].fields["subject"]
    assert incoming.received.carrier == {"traceparent": PARENT}
    assert endpoint.seen == [({"user": "u"}, {})]
    assert context == {"user": "u"}


def test_both_sides_know_where_the_time_went(transport, telemetry):
    with serving(transport):
        client_for(transport).call({}, "who")
    invocation = telemetry.of("call_finished")[0].fields["invocation"]
    timeline = telemetry.of("request_finished")[0].fields["incoming"].timeline
    assert (
        invocation.started_ns <= invocation.published_ns <= timeline.delivered_ns <= timeline.started_ns
        <= timeline.handler_ns <= timeline.handled_ns <= timeline.replied_ns
        <= invocation.replied_ns <= invocation.woken_ns <= invocation.ended_ns
    )
    assert invocation.stage.value == "done"
    assert invocation.server_times.total_us >= invocation.server_times.handler_us
    assert invocation.attempts == 1
    assert invocation.reply_queue.startswith("reply_")
    assert (invocation.exchange, invocation.routing_key) == ("openstack", "t")


def test_the_moments_of_a_call_come_in_order(transport, telemetry):
    with serving(transport):
        telemetry.clear()
        client_for(transport).call({}, "who")
    assert telemetry.names()[:6] == [
        "call.entered", "process.entered", "request_finished", "process.left", "call_finished", "call.left",
    ]


def test_cleanup_fails_the_calls_under_way_and_ends_every_thread(telemetry):
    transport = memory_transport(telemetry=telemetry)
    result = in_thread(lambda: client_for(transport).call({}, "who"))
    telemetry.wait_for("message_returned")
    client_for(transport).cast({}, "who")
    transport.cleanup()
    error = result()
    assert isinstance(error, MessagingException)
    assert "closed" in str(error)
    assert [moment.fields["reason"] for moment in telemetry.of("message_dropped")] == ["closed"]
    transport.cleanup()
    assert own_threads() == []


def test_a_call_on_a_closed_transport_fails_at_once(transport):
    transport.cleanup()
    with pytest.raises(MessagingException, match="closed"):
        client_for(transport).call({}, "who")


def test_a_reply_to_a_caller_that_has_gone_is_dropped(transport, telemetry):
    other = memory_transport("gone", telemetry=telemetry)
    gate = threading.Event()

    class Slow:
        def work(self, ctxt):
            gate.wait(PATIENCE_S)

    with memory_transport("gone", telemetry=telemetry) as here:
        with serving(here, Slow(), executor="threading"):
            result = in_thread(lambda: client_for(other).call({}, "work"))
            telemetry.wait_for("process.entered")
            other.cleanup()
            gate.set()
            assert isinstance(result(), MessagingException)
        assert telemetry.of("message_dropped")[0].fields["reason"] == "unroutable"


def test_a_call_to_a_fanout_or_nowhere_is_refused(transport):
    with pytest.raises(InvalidTarget):
        client_for(transport, fanout=True).call({}, "who")


def test_ctrl_c_in_a_handler_of_the_main_thread_answers_and_goes_on_to_the_caller(transport, telemetry):
    class Interrupted:
        def work(self, ctxt):
            raise KeyboardInterrupt

    with serving(transport, Interrupted()), pytest.raises(KeyboardInterrupt):
        client_for(transport).call({}, "work")
    assert telemetry.names().count("request_failed") == 1
    assert isinstance(telemetry.of("call_finished")[0].fields["error"], KeyboardInterrupt)


# ---- what is known of a call ---------------------------------------------------------------------


def last_call(telemetry):
    return telemetry.of("call_finished")[-1].fields["invocation"]


def test_a_reply_and_a_heartbeat_name_the_server(transport, telemetry):
    with serving(transport, server="cn7"):
        client_for(transport).call({}, "echo")
    call = last_call(telemetry)
    assert (call.server, call.server_times.server) == ("cn7", "cn7")


def test_the_phases_of_a_call_are_told_apart_here_too(transport, telemetry):
    with serving(transport):
        client_for(transport).call({}, "echo")
    call = last_call(telemetry)
    anatomy = anatomy_of(call)
    assert 0 < call.acquire_ns == call.acquired_ns < call.published_ns
    assert sum(anatomy.phases.values()) == anatomy.elapsed_ns
    assert {Phase.PREPARE, Phase.QUEUE, Phase.DISPATCH, Phase.HANDLER, Phase.FINISH} <= set(anatomy.phases)


def test_a_request_knows_its_method_its_limit_and_when_it_was_answered(transport, telemetry):
    with serving(transport) as endpoint:
        client_for(transport).prepare(timeout=3).call({}, "echo")
    incoming = telemetry.of("request_finished")[-1].fields["incoming"]
    assert incoming.function == endpoint.echo
    assert incoming.received.timeout_s == 3
    assert incoming.slow_ns == 1_000_000_000
    assert incoming.timeline.replied_ns <= incoming.timeline.handed_ns


def test_a_call_that_waits_behind_others_says_how_many(transport):
    gate = threading.Event()

    class Slow:
        def hold(self, ctxt):
            gate.wait(PATIENCE_S)

    with serving(transport, Slow(), executor="threading", workers=1):
        client = client_for(transport)
        client.cast({}, "hold")
        for _ in range(3):
            client.cast({}, "hold")
        with pytest.raises(MessagingTimeout, match="wait there now, 1 consumer") as error:
            client.prepare(timeout=0.05).call({}, "hold")
        gate.set()
    assert error.value.phase == "queue_or_server"
    assert error.value.queue_consumers == 1
    assert 3 <= error.value.queue_messages <= 4


def test_a_call_whose_server_has_gone_is_without_a_queue_again(transport, telemetry):
    gate = threading.Event()

    class Slow:
        def hold(self, ctxt):
            gate.wait(PATIENCE_S)

    subject = get_rpc_server(transport, Target(topic="t", server="s"), [Slow()])
    subject.start(1)
    client = client_for(transport)
    client.cast({}, "hold")
    outcome = in_thread(lambda: client.prepare(timeout=0.4).call({}, "hold"))
    subject.stop()
    gate.set()
    subject.wait(timeout=PATIENCE_S)
    error = outcome()
    assert isinstance(error, MessagingTimeout)
    assert error.phase == "unroutable"
    assert "no server is listening on 't'" in str(error)


def test_a_call_published_anew_was_without_a_queue_before(transport, telemetry):
    outcome = in_thread(lambda: client_for(transport).call({}, "echo"))
    telemetry.wait_for("message_returned")
    with serving(transport):
        outcome()
    call = last_call(telemetry)
    assert call.acquired_ns < call.returned_ns < call.published_ns
    assert anatomy_of(call).ms(Phase.UNROUTABLE) > 0


def test_a_listener_for_another_format_of_trace_context_gets_its_keys():
    telemetry = RecordingTelemetry(carrier={"b3": "1-2-1", "traceparent": PARENT})
    telemetry.carrier_keys = frozenset({"b3"})
    with memory_transport(telemetry=telemetry) as transport, serving(transport):
        client_for(transport).call({}, "echo")
    assert telemetry.of("request_finished")[-1].fields["incoming"].received.carrier == {"b3": "1-2-1"}


def test_an_answer_after_the_callers_limit_is_told(transport, telemetry):
    gate = threading.Event()

    class Slow:
        def hold(self, ctxt):
            gate.wait(PATIENCE_S)

    with serving(transport, Slow(), executor="threading"):
        with pytest.raises(MessagingTimeout):
            client_for(transport).prepare(timeout=0.05).call({}, "hold")
        incoming = telemetry.of("process.entered")[-1].fields["subject"]
        while incoming.timeline.elapsed_ns() <= 60_000_000:  # the server's own time alone
            time.sleep(0.001)
        gate.set()
        (late,) = telemetry.wait_for("deadline_exceeded")
    assert late.fields["overrun_ns"] > 0
