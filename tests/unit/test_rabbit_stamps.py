"""What a call knows of its own way to the broker: stamps, durations, and the pool it had to wait for."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic_ns

import pytest

from tests.unit.rabbit_fakes import FakeLink, invocation, shipment
from tests.unit.test_rabbit_publisher import Lab, breaks_on, refused
from tracedrpc._deadline import Deadline
from tracedrpc.anatomy import Phase, anatomy_of
from tracedrpc.drivers.rabbit.courier import Courier
from tracedrpc.drivers.rabbit.outgoing import Outcome
from tracedrpc.exceptions import MessageDeliveryFailure
from tracedrpc.message import Stage
from tracedrpc.testing import RecordingTelemetry


@pytest.fixture
def lab():
    return Lab()


def sent(lab, **fields):
    call = invocation()
    lab.send(shipment(of=call), **fields)
    return call


def test_where_a_call_was_published_is_known_by_name_and_address(lab):
    def change(link):
        link.info = replace(link.info, address="10.0.0.7")

    lab.prepare = [change]
    call = sent(lab)
    assert (call.peer, call.address) == ("broker:5672", "10.0.0.7")


def test_a_call_that_found_an_idle_connection_neither_waited_nor_connected(lab):
    sent(lab)
    call = sent(lab)
    assert (call.pool, call.connect_ns) == (None, 0)


def test_a_call_that_found_none_knows_how_full_the_pool_was_and_how_long_connecting_took(lab):
    call = sent(lab)
    assert (call.pool.in_use, call.pool.max_size) == (0, 1)
    assert 0 < call.connect_ns <= call.acquired_ns - call.acquire_ns


def test_connects_in_vain_and_the_pauses_after_them_count_as_connecting(lab):
    lab.prepare = [refused(), refused()]
    call = sent(lab)
    pauses_ns = sum(m.fields["delay_s"] for m in lab.telemetry.of("publish_retried")) * 1e9
    assert pauses_ns * 0.9 < call.connect_ns <= call.acquired_ns - call.acquire_ns
    call.ended_ns = monotonic_ns()
    assert anatomy_of(call).phases[Phase.CONNECT] == call.connect_ns


def test_a_call_that_never_got_a_connection_spent_its_time_on_connecting(lab):
    lab.prepare = [refused() for _ in range(1000)]
    call = invocation()
    with pytest.raises(MessageDeliveryFailure):
        lab.send(shipment(of=call), timeout_s=0.05)
    call.ended_ns = monotonic_ns()
    anatomy = anatomy_of(call)
    assert call.acquired_ns == 0
    assert anatomy.ms(Phase.CONNECT) > 0.8 * anatomy.elapsed_ns / 1e6


def test_a_connection_is_acquired_once_and_published_on_as_often_as_it_takes(lab):
    lab.prepare = [breaks_on("publish")]
    call = invocation()
    message = shipment(of=call)
    lab.send(message)
    first_ns, connect_ns, published_ns = call.acquired_ns, call.connect_ns, call.published_ns
    assert call.attempts == 2
    lab.send(message)
    assert (call.acquired_ns, call.connect_ns, call.attempts) == (first_ns, connect_ns, 3)
    assert call.published_ns > published_ns


def test_the_first_return_is_stamped_and_no_later_one():
    telemetry = RecordingTelemetry()
    courier = Courier(NoScheduler(), telemetry)
    call = invocation()
    message = shipment(of=call)
    message.attempts = 1
    courier.settled(message, Outcome.RETURNED)
    first_ns = call.returned_ns
    assert first_ns > call.started_ns
    courier.settled(message, Outcome.RETURNED)
    assert call.returned_ns == first_ns
    assert call.stage is Stage.UNROUTABLE


def test_a_call_that_waits_for_the_only_connection_knows_so():
    lab = Lab()
    held = lab.pool.acquire(Deadline.after(1))
    assert isinstance(held, FakeLink)
    call = invocation()
    with pytest.raises(MessageDeliveryFailure):
        lab.send(shipment(of=call), timeout_s=0.05)
    assert (call.pool.in_use, call.pool.max_size, call.connect_ns) == (1, 1, 0)
    call.ended_ns = monotonic_ns()
    anatomy = anatomy_of(call)
    assert anatomy.ms(Phase.ACQUIRE) > 0.8 * anatomy.elapsed_ns / 1e6


class NoScheduler:
    def after(self, delay_s, run):
        """Nothing is sent again here."""
