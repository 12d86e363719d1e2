"""What becomes of a message that the broker did not take at the first attempt."""

from __future__ import annotations

import pytest

from tests.unit.rabbit_fakes import invocation, shipment
from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.courier import Courier
from tracedrpc.drivers.rabbit.outgoing import Outcome
from tracedrpc.exceptions import MessageDeliveryFailure, MessageUndeliverable
from tracedrpc.message import Mode, Stage
from tracedrpc.testing import RecordingTelemetry


class FakeScheduler:
    """Runs jobs when a test says so."""

    def __init__(self):
        self.jobs = []

    def after(self, delay_s, run):
        self.jobs.append((delay_s, run))

    def run_next(self):
        delay_s, run = self.jobs.pop(0)
        run()
        return delay_s

    def run_all(self, most=50):
        for _ in range(most):
            if not self.jobs:
                return
            self.run_next()
        raise AssertionError("it never ends")


class FakePublisher:
    """Takes messages, or refuses the next few."""

    def __init__(self):
        self.sent = []
        self.refuses = 0

    def send(self, message, deadline, retry=None):
        assert deadline.left_s() <= 2.0
        if self.refuses:
            self.refuses -= 1
            raise MessageDeliveryFailure("no broker")
        message.attempts += 1
        self.sent.append(message)


class FakeWaiters:
    def __init__(self):
        self.failed = []

    def fail(self, call, error):
        self.failed.append((call, error))


class Lab:
    def __init__(self):
        self.telemetry = RecordingTelemetry()
        self.scheduler = FakeScheduler()
        self.publisher = FakePublisher()
        self.waiters = FakeWaiters()
        self.courier = Courier(self.scheduler, self.telemetry)
        self.courier.serve(self.publisher, self.waiters)

    def published(self, key="compute", of=None, **fields):
        """Return a message that was handed to the broker once."""
        message = shipment(key, of=of, **fields)
        message.attempts = 1
        return message

    def returned(self, message):
        self.courier.settled(message, Outcome.RETURNED)

    def drops(self):
        return [moment.fields["reason"] for moment in self.telemetry.of("message_dropped")]


@pytest.fixture
def lab():
    return Lab()


# ---- taken ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [Stage.PUBLISH, Stage.CONFIRM, Stage.UNROUTABLE])
def test_a_confirmed_call_is_in_the_queue_or_at_a_server(lab, before):
    call = invocation()
    call.stage = before
    lab.courier.settled(lab.published(of=call), Outcome.CONFIRMED)
    assert call.stage is Stage.QUEUE_OR_SERVER
    assert call.confirmed_ns


def test_a_confirm_that_comes_after_a_heartbeat_does_not_turn_back_the_call(lab):
    call = invocation()
    call.stage = Stage.SERVER
    lab.courier.settled(lab.published(of=call), Outcome.CONFIRMED)
    assert call.stage is Stage.SERVER


def test_a_confirm_leaves_nothing_to_do(lab):
    lab.courier.settled(lab.published(), Outcome.CONFIRMED)
    assert not lab.scheduler.jobs
    assert len(lab.courier) == 0


# ---- returned ------------------------------------------------------------------------------------


def test_a_returned_call_says_so_once_and_knows_that_nobody_listens(lab):
    call = invocation()
    message = lab.published(of=call)
    lab.returned(message)
    assert call.stage is Stage.UNROUTABLE
    assert lab.telemetry.names() == ["message_returned"]
    message.attempts = 2
    lab.returned(message)
    assert lab.telemetry.names() == ["message_returned"]


def test_a_returned_message_is_tried_at_once_through_the_default_exchange(lab):
    message = lab.published("compute.cn7")
    lab.returned(message)
    assert lab.scheduler.run_next() == 0.0
    assert lab.publisher.sent == [message]
    assert message.outgoing.exchange.name == ""
    assert message.outgoing.routing_key == "compute.cn7"


def test_a_message_that_comes_back_again_is_tried_with_growing_pauses(lab):
    message = lab.published()
    pauses = []
    for _ in range(6):
        lab.returned(message)
        pauses.append(lab.scheduler.run_next())
    assert pauses[0] == 0.0
    assert pauses[1] < pauses[-1] <= 2.0
    assert len(lab.publisher.sent) == 6


def test_of_many_messages_for_one_destination_only_the_first_is_tried(lab):
    messages = [lab.published() for _ in range(20)]
    for message in messages:
        lab.returned(message)
    lab.scheduler.run_all()
    assert lab.publisher.sent == messages[:1]
    assert len(lab.courier) == 20


def test_when_the_first_is_taken_the_others_follow(lab):
    messages = [lab.published() for _ in range(3)]
    for message in messages:
        lab.returned(message)
    lab.scheduler.run_all()
    lab.courier.settled(messages[0], Outcome.CONFIRMED)
    lab.scheduler.run_all()
    assert lab.publisher.sent == messages
    assert len(lab.courier) == 0


def test_destinations_do_not_wait_for_each_other(lab):
    first, other = lab.published("compute"), lab.published("network")
    lab.returned(first)
    lab.returned(other)
    lab.scheduler.run_all()
    assert lab.publisher.sent == [first, other]


def test_a_call_that_nobody_waits_for_is_not_sent_again(lab):
    call = invocation()
    lab.returned(lab.published(of=call))
    call.ended_ns = 1
    lab.scheduler.run_all()
    assert not lab.publisher.sent
    assert len(lab.courier) == 0


def test_the_time_out_of_a_call_is_told_by_its_caller_only(lab):
    call = invocation()
    lab.returned(lab.published(of=call))
    call.ended_ns = 1
    lab.scheduler.run_all()
    assert not lab.drops()


def test_a_cast_without_a_queue_is_dropped_at_its_deadline_and_said_so(lab):
    lab.returned(lab.published(of=invocation(Mode.CAST), timeout_s=0.0))
    lab.scheduler.run_all()
    assert not lab.publisher.sent
    assert lab.drops() == ["unroutable"]


def test_an_expired_message_makes_room_for_the_next_one(lab):
    expired, fresh = lab.published(timeout_s=0.0), lab.published()
    lab.returned(expired)
    lab.returned(fresh)
    lab.scheduler.run_all()
    assert lab.publisher.sent == [fresh]


def test_a_destination_is_tried_again_when_its_first_message_was_lost_and_given_up(lab):
    """A broken connection takes the lane's first message with it; the lane must not end with it."""
    first, second = lab.published(of=invocation()), lab.published()
    lab.returned(first)
    lab.returned(second)
    lab.scheduler.run_next()
    first.invocation.ended_ns = 1
    lab.courier.settled(first, Outcome.LOST)
    lab.scheduler.run_all()
    assert second in lab.publisher.sent


def test_a_destination_whose_first_message_was_lost_takes_new_messages(lab):
    first = lab.published(of=invocation())
    lab.returned(first)
    lab.scheduler.run_next()
    first.invocation.ended_ns = 1
    lab.courier.settled(first, Outcome.LOST)
    lab.scheduler.run_all()
    later = lab.published()
    lab.returned(later)
    lab.scheduler.run_all()
    assert lab.publisher.sent == [first, later]


def test_a_message_that_was_lost_on_its_way_is_tried_until_it_is_taken(lab):
    first = lab.published()
    lab.returned(first)
    lab.scheduler.run_next()
    lab.courier.settled(first, Outcome.LOST)
    lab.scheduler.run_all()
    assert lab.publisher.sent == [first, first]
    lab.courier.settled(first, Outcome.CONFIRMED)
    assert len(lab.courier) == 0


def test_no_connection_means_another_attempt_later(lab):
    message = lab.published()
    lab.publisher.refuses = 3
    lab.returned(message)
    lab.scheduler.run_all()
    assert lab.publisher.sent == [message]


def test_at_least_once_tells_the_caller_at_once_and_does_not_try_again(lab):
    call = invocation(at_least_once=True)
    lab.returned(lab.published(of=call))
    ((failed, error),) = lab.waiters.failed
    assert failed is call
    assert isinstance(error, MessageUndeliverable)
    assert (error.exchange, error.routing_key) == ("nova", "compute")
    assert not lab.scheduler.jobs


def test_a_message_whose_sender_waits_for_the_outcome_is_left_to_it(lab):
    lab.returned(lab.published(is_followed=True))
    lab.courier.settled(lab.published(is_followed=True), Outcome.LOST)
    assert not lab.scheduler.jobs


def test_there_is_a_limit_to_what_waits_here(lab, monkeypatch):
    monkeypatch.setattr("tracedrpc.drivers.rabbit.courier.MOST", 3)
    for _ in range(5):
        lab.returned(lab.published())
    assert len(lab.courier) == 3
    assert lab.drops() == ["overflow", "overflow"]


def test_when_it_is_full_what_waits_is_still_tried(lab, monkeypatch):
    monkeypatch.setattr("tracedrpc.drivers.rabbit.courier.MOST", 2)
    first, second = lab.published(), lab.published()
    for message in (first, second, first):
        lab.returned(message)
        lab.scheduler.run_all()
    assert lab.publisher.sent == [first, first]
    assert not lab.drops()
    lab.courier.settled(first, Outcome.CONFIRMED)
    lab.scheduler.run_all()
    assert lab.publisher.sent[-1] is second
    assert len(lab.courier) == 0


# ---- lost, refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.NACKED])
def test_a_lost_or_refused_message_is_sent_again_after_a_pause(lab, outcome):
    message = lab.published()
    lab.courier.settled(message, outcome)
    assert 0.0 < lab.scheduler.run_next() <= 0.1
    assert lab.publisher.sent == [message]


def test_a_lost_message_is_sent_again_until_there_is_a_connection(lab):
    message = lab.published()
    lab.publisher.refuses = 4
    lab.courier.settled(message, Outcome.LOST)
    lab.scheduler.run_all()
    assert lab.publisher.sent == [message]


def test_a_lost_reply_is_dropped_after_its_deadline_and_said_so(lab):
    lab.courier.settled(lab.published(timeout_s=0.0), Outcome.LOST)
    lab.scheduler.run_all()
    assert lab.drops() == ["expired"]


# ---- the end -------------------------------------------------------------------------------------


def test_closing_drops_what_waits_and_says_so(lab):
    for _ in range(2):
        lab.returned(lab.published())
    lab.courier.close()
    assert lab.drops() == ["closed", "closed"]
    assert len(lab.courier) == 0


def test_a_closed_courier_sends_nothing(lab):
    lab.returned(lab.published())
    lab.courier.close()
    lab.courier.settled(lab.published(), Outcome.LOST)
    lab.returned(lab.published())
    lab.scheduler.run_all()
    assert not lab.publisher.sent


def test_an_attempt_has_a_short_deadline_of_its_own(lab):
    message = lab.published()
    message.deadline = Deadline.after(3600)
    lab.returned(message)
    lab.scheduler.run_all()  # FakePublisher looks at the deadline
    assert lab.publisher.sent
