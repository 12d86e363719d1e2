"""What client and server know of a call on a real broker: times, names, and where it came from."""

from __future__ import annotations

import ipaddress
import json

import pytest
from amqp import Message

import tracedrpc
from tests.integration.support import SOON_S, Endpoint, wait_until, within
from tracedrpc.anatomy import Phase, anatomy_of
from tracedrpc.message import DeadLetter, Stage
from tracedrpc.testing import RecordingTelemetry


def last_call(site):
    return site.telemetry.of("call_finished")[-1].fields["invocation"]


def last_request(site, count=1):
    return site.telemetry.wait_for("request_finished", count)[-1].fields["incoming"]


# ---- a call --------------------------------------------------------------------------------------


def test_the_first_call_spends_its_time_on_connecting_and_the_second_does_not(site):
    client, _ = site.pair()
    client.call({}, "echo")
    first = last_call(site)
    client.call({}, "echo")
    second = last_call(site)
    made = [moment.fields["connection"] for moment in site.telemetry.of("connection_ready")]
    assert first.connect_ns >= max(info.connect_ns for info in made if info.purpose == "send")
    assert anatomy_of(first).phases[Phase.CONNECT] == first.connect_ns
    assert first.pool is not None
    assert (second.connect_ns, second.pool) == (0, None)
    assert Phase.CONNECT not in anatomy_of(second).phases


def test_every_phase_of_a_call_is_known_and_they_add_up(site):
    client, _ = site.pair()
    for _ in range(5):
        client.call({}, "echo")
    call = last_call(site)
    anatomy = anatomy_of(call)
    assert sum(anatomy.phases.values()) == anatomy.elapsed_ns
    assert set(anatomy.phases) >= {
        Phase.PREPARE, Phase.ACQUIRE, Phase.PUBLISH, Phase.QUEUE, Phase.DISPATCH, Phase.HANDLER, Phase.REPLY,
        Phase.RETURN, Phase.WAKEUP, Phase.FINISH,
    }
    assert anatomy.server_ns <= anatomy.reply_wait_ns
    assert anatomy.quality is not None


def test_a_call_knows_the_broker_and_the_server_that_answered(site):
    client, _ = site.pair()
    client.call({}, "echo")
    call = last_call(site)
    ready = site.telemetry.of("connection_ready")
    assert call.peer in {moment.fields["connection"].peer for moment in ready}
    assert call.address in {moment.fields["connection"].address for moment in ready}
    assert ipaddress.ip_address(call.address.replace("localhost", "127.0.0.1")).is_loopback
    assert (call.server, call.server_times.server) == ("one", "one")


def test_a_heartbeat_names_the_server_before_it_has_answered(site):
    client, endpoint = site.pair()
    with pytest.raises(tracedrpc.MessagingTimeout, match="server 'one' was working on it") as error:
        client.prepare(call_monitor_timeout=0.4, timeout=0.9).call({}, "hold")
    assert error.value.phase == "server"
    endpoint.goes_on.set()


def test_a_slow_call_is_slow_on_both_sides(site):
    endpoint = Endpoint()
    site.serve(endpoint, transport=site.transport(slow_call_threshold=0.000001))
    site.client(site.transport(slow_call_threshold=0.000001)).call({}, "echo")
    assert last_call(site).is_slow()
    assert last_request(site).is_slow()


def test_a_server_knows_its_method_the_callers_limit_and_when_the_reply_was_handed_over(site):
    client, endpoint = site.pair()
    client.prepare(timeout=4).call({}, "echo")
    incoming = last_request(site)
    timeline = incoming.timeline
    assert incoming.function == endpoint.echo
    assert 3 < incoming.received.timeout_s <= 4
    assert timeline.handler_ns <= timeline.handled_ns <= timeline.replied_ns < timeline.handed_ns


def test_an_answer_after_the_callers_limit_is_told_by_the_server(site):
    client, endpoint = site.pair()
    with pytest.raises(tracedrpc.MessagingTimeout):
        client.prepare(timeout=0.3).call({}, "hold")
    assert not site.telemetry.of("deadline_exceeded")
    incoming = site.telemetry.of("process.entered")[-1].fields["subject"]
    wait_until(lambda: incoming.timeline.elapsed_ns() > 0.31e9)  # the server's own time alone
    endpoint.goes_on.set()
    (late,) = site.telemetry.wait_for("deadline_exceeded")
    assert late.fields["incoming"].received.method == "hold"
    assert 0 < late.fields["overrun_ns"] < SOON_S * 1e9


def test_a_call_that_came_back_knows_when(site):
    client = site.client(timeout=0.5)
    with pytest.raises(tracedrpc.MessagingTimeout):
        client.call({}, "echo")
    call = last_call(site)
    assert call.stage is Stage.UNROUTABLE
    assert call.acquired_ns < call.returned_ns < call.ended_ns
    assert anatomy_of(call).ms(Phase.UNROUTABLE) > 0


def test_a_reply_that_is_too_large_ends_the_call_at_once(site):
    site.serve(Endpoint())
    client = site.client(site.transport(max_message_size=4096), timeout=30)
    server_sends = "x" * 3000
    assert client.call({}, "echo", value=server_sends) == server_sends
    with within(SOON_S), pytest.raises(tracedrpc.MessagingException, match="more than 4096 bytes") as error:
        client.call({}, "twice", value=server_sends)
    assert error.value.phase == "reply_decode"
    assert error.value.method == "twice"
    assert last_call(site).stage is Stage.REPLY_DECODE


# ---- where a request came from -------------------------------------------------------------------


def copy_of_a_cast(site):
    """Return the body and the headers of a cast as they are on the wire."""
    with site.capture() as captured:
        site.client().cast({}, "note")
        message = captured.next()
        return message.body, message.properties["application_headers"]


def test_a_request_out_of_another_queue_tells_which(site):
    body, headers = copy_of_a_cast(site)
    request = json.loads(json.loads(body)["oslo.message"])
    request["_unique_id"] = "f" * 32  # it is not the one that waits for a queue
    again = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(request)})
    site.serve(Endpoint())
    waiting = f"{site.topic}.waiting"
    with site.connection() as connection:
        channel = connection.channel()
        channel.queue_declare(waiting, exclusive=True, arguments={
            "x-message-ttl": 1,
            "x-dead-letter-exchange": site.exchange, "x-dead-letter-routing-key": site.topic,
        })
        channel.basic_publish(Message(
            again, content_type="application/json", content_encoding="utf-8", application_headers=headers,
        ), "", waiting)
        wait_until(lambda: any(m.fields["incoming"].received.dead_letter for m in (
            site.telemetry.of("request_finished"))))
    told = [m.fields["incoming"].received.dead_letter for m in site.telemetry.of("request_finished")]
    assert DeadLetter("expired", waiting, 1) in told


def test_a_request_that_a_server_did_not_acknowledge_is_told_as_delivered_before(site):
    server = site.serve(Endpoint(), transport=site.transport(rabbit_quorum_queue=True))
    server.stop()
    site.client(site.transport(rabbit_quorum_queue=True)).cast({}, "note")
    with site.channel() as channel:
        wait_until(lambda: site.count(site.topic) == 1)
        message = channel.basic_get(site.topic)
        channel.basic_reject(message.delivery_tag, requeue=True)
    site.serve(Endpoint(), server="two", transport=site.transport(rabbit_quorum_queue=True))
    (moment,) = site.telemetry.wait_for("request_redelivered")
    incoming = moment.fields["incoming"]
    assert incoming.redelivered
    assert incoming.received.delivery_count == 1


def test_a_listener_for_another_format_of_trace_context_gets_its_keys(site):
    telemetry = RecordingTelemetry(carrier={"b3": "1-2-1"})
    telemetry.carrier_keys = frozenset({"b3"})
    site.serve(Endpoint(), transport=site.transport(telemetry=telemetry))
    site.client(site.transport(telemetry=telemetry)).call({}, "echo")
    (moment,) = telemetry.wait_for("request_finished")
    assert moment.fields["incoming"].received.carrier == {"b3": "1-2-1"}
