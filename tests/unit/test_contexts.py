"""Whose context work runs in: nobody's request is carried into another's, nor into a thread's life."""

from __future__ import annotations

import threading
from contextvars import ContextVar, copy_context

import pytest

from tests.unit.rabbit_fakes import Clock, FakeLink, invocation, shipment
from tracedrpc import MessagingTimeout, Target, Telemetry, _threads, get_rpc_client, get_rpc_server
from tracedrpc._deadline import Deadline
from tracedrpc._scheduler import Scheduler
from tracedrpc.drivers.rabbit.courier import Courier
from tracedrpc.drivers.rabbit.errors import Reason
from tracedrpc.drivers.rabbit.helm import Helm
from tracedrpc.drivers.rabbit.keeper import Keeper
from tracedrpc.drivers.rabbit.outgoing import Outcome
from tracedrpc.drivers.rabbit.pool import ConnectionPool
from tracedrpc.message import Mode
from tracedrpc.options import Options
from tracedrpc.rpc.workers import InlineWorkers, ThreadWorkers
from tracedrpc.testing import RecordingTelemetry, memory_transport

SOON_S = 5.0
mine: ContextVar[str] = ContextVar("mine", default="")


@pytest.fixture(autouse=True)
def of_a_request():
    """Let the test be somebody's request."""
    token = mine.set("request-1")
    yield
    mine.reset(token)


class Ear:
    """Hears in whose context it is called."""

    def __init__(self):
        self.heard = []
        self.called = threading.Event()

    def __call__(self, *args, **fields):
        self.heard.append((mine.get(), len(copy_context())))
        self.called.set()

    def is_empty(self):
        assert self.called.wait(SOON_S)
        return all(heard == ("", 0) for heard in self.heard)


@pytest.fixture
def ear():
    return Ear()


def test_a_thread_of_ours_begins_in_an_empty_context(ear):
    _threads.start("test", ear).join(SOON_S)
    assert ear.is_empty()


def test_a_job_of_the_scheduler_runs_in_an_empty_context(ear):
    scheduler = Scheduler(Telemetry())
    scheduler.after(0, ear)
    assert ear.is_empty()
    scheduler.close()


def test_a_worker_and_an_inline_worker_run_a_request_in_an_empty_context(ear):
    workers = ThreadWorkers(1)
    assert workers.reserve()
    workers.submit(ear)
    assert workers.stop(SOON_S)
    InlineWorkers().submit(ear)
    assert ear.is_empty()
    assert len(ear.heard) == 2


def test_what_a_job_of_a_worker_sets_is_gone_with_it(ear):
    workers = ThreadWorkers(1)
    for job in (lambda: mine.set("request-2"), ear):
        while not workers.reserve():
            threading.Event().wait(0.001)
        workers.submit(job)
    assert workers.stop(SOON_S)
    assert ear.is_empty()


def test_who_reads_other_peoples_replies_does_so_in_an_empty_context(ear):
    Helm().steer(ear, lambda: False)
    assert ear.is_empty()
    assert mine.get() == "request-1"


def test_the_keeper_looks_after_connections_in_an_empty_context(ear):
    telemetry = RecordingTelemetry()
    pool = ConnectionPool(
        lambda deadline: FakeLink(), telemetry, max_size=1, min_size=0, ttl_s=60, clock=Clock(),
    )
    keeper = Keeper(pool, Options(), telemetry)
    link = pool.acquire(Deadline.after(SOON_S))
    link.read = ear
    pool.release(link)
    keeper.watch()
    assert ear.is_empty()
    keeper.close()


class NoWaiters:
    def fail(self, call, error):
        """Nobody waits."""


@pytest.mark.parametrize(("outcome", "moment"), [
    (Outcome.RETURNED, "message_returned"), (Outcome.LOST, "message_dropped"),
])
def test_what_becomes_of_anothers_message_is_told_in_an_empty_context(ear, outcome, moment):
    telemetry = Telemetry()
    setattr(telemetry, moment, ear)
    scheduler = Scheduler(telemetry)
    courier = Courier(scheduler, telemetry)
    courier.serve(None, NoWaiters())
    message = shipment(of=invocation(Mode.CAST))
    message.attempts = 1
    message.refusal = Reason.DENIED
    courier.settled(message, outcome)
    assert ear.is_empty()
    scheduler.close()


class Endpoint:
    def __init__(self, ear):
        self.ear = ear
        self.goes_on = threading.Event()

    def ask(self, ctxt):
        self.ear()
        mine.set("request-2")

    def hold(self, ctxt):
        assert self.goes_on.wait(SOON_S)


@pytest.mark.parametrize("executor", ["blocking", "threading"])
def test_a_request_in_the_same_process_knows_nothing_of_its_caller(ear, executor):
    with memory_transport() as transport:
        server = get_rpc_server(transport, Target(topic="t", server="s"), [Endpoint(ear)], executor)
        with server:
            get_rpc_client(transport, Target(topic="t")).call({}, "ask")
    ((value, _),) = ear.heard
    assert value == ""
    assert mine.get() == "request-1"


def test_a_reply_within_the_process_is_told_in_an_empty_context(ear):
    telemetry, endpoint = Telemetry(), Endpoint(ear)
    telemetry.reply_discarded = ear
    with memory_transport(telemetry=telemetry) as transport:
        client = get_rpc_client(transport, Target(topic="t"))
        with get_rpc_server(transport, Target(topic="t", server="s"), [endpoint]):
            with pytest.raises(MessagingTimeout):
                client.prepare(timeout=0.05).call({}, "hold")
            endpoint.goes_on.set()
            assert ear.is_empty()
