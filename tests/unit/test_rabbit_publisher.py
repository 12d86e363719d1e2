"""Publishing: on a borrowed connection, again after a failure, never beyond the deadline."""

from __future__ import annotations

from time import monotonic

import pytest
from amqp.exceptions import AccessRefused, NotFound

from tests.unit.rabbit_fakes import Clock, FakeLink, invocation, shipment
from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.errors import ConnectionClosed, Reason, connect_failed
from tracedrpc.drivers.rabbit.lookout import Lookout
from tracedrpc.drivers.rabbit.outgoing import Outcome
from tracedrpc.drivers.rabbit.pool import ConnectionPool
from tracedrpc.drivers.rabbit.publisher import UNREAD_MOST, Publisher
from tracedrpc.exceptions import MessageDeliveryFailure
from tracedrpc.message import Mode, Stage
from tracedrpc.options import Options
from tracedrpc.testing import RecordingTelemetry


class FakeKeeper:
    def __init__(self):
        self.calls = 0

    def watch(self):
        self.calls += 1


class Lab:
    def __init__(self):
        self.telemetry = RecordingTelemetry()
        self.clock = Clock()
        self.keeper = FakeKeeper()
        self.links = []
        self.settled = []
        self.prepare = []
        """For each connection to come: a function that changes it, or an error to raise."""
        self.pool = ConnectionPool(
            self.open, self.telemetry, max_size=1, min_size=0, ttl_s=60, clock=self.clock,
        )
        options = Options(kombu_reconnect_delay=0.001, rabbit_interval_max=0.01)
        self.publisher = Publisher(self.pool, self.keeper, Lookout(list), options, self.telemetry)

    def open(self, deadline):
        change = self.prepare.pop(0) if self.prepare else None
        if isinstance(change, Exception):
            raise change
        link = FakeLink(lambda message, outcome: self.settled.append(outcome), self.clock)
        if change is not None:
            change(link)
        self.links.append(link)
        return link

    def send(self, message=None, retry=None, timeout_s=5.0):
        self.publisher.send(message or shipment(), Deadline.after(timeout_s), retry)

    def deliver(self, message=None, retry=None, timeout_s=5.0):
        return self.publisher.deliver(message or shipment(is_followed=True), Deadline.after(timeout_s), retry)


@pytest.fixture
def lab():
    return Lab()


def refused():
    return connect_failed(Reason.REFUSED, "broker:5672")


def breaks_on(operation):
    def change(link):
        link.breaks[operation] = ConnectionResetError("reset")

    return change


# ---- handing over --------------------------------------------------------------------------------


def test_a_message_is_handed_over_and_the_connection_given_back(lab):
    message = shipment()
    lab.send(message)
    (link,) = lab.links
    assert link.published == [message.outgoing]
    assert lab.pool.stats().idle == 1


def test_the_keeper_is_asked_to_collect_the_confirm(lab):
    lab.send()
    assert lab.keeper.calls == 1
    assert lab.links[0].unsettled


def test_the_next_message_uses_the_same_connection(lab):
    lab.send()
    lab.send()
    assert len(lab.links) == 1


def test_a_call_knows_how_far_it_has_come(lab):
    call = invocation()
    lab.send(shipment(of=call))
    assert call.stage is Stage.CONFIRM
    assert 0 < call.acquire_ns <= call.acquired_ns <= call.published_ns
    assert (call.peer, call.attempts) == ("broker:5672", 1)


def test_a_call_that_came_back_stays_unroutable_while_it_is_tried_again(lab):
    call = invocation()
    call.stage = Stage.UNROUTABLE
    lab.send(shipment(of=call))
    assert call.stage is Stage.UNROUTABLE


def test_a_confirm_is_waited_for_when_asked(lab):
    assert lab.deliver() is Outcome.CONFIRMED
    assert lab.keeper.calls == 0


def test_a_message_without_a_queue_is_said_to_be_returned(lab):
    lab.prepare = [lambda link: link.answers.append(Outcome.RETURNED)]
    assert lab.deliver() is Outcome.RETURNED
    assert lab.pool.stats().idle == 1


def test_a_confirm_that_takes_several_reads_is_waited_for(lab):
    lab.prepare = [lambda link: link.answers.extend([None, None])]
    assert lab.deliver() is Outcome.CONFIRMED
    assert lab.links[0].done.count("read") == 3


# ---- again ---------------------------------------------------------------------------------------


def test_a_broken_connection_is_replaced_and_the_message_sent_again(lab):
    lab.prepare = [breaks_on("publish")]
    message = shipment()
    lab.send(message)
    broken, fine = lab.links
    assert broken.done == ["publish", "abandon"]
    assert fine.published == [message.outgoing]
    assert lab.telemetry.of("connection_lost")[0].fields["reason"] == "reset"
    assert lab.telemetry.of("publish_retried")[0].fields["reason"] == "reset"


def test_a_connection_that_breaks_before_the_confirm_is_replaced(lab):
    lab.prepare = [breaks_on("read")]
    assert lab.deliver() is Outcome.CONFIRMED
    assert len(lab.links) == 2


def test_a_message_that_the_broker_refuses_is_sent_again(lab):
    lab.prepare = [lambda link: link.answers.append(Outcome.NACKED)]
    assert lab.deliver() is Outcome.CONFIRMED
    assert len(lab.links) == 1


def test_a_broker_that_is_down_is_tried_again(lab):
    lab.prepare = [refused(), refused(), refused()]
    lab.send()
    assert [moment.fields["reason"] for moment in lab.telemetry.of("publish_retried")] == ["refused"] * 3


@pytest.mark.parametrize(("retry", "attempts"), [(0, 1), (1, 2), (3, 4)])
def test_retry_limits_the_attempts(lab, retry, attempts):
    lab.prepare = [refused() for _ in range(10)]
    with pytest.raises(MessageDeliveryFailure, match="nothing listens there"):
        lab.send(retry=retry)
    assert 10 - len(lab.prepare) == attempts


def test_what_the_broker_does_not_permit_is_told_at_once(lab):
    denied = AccessRefused("no permission", (40, 10), reply_code=403)
    lab.prepare = [lambda link: link.breaks.update(publish=denied)]
    with pytest.raises(MessageDeliveryFailure, match="no permission"):
        lab.send()
    assert len(lab.links) == 1


def test_an_exchange_that_has_gone_meanwhile_is_no_failed_attempt(lab):
    gone = NotFound("no exchange", (60, 40), reply_code=404)
    lab.prepare = [lambda link: link.breaks.update(read=gone)]
    assert lab.deliver(retry=0) is Outcome.CONFIRMED
    assert len(lab.links) == 2


@pytest.mark.parametrize("retry", [None, -1])
def test_without_a_limit_it_is_tried_until_the_deadline(lab, retry):
    lab.prepare = [refused() for _ in range(10_000)]
    began_s = monotonic()
    with pytest.raises(MessageDeliveryFailure):
        lab.send(retry=retry, timeout_s=0.1)
    assert 0.09 < monotonic() - began_s < 0.3
    assert len(lab.prepare) < 10_000 - 3


@pytest.mark.parametrize("reason", [Reason.AUTH, Reason.VHOST, Reason.TLS])
def test_what_waiting_does_not_mend_is_told_at_once(lab, reason):
    lab.prepare = [connect_failed(reason, "broker:5672"), refused()]
    with pytest.raises(MessageDeliveryFailure) as failure:
        lab.send()
    assert failure.value.__cause__.reason is reason
    assert len(lab.prepare) == 1


def test_the_failure_names_message_exchange_and_routing_key(lab):
    lab.prepare = [refused()]
    message = shipment("compute.cn7")
    with pytest.raises(MessageDeliveryFailure) as failure:
        lab.send(message, retry=0)
    for word in (message.outgoing.message_id, "'nova'", "'compute.cn7'", "broker:5672"):
        assert word in str(failure.value)


def test_a_call_that_found_no_broker_says_so(lab):
    call = invocation(Mode.CALL)
    lab.prepare = [refused()]
    with pytest.raises(MessageDeliveryFailure):
        lab.send(shipment(of=call), retry=0)
    assert call.stage is Stage.CONNECT


def test_a_call_that_got_no_connection_says_so(lab):
    lab.pool.acquire(Deadline.after(1))
    call = invocation(Mode.CALL)
    with pytest.raises(MessageDeliveryFailure, match="all 1 are in use"):
        lab.send(shipment(of=call), timeout_s=0.05)
    assert call.stage is Stage.POOL_ACQUIRE


def test_a_closed_pool_is_told_at_once(lab):
    lab.pool.close()
    with pytest.raises(MessageDeliveryFailure) as failure:
        lab.send()
    assert isinstance(failure.value.__cause__, ConnectionClosed)


def test_closing_ends_the_pause_between_attempts(lab):
    lab.prepare = [refused() for _ in range(100)]
    lab.publisher.close()
    with pytest.raises(MessageDeliveryFailure):
        lab.send(timeout_s=60)
    assert len(lab.prepare) > 90


# ---- the connection ------------------------------------------------------------------------------


def test_a_confirm_that_does_not_come_in_time_fails_the_message_and_not_its_connection(lab):
    lab.prepare = [lambda link: link.answers.extend([None] * 100_000)]
    with pytest.raises(MessageDeliveryFailure, match="no confirm in time"):
        lab.deliver(timeout_s=0.05, retry=0)
    assert "abandon" not in lab.links[0].done
    assert len(lab.links[0].unsettled) == 1
    assert lab.settled == []


def test_a_connection_that_was_idle_for_a_while_is_looked_at_before_it_is_used(lab):
    lab.send()
    lab.clock.now_s += 1
    lab.send()
    assert lab.links[0].done == ["publish", "is_stale", "publish"]


def test_a_connection_in_steady_use_is_not_looked_at(lab):
    for _ in range(5):
        lab.send()
    assert "is_stale" not in lab.links[0].done


def test_a_connection_with_many_confirms_missing_is_read_before_it_is_used(lab):
    for _ in range(UNREAD_MOST + 1):
        lab.send()
    assert lab.links[0].done.count("is_stale") == 1


def test_a_connection_that_the_broker_closed_meanwhile_is_replaced_without_a_failed_attempt(lab):
    lab.send()
    lab.clock.now_s += 1
    lab.links[0].stale = True
    lab.send(retry=0)
    assert len(lab.links) == 2
    assert lab.telemetry.of("connection_lost")[0].fields["reason"] == "stale"
    assert not lab.telemetry.of("publish_retried")


@pytest.mark.parametrize("operation", ["publish", "is_stale"])
def test_a_fault_of_ours_costs_the_connection_and_not_its_slot(lab, operation):
    lab.send()
    lab.clock.now_s += 1
    lab.links[0].breaks[operation] = KeyError("a fault of ours")
    with pytest.raises(KeyError):
        lab.send()
    assert lab.pool.stats().in_use == 0
    lab.send()
