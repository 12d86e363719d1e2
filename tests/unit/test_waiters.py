"""Callers that wait: what replies, heartbeats and time-outs make known to them."""

from __future__ import annotations

from time import monotonic_ns

import pytest

from tests.unit.rabbit_fakes import invocation
from tracedrpc import MessagingTimeout
from tracedrpc.drivers.waiters import Waiters
from tracedrpc.exceptions import ReplyDecodeError
from tracedrpc.message import ServerTimes, Stage
from tracedrpc.testing import RecordingTelemetry
from tracedrpc.wire.body import Properties
from tracedrpc.wire.headers import heartbeat_headers, reply_headers
from tracedrpc.wire.reply import encode_heartbeat, encode_result

MOST = 4096


class Lab:
    def __init__(self):
        self.telemetry = RecordingTelemetry()
        self.waiters = Waiters(self.telemetry, [], MOST)

    def expect(self, timeout_s=5.0):
        call = invocation(timeout_s=timeout_s)
        return call, self.waiters.expect(call)

    def reply(self, call, result=1, server="cn7", headers=None):
        times = ServerTimes(call.started_wall_ns, 1, 2, 3, server)
        self.deliver(
            encode_result(call.request.msg_id, "u" * 32, result),
            reply_headers(times, {}) if headers is None else headers,
        )

    def heartbeat(self, call, server="cn7"):
        self.deliver(encode_heartbeat(call.request.msg_id, "u" * 32), heartbeat_headers(server, {}))

    def deliver(self, body, headers):
        self.waiters.deliver("reply_1", body, Properties(headers=headers), monotonic_ns())


@pytest.fixture
def lab():
    return Lab()


# ---- who answered --------------------------------------------------------------------------------


def test_a_reply_names_its_server(lab):
    call, waiter = lab.expect()
    lab.reply(call)
    assert lab.waiters.result(waiter) == 1
    assert (call.server, call.server_times.server) == ("cn7", "cn7")


def test_a_heartbeat_names_its_server_before_the_reply_comes(lab):
    call, _ = lab.expect()
    lab.heartbeat(call)
    assert (call.server, call.stage, call.heartbeats) == ("cn7", Stage.SERVER, 1)


def test_a_reply_without_a_name_leaves_the_one_that_is_known(lab):
    call, _ = lab.expect()
    lab.heartbeat(call)
    lab.reply(call, headers={})
    assert call.server == "cn7"


# ---- a reply that cannot be decoded --------------------------------------------------------------


def test_a_caller_learns_at_once_that_its_reply_cannot_be_decoded(lab):
    call, waiter = lab.expect(timeout_s=60)
    lab.reply(call, result="x" * MOST)
    with pytest.raises(ReplyDecodeError, match="has more than 4096 bytes") as error:
        lab.waiters.result(waiter)
    assert (error.value.phase, error.value.reason) == ("reply_decode", "size")
    assert error.value.msg_id == call.request.msg_id
    assert call.stage is Stage.REPLY_DECODE
    assert call.started_ns < call.replied_ns <= call.woken_ns
    assert lab.telemetry.of("message_discarded")[0].fields["reason"] == "size"
    assert len(lab.waiters) == 0


@pytest.mark.parametrize("kind", ["application/x-pickle", "text/plain"])
def test_a_reply_of_another_content_type_is_one_too(lab, kind):
    call, waiter = lab.expect()
    body = encode_result(call.request.msg_id, "u" * 32, 1)
    lab.waiters.deliver("reply_1", body, Properties(content_type=kind), monotonic_ns())
    with pytest.raises(ReplyDecodeError) as error:
        lab.waiters.result(waiter)
    assert error.value.reason == "content_type"


def test_a_second_reply_after_one_that_could_not_be_decoded_is_a_duplicate(lab):
    call, _ = lab.expect()
    lab.reply(call, result="x" * MOST)
    lab.reply(call)
    assert lab.telemetry.of("reply_discarded")[0].fields["reason"] == "duplicate"


def test_a_reply_that_cannot_be_decoded_and_names_no_call_ends_none(lab):
    call, _ = lab.expect()
    lab.deliver(b"\xff", {})
    lab.deliver(b"[]" * 5000, {})
    assert len(lab.waiters) == 1
    assert call.stage is not Stage.REPLY_DECODE


def test_one_for_a_call_that_nobody_waits_for_is_only_discarded(lab):
    call, waiter = lab.expect()
    lab.waiters.forget(waiter)
    lab.reply(call, result="x" * MOST)
    assert lab.telemetry.names() == ["message_discarded"]


# ---- time-outs -----------------------------------------------------------------------------------


def test_a_call_that_times_out_is_inquired_about_before_it_is_told(lab):
    call, waiter = lab.expect(timeout_s=0)
    seen = []

    def inquire(asked):
        seen.append((asked, len(lab.waiters), lab.telemetry.names()))
        asked.queue_messages, asked.queue_consumers = 7, 0
        asked.stage = Stage.QUEUE_OR_SERVER

    lab.waiters.inquire = inquire
    with pytest.raises(MessagingTimeout, match="7 messages wait there now and nobody consumes") as error:
        lab.waiters.result(waiter)
    assert seen == [(call, 0, [])]
    assert (error.value.queue_messages, error.value.queue_consumers) == (7, 0)
    assert error.value.elapsed_s == call.elapsed_s()


def test_an_inquiry_that_fails_does_not_hide_the_time_out(lab):
    _, waiter = lab.expect(timeout_s=0)

    def inquire(asked):
        raise KeyError("a fault of ours")

    lab.waiters.inquire = inquire
    with pytest.raises(MessagingTimeout):
        lab.waiters.result(waiter)
    assert lab.telemetry.of("background_failed")[0].fields["where"] == "inquiry"
    assert lab.telemetry.of("call_timed_out")


def test_a_call_whose_heartbeats_stop_names_the_server_that_sent_them(lab):
    call = invocation(timeout_s=60, monitor_timeout_s=0.05)
    waiter = lab.waiters.expect(call)
    lab.heartbeat(call)
    with pytest.raises(MessagingTimeout, match="server 'cn7' was working on it and its heartbeats stopped"):
        lab.waiters.result(waiter)
    assert call.deadline.left_s() > 30
