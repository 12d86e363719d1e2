"""What a call tells beyond its usual four spans: when it was slow or long, and as its switches say."""

from __future__ import annotations

import dataclasses

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tests.telemetry import support
from tests.telemetry.support import MS, Lab, invocation, publish, run_call
from tracedrpc.story import where_spent
from tracedrpc_otel.settings import Detail, ReplyWait, Settings


def test_a_slow_call_says_where_its_time_went(lab: Lab) -> None:
    call = invocation()
    call.slow_ns = 20 * MS
    with lab.telemetry.call(call):
        publish(call)
        support.finish(call, support.ReplyStamp(support.at(call, 5.0), call.started_ns + 19 * MS))
    client = lab.span("compute/reboot")
    assert client.attributes["tracedrpc.sampling.keep_reason"] == "slow"
    assert client.attributes["tracedrpc.why"] == where_spent(call)
    assert "acquire connection" in {span.name for span in lab.spans}


def test_a_call_names_the_node_and_the_server_it_used_and_the_clock_between(lab: Lab) -> None:
    call = invocation()
    with lab.telemetry.call(call):
        publish(call)
        call.address, call.server, call.attempts = "10.0.0.7", "cn7", 2
        call.confirmed_ns = call.published_ns + 2 * MS
        server = support.at(call, 5.0)
        server.delivered_wall_ns += 40 * MS
        support.finish(call, support.ReplyStamp(server, call.started_ns + 19 * MS))
    client, sent = lab.span("compute/reboot"), lab.span("publish nova:compute.{server}")
    for span in (client, sent):
        assert span.attributes["network.peer.address"] == "10.0.0.7"
        assert span.attributes["network.peer.port"] == span.attributes["server.port"] == 5672
    assert client.attributes["tracedrpc.server"] == "cn7"
    assert client.attributes["tracedrpc.queue.quality"] == "estimated"
    assert abs(client.attributes["tracedrpc.clock_skew_ms"] - 40) <= 1
    assert sent.attributes["tracedrpc.publish.attempts"] == 2
    assert sent.attributes["tracedrpc.publish.confirmed"] is True
    assert sent.attributes["tracedrpc.publish.confirm_ms"] == 2


def test_text_of_peers_is_made_safe(lab: Lab) -> None:
    call = invocation()
    with lab.telemetry.call(call):
        publish(call)
        call.server = "cn7\n" + "x" * 1000
        support.finish(call)
    server = lab.span("compute/reboot").attributes["tracedrpc.server"]
    assert len(server) <= 256 * 2
    assert "\n" not in server


def test_compact_detail_has_no_leaves_and_says_when_as_events() -> None:
    lab = Lab(detail=Detail.COMPACT)
    call, _ = run_call(lab)
    assert [span.name for span in lab.spans] == ["compute/reboot"] * 2
    client = next(span for span in lab.spans if span.kind is SpanKind.CLIENT)
    told = {event.name: event.timestamp for event in client.events}
    assert told == {
        "request_published": call.wall_ns(call.published_ns), "reply_received": call.wall_ns(call.replied_ns),
    }


def test_full_detail_has_a_span_for_every_phase() -> None:
    lab = Lab(detail=Detail.FULL)
    call, _ = run_call(lab)
    assert {span.name for span in lab.spans} == {
        "compute/reboot", "acquire connection", "publish nova:compute.{server}", "queue reply_{id}",
        "receive reply_{id}", "handle reboot",
    }
    acquire, sent = lab.span("acquire connection"), lab.span("publish nova:compute.{server}")
    assert acquire.start_time == call.wall_ns(call.acquire_ns)
    assert acquire.end_time + 1000 == sent.start_time
    assert acquire.kind is SpanKind.INTERNAL
    assert sent.attributes["messaging.message.body.size"] == 0


@pytest.mark.parametrize(("skew_ms", "starts_ms"), [(0, 20), (-40, 20), (5, 25), (40, None)])
def test_a_reply_that_was_long_on_its_way_says_so(lab: Lab, skew_ms: int, starts_ms: float | None) -> None:
    for replied_ms in (20.3, 50):  # the first one teaches about the clock
        call = invocation()
        with lab.telemetry.call(call):
            publish(call)
            server = support.at(call, 4.2)
            server.delivered_wall_ns += skew_ms * MS
            support.finish(call, support.ReplyStamp(server, call.started_ns + 20 * MS))
            call.server_times = dataclasses.replace(call.server_times, server=f"skew {skew_ms}")
            call.replied_ns = call.started_ns + int(replied_ms * MS)
            call.woken_ns = call.ended_ns = call.replied_ns + MS
    backs = [span for span in lab.spans if span.name == "queue reply_{id}"]
    if starts_ms is None:
        assert not backs
        return
    back = backs[-1]
    assert back.kind is SpanKind.INTERNAL
    assert abs((back.start_time - call.started_wall_ns) / MS - starts_ms) < 0.5
    assert back.end_time == call.wall_ns(call.replied_ns) - 1000
    assert len(backs) == 1
    assert back.attributes == {
        "tracedrpc.synthetic": True, "messaging.system": "rabbitmq",
        "tracedrpc.queue.quality": "estimated" if skew_ms else "sender_clock",
        "messaging.destination.template": "reply_{id}", "messaging.destination.name": "reply_77",
    }
    receive = [span for span in lab.spans if span.name == "receive reply_{id}"][-1]
    assert back.end_time + 1000 <= receive.start_time


@pytest.mark.parametrize(("elapsed_ms", "told"), [(49, False), (100, True), (500, False)])
def test_of_a_long_call_each_phase_that_matters_has_its_span(
    lab: Lab, elapsed_ms: int, told: bool,
) -> None:
    call = invocation()
    with lab.telemetry.call(call):
        publish(call)  # 2 ms for a connection
        support.finish(call)
        call.woken_ns = call.ended_ns = call.started_ns + elapsed_ms * MS
    assert ("acquire connection" in {span.name for span in lab.spans}) is told


def test_the_whole_reply_wait_can_be_drawn_or_none_of_it() -> None:
    lab = Lab(settings=Settings(reply_wait=ReplyWait.FULL))
    call, _ = run_call(lab)
    wait = lab.span("receive reply_{id}")
    assert wait.start_time == call.wall_ns(call.published_ns) + 1000
    assert wait.end_time == call.wall_ns(call.woken_ns)
    assert wait.status.status_code is StatusCode.UNSET
    lab = Lab(settings=Settings(reply_wait=ReplyWait.OFF))
    run_call(lab)
    assert "receive reply_{id}" not in {span.name for span in lab.spans}
    client = next(span for span in lab.spans if span.parent is None)
    assert [event.name for event in client.events] == ["request_published", "reply_received"]


def test_old_names_are_told_on_request_and_change_no_new_one() -> None:
    lab = Lab(settings=Settings(semconv="oslo"))
    plain = Lab()
    for each in (lab, plain):
        call = invocation(to=support.target(namespace="ops"))
        call.request.context["request_id"] = "req-1"
        with each.telemetry.call(call):
            publish(call)
            support.finish(call)
    old, new = (each.spans[-1].attributes for each in (lab, plain))
    assert {key: old[key] for key in old.keys() - new.keys()} == {
        "rpc.system": "oslo.messaging", "messaging.system": "rabbitmq", "messaging.operation": "call",
        "rpc.service": "ops", "messaging.destination.name": "compute", "openstack.request_id": "req-1",
    }
    assert old["rpc.method"] == "compute.ops/reboot"
