"""What a message says about itself at each attempt to send it."""

from __future__ import annotations

import pytest

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.outgoing import Outgoing, Shipment
from tracedrpc.drivers.rabbit.topology import DEFAULT_EXCHANGE
from tracedrpc.message import Invocation, Mode, Request
from tracedrpc.target import Target
from tracedrpc.wire.headers import DEADLINE, SENT, sent_ns, timeout_s

CARRIER = {"traceparent": "00-1-2-01"}


def shipment(left_s: float, timeout_s: float | None = 60.0, *, is_reply: bool = False) -> Shipment:
    outgoing = Outgoing(DEFAULT_EXCHANGE, "compute", b"", CARRIER, "m" * 32, expiration_ms=60_000)
    if is_reply:
        return Shipment(outgoing, Deadline.after(left_s))
    request = Request(Target(topic="compute"), "reboot", {}, {}, Mode.CALL, "u" * 32, "a" * 32, timeout_s)
    return Shipment(outgoing, Deadline.after(left_s), Invocation(request, Deadline.after(left_s)))


def test_each_attempt_says_when_it_is_sent() -> None:
    sent = shipment(60.0)
    first, second = sent.headers(), sent.headers()
    assert 0 < sent_ns(first) < sent_ns(second)
    assert first["traceparent"] == CARRIER["traceparent"]


def test_a_late_attempt_says_what_time_is_left() -> None:
    left_s = timeout_s(shipment(2.0).headers())
    assert left_s == pytest.approx(2.0, abs=1.0)
    assert timeout_s(shipment(-1.0).headers()) == 0


def test_a_request_without_limit_says_none() -> None:
    assert DEADLINE not in shipment(60.0, None).headers()


def test_the_broker_keeps_a_late_attempt_no_longer_than_its_caller_waits() -> None:
    assert shipment(2.0).expiration_ms() == pytest.approx(2000, abs=1000)
    assert shipment(-1.0).expiration_ms() == 1
    assert shipment(600.0).expiration_ms() == 60_000


def test_a_reply_keeps_the_headers_it_was_given() -> None:
    assert shipment(60.0, is_reply=True).headers() == CARRIER
    assert SENT not in CARRIER
