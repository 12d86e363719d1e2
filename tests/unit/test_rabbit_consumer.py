"""The consumer: declares, consumes, hands over, acknowledges; begins again after a loss."""

from __future__ import annotations

import contextvars
import threading

import pytest

from tests.unit.rabbit_fakes import FakeLink
from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.consumer import Consumer
from tracedrpc.drivers.rabbit.errors import ConnectFailed, DeclareRefused, Reason, connect_failed
from tracedrpc.drivers.rabbit.lookout import Lookout
from tracedrpc.drivers.rabbit.topology import reply_queue
from tracedrpc.exceptions import MessagingException
from tracedrpc.options import Options
from tracedrpc.testing import RecordingTelemetry

OPTIONS = Options(kombu_reconnect_delay=0.001, rabbit_interval_max=0.01)
NAMES = ("reply_a", "reply_b")


class WaitingLink(FakeLink):
    """Waits in `read` until it is woken, or a test has something to read."""

    def __init__(self):
        super().__init__()
        self.waker = None
        self.readable = threading.Event()

    def watch(self, waker):
        self.waker = waker
        super().watch(waker)

    def read(self, timeout_s):
        super().read(timeout_s)
        for _ in range(500):
            if self.readable.wait(0.001):
                self.readable.clear()
                return
            import select

            if select.select([self.waker], [], [], 0)[0]:
                self.waker.drain()
                return


class FakeReceiver:
    def __init__(self):
        self.taken = []
        self.losses = 0
        self.idle = False
        self.changed = threading.Condition()

    def take(self, deliveries, link):
        with self.changed:
            self.taken += deliveries
            self.changed.notify_all()

    def rest_s(self):
        return 60.0

    def is_idle(self):
        return self.idle

    def unstarted(self, deliveries):
        return deliveries[-1] if deliveries else 0

    def lost(self):
        self.losses += 1

    def consuming(self, queue):
        return queue.consumer_arguments

    def wait_for(self, count, timeout_s=5.0):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.taken) >= count, timeout_s)


class Lab:
    def __init__(self):
        self.telemetry = RecordingTelemetry()
        self.receiver = FakeReceiver()
        self.links = []
        self.prepare = []
        self.lookout = Lookout(list)
        self.consumer = Consumer(
            "test", "replies", self, [reply_queue(name[6:], OPTIONS) for name in NAMES],
            self.receiver, 7, OPTIONS, self.telemetry,
        )

    def open(self, purpose, deadline):
        change = self.prepare.pop(0) if self.prepare else None
        if isinstance(change, Exception):
            raise change
        link = WaitingLink()
        if change is not None:
            change(link)
        self.links.append(link)
        return link

    def start(self, timeout_s=5.0):
        self.consumer.start()
        self.consumer.wait_ready(Deadline.after(timeout_s))
        return self.links[-1]


@pytest.fixture
def lab():
    lab = Lab()
    yield lab
    lab.consumer.close()


def test_it_limits_and_declares_and_consumes_before_it_is_ready(lab):
    link = lab.start()
    assert link.done[:6] == [
        "watch", "limit 7", "declare reply_a", "consume reply_a", "declare reply_b", "consume reply_b",
    ]
    assert lab.consumer.is_consuming()


def test_what_arrives_is_handed_over(lab):
    link = lab.start()
    link.deliveries.append(1)
    link.readable.set()
    lab.receiver.wait_for(1)


def test_what_came_with_the_answer_to_a_declaration_is_handed_over_before_waiting_for_more(lab):
    lab.prepare = [lambda link: link.deliveries.append(1)]
    lab.start()
    lab.receiver.wait_for(1, timeout_s=0.3)


def test_what_came_while_a_queue_was_declared_again_is_handed_over_at_once(lab):
    link = lab.start()
    link.wait_for("read")
    consume = link.consume

    def consume_and_receive(queue, arguments):
        consume(queue, arguments)
        link.deliveries.append(2)

    link.consume = consume_and_receive
    link.cancelled.append("reply_b")
    link.readable.set()
    lab.receiver.wait_for(1, timeout_s=0.3)
    assert lab.telemetry.of("consumer_cancelled")[0].fields["queue"] == "reply_b"


def test_each_time_that_consuming_begins_the_receiver_says_how(lab):
    said = []

    def consuming(queue):
        said.append(queue.name)
        return {"x-stream-offset": len(said)} if queue.name == "reply_b" else {}

    lab.receiver.consuming = consuming
    link = lab.start()
    assert "consume reply_a" in link.done
    assert "consume reply_b x-stream-offset=2" in link.done
    link.cancelled.append("reply_b")
    link.readable.set()
    link.wait_for("consume reply_b x-stream-offset=3")


def test_a_queue_that_the_broker_lost_is_repaired_and_the_others_left_alone(lab):
    link = lab.start()
    link.cancelled.append("reply_a")
    link.readable.set()
    link.wait_for("repair reply_a")
    assert "repair reply_b" not in link.done


def test_after_a_loss_it_connects_and_declares_again(lab):
    link = lab.start()
    link.wait_for("read")
    link.breaks["read"] = ConnectionResetError()
    link.readable.set()
    lab.telemetry.wait_for("connection_lost")
    lab.consumer.wake()
    lab.telemetry.wait_for("connection_closed")
    for _ in range(1000):
        if len(lab.links) == 2:
            break
        threading.Event().wait(0.002)
    lab.links[1].wait_for("consume reply_b")
    assert link.done[-1] == "abandon"
    assert lab.receiver.losses == 1


def test_a_broker_that_is_down_is_tried_until_it_is_up(lab):
    lab.prepare = [connect_failed(Reason.REFUSED, "b:1") for _ in range(5)]
    lab.start()
    assert len(lab.links) == 1


def test_who_waits_learns_why_there_is_no_broker_at_the_deadline(lab):
    lab.prepare = [connect_failed(Reason.REFUSED, "b:1") for _ in range(100_000)]
    with pytest.raises(ConnectFailed, match="nothing listens"):
        lab.start(timeout_s=0.05)


@pytest.mark.parametrize("reason", [Reason.AUTH, Reason.VHOST, Reason.TLS])
def test_what_waiting_does_not_mend_ends_the_start_at_once(lab, reason):
    lab.prepare = [connect_failed(reason, "b:1")]
    with pytest.raises(ConnectFailed) as error:
        lab.start()
    assert error.value.reason is reason
    assert lab.consumer.has_ended()


def test_a_refused_declaration_is_an_error_that_names_the_queue(lab):
    from amqp.exceptions import AccessRefused

    refusal = AccessRefused("no permission", (50, 10), reply_code=403)
    lab.prepare = [lambda link: link.breaks.update(declare=refusal)]
    with pytest.raises(DeclareRefused, match="'reply_a'"):
        lab.start()


def test_stopping_cancels_and_gives_back_what_was_not_taken(lab):
    link = lab.start()
    link.wait_for("read")
    cancel = link.cancel

    def cancel_and_receive(queue):
        cancel(queue)
        link.deliveries.append(9)

    link.cancel = cancel_and_receive
    lab.consumer.stop(5.0)
    assert [each for each in link.done if each.startswith(("cancel", "give_back"))] == [
        "cancel reply_a", "cancel reply_b", "give_back 9",
    ]
    assert "close" not in link.done


def test_closing_deletes_queues_of_our_own_and_says_goodbye(lab):
    link = lab.start()
    lab.consumer.close()
    assert link.done[-3:] == ["delete reply_a", "delete reply_b", "close"]


def test_closing_while_there_is_no_broker_ends_the_thread(lab):
    lab.prepare = [connect_failed(Reason.REFUSED, "b:1") for _ in range(100_000)]
    with pytest.raises(ConnectFailed):
        lab.start(timeout_s=0.02)
    lab.consumer.close()
    assert not lab.consumer._thread.is_alive()


# ---- at the helm -----------------------------------------------------------------------------------


def idle(lab):
    """Start a consumer for which nobody waits, and wait until its thread has left the helm."""
    lab.receiver.idle = True
    link = lab.start()
    until(lambda: lab.consumer._helm.is_parked)
    return link


def until(is_so, timeout_s=5.0):
    deadline = Deadline.after(timeout_s)
    while not is_so():
        assert not deadline.is_expired()
        threading.Event().wait(0.001)


def test_while_nobody_waits_a_caller_reads_for_itself(lab):
    link = idle(lab)
    link.deliveries = ["reply"]
    link.readable.set()
    lab.consumer.read_for(lambda: lab.receiver.taken == ["reply"], Deadline.after(5))
    assert lab.receiver.taken == ["reply"]


def test_a_caller_does_not_read_while_the_thread_does(lab):
    lab.start()
    read = []
    lab.consumer.read_for(lambda: read.append(1), Deadline.after(5))
    assert not read


def test_a_caller_leaves_the_helm_at_its_deadline(lab):
    idle(lab)
    lab.consumer.read_for(lambda: False, Deadline.after(0.02))
    assert lab.consumer._helm.reader == 0


def test_a_caller_that_leaves_others_waiting_wakes_the_thread(lab):
    link = idle(lab)

    def done():
        lab.receiver.idle = False
        return True

    lab.consumer.read_for(done, Deadline.after(5))
    link.deliveries = ["for another"]
    link.readable.set()
    lab.receiver.wait_for(1)


def test_what_breaks_under_a_caller_is_mended_by_the_thread(lab):
    idle(lab).breaks["read"] = ConnectionResetError("gone")
    lab.consumer.read_for(lambda: False, Deadline.after(5))
    until(lambda: len(lab.links) == 2)
    assert lab.telemetry.of("connection_lost")


def test_what_goes_wrong_while_a_caller_reads_is_not_its_own_error(lab):
    idle(lab).breaks["read"] = ValueError("not ours")
    lab.consumer.read_for(lambda: False, Deadline.after(5))
    until(lambda: lab.telemetry.of("background_failed"))
    until(lambda: len(lab.links) == 2)


def test_nobody_reads_on_where_another_was_interrupted(lab):
    idle(lab)
    lab.consumer._helm.trouble = ConnectionResetError("interrupted")
    reads = lab.links[0].done.count("read")
    lab.consumer.read_for(lambda: False, Deadline.after(5))
    assert lab.links[0].done.count("read") == reads


def test_a_signal_handler_may_close_what_its_thread_is_reading(lab):
    idle(lab)

    def handler():
        lab.consumer.close(timeout_s=30)
        return False

    lab.consumer.read_for(handler, Deadline.after(30))
    until(lambda: lab.links[0].done[-1] == "close")


def test_a_call_within_a_signal_handler_says_that_it_cannot_be_answered(lab):
    idle(lab)

    def handler():
        with pytest.raises(MessagingException, match="signal handler"):
            lab.consumer.read_for(lambda: False, Deadline.after(30))
        return True

    lab.consumer.read_for(handler, Deadline.after(30))


def test_what_a_caller_reads_is_read_in_an_empty_context(lab):
    idle(lab)
    variable = contextvars.ContextVar("request")
    variable.set("the caller's")
    seen = []
    lab.consumer.read_for(lambda: seen.append(variable.get(None)) or True, Deadline.after(5))
    assert seen == [None]


def test_a_caller_that_is_interrupted_leaves_the_link_to_be_replaced(lab):
    idle(lab).breaks["read"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        lab.consumer.read_for(lambda: False, Deadline.after(5))
    until(lambda: len(lab.links) == 2)


def test_closing_is_not_held_up_by_a_caller_at_the_helm(lab):
    idle(lab)
    caller = threading.Thread(target=lab.consumer.read_for, args=(lambda: False, Deadline.after(30)))
    caller.start()
    until(lambda: lab.consumer._helm.reader)
    lab.consumer.close()
    caller.join(5)
    assert not caller.is_alive()
    assert lab.links[-1].done[-1] == "close"
