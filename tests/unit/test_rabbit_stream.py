"""Where a server goes on in a fanout stream after it has lost its connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.unit.rabbit_fakes import Clock, FakeLink
from tracedrpc._deadline import FOREVER_S
from tracedrpc.drivers.rabbit import stream
from tracedrpc.drivers.rabbit.stream import SLACK_S, StreamPosition

QUEUE = "compute_fanout"


@dataclass(frozen=True)
class FakeDelivery:
    place: int | None
    body: bytes = b""
    consumer: str = QUEUE

    def stream_offset(self):
        return self.place


def message(place, body=None):
    return FakeDelivery(place, body or b"message %d" % place)


def request(consumer="compute"):
    return FakeDelivery(None, b"a request", consumer)


def moment(seconds):
    return {"x-stream-offset": datetime.fromtimestamp(seconds, UTC)}


class Lab:
    def __init__(self):
        self.clock = Clock()
        self.position = StreamPosition(QUEUE, self.clock)
        self.link = FakeLink()

    def begin(self):
        return self.position.begin()

    def take(self, *deliveries):
        """Return what is new of it; all of it is acknowledged."""
        taken = self.position.sift(list(deliveries), self.link)
        self.position.passed(taken)
        return [each for each in taken if not self.position.is_known(each)]

    def lose(self, for_s=0.0):
        self.position.lost()
        self.clock.now_s += for_s


@pytest.fixture
def lab():
    return Lab()


@pytest.fixture
def behind(lab):
    """Give a server that has seen five messages and lost its connection at second 1100."""
    lab.begin()
    lab.take(*(message(place) for place in range(5)))
    lab.clock.now_s = 1100.0
    lab.lose()
    return lab


# ---- where it begins -----------------------------------------------------------------------------


def test_a_new_server_begins_with_the_next_message(lab):
    assert lab.begin() == {"x-stream-offset": "next"}


def test_a_server_that_has_seen_nothing_begins_again_at_the_time_of_its_start(lab):
    lab.begin()
    lab.lose(for_s=500)
    assert lab.begin() == moment(1000)


def test_a_server_begins_again_with_the_last_message_that_it_has_started(behind):
    assert behind.begin() == {"x-stream-offset": 4}


def test_what_was_delivered_and_not_started_comes_again(lab):
    lab.begin()
    lab.position.sift([message(0), message(1), message(2)], lab.link)
    lab.position.passed([message(0)])
    lab.lose()
    assert lab.begin() == {"x-stream-offset": 0}


def test_requests_from_other_queues_say_nothing_of_the_stream(lab):
    lab.begin()
    lab.take(message(7), request())
    lab.take(request())
    lab.lose()
    assert lab.begin() == {"x-stream-offset": 7}


# ---- the same stream -----------------------------------------------------------------------------


def test_the_message_seen_last_is_acknowledged_for_others_to_come_and_otherwise_left_out(behind):
    behind.begin()
    assert behind.position.sift([message(4)], behind.link) == [message(4)]
    behind.lose()
    behind.begin()
    assert behind.take(request(), message(4), message(5)) == [request(), message(5)]
    assert behind.take(message(6)) == [message(6)]
    behind.lose()
    assert behind.begin() == {"x-stream-offset": 6}


def test_when_the_message_seen_last_is_no_longer_kept_all_that_comes_is_new(behind):
    behind.begin()
    assert behind.take(message(9)) == [message(9)]
    assert behind.link.done == []


def test_while_all_is_well_nothing_is_waited_for(behind):
    assert behind.position.rest_s() == FOREVER_S
    behind.begin()
    assert behind.position.rest_s() <= stream.PATIENCE_S
    behind.take(message(4))
    assert behind.position.rest_s() == FOREVER_S


# ---- another stream ------------------------------------------------------------------------------


def test_in_a_shorter_stream_of_the_same_name_it_begins_by_time(behind, monkeypatch):
    monkeypatch.setattr(stream, "PATIENCE_S", 0.0)
    behind.begin()
    assert behind.take(request()) == [request()]
    assert behind.link.done == [f"cancel {QUEUE}", f"consume {QUEUE} x-stream-offset={at(1100 - SLACK_S)}"]


def test_in_a_longer_stream_of_the_same_name_it_begins_by_time_and_runs_nothing_twice(behind):
    behind.begin()
    assert behind.take(message(4, b"another"), request(), message(5)) == [request()]
    assert behind.link.done == [f"cancel {QUEUE}", f"consume {QUEUE} x-stream-offset={at(1100 - SLACK_S)}"]
    assert behind.take(message(0), message(1)) == [message(0), message(1)]


def test_it_never_begins_before_its_own_start(lab, monkeypatch):
    monkeypatch.setattr(stream, "PATIENCE_S", 0.0)
    lab.begin()
    lab.take(message(4))
    lab.lose(for_s=5)
    lab.begin()
    lab.take()
    assert lab.link.done[-1].endswith(at(1000))


def test_it_is_patient(behind):
    behind.begin()
    behind.take(request())
    assert behind.link.done == []


def test_after_a_cancelled_consumer_the_time_of_the_loss_is_that_of_the_new_beginning(lab, monkeypatch):
    monkeypatch.setattr(stream, "PATIENCE_S", 0.0)
    lab.begin()
    lab.take(message(4))
    lab.clock.now_s = 2000.0
    lab.begin()
    lab.take()
    assert lab.link.done[-1].endswith(at(2000 - SLACK_S))


def at(seconds):
    return str(datetime.fromtimestamp(seconds, UTC))
