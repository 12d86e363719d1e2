from __future__ import annotations

from types import SimpleNamespace

import pytest

from tracedrpc._scheduler import Job
from tracedrpc.driver import Incoming
from tracedrpc.message import Received, ServerTimeline
from tracedrpc.rpc.monitor import CallMonitor
from tracedrpc.testing import RecordingTelemetry


class StubScheduler:
    """Runs jobs when told to."""

    def __init__(self):
        self.jobs = []

    def after(self, delay_s, run):
        job = Job(delay_s, run)
        self.jobs.append(job)
        return job

    def tick(self):
        job = self.jobs.pop(0)
        run = job.take()
        if run is not None:
            run()
        return job.due_s


class StubIncoming(Incoming):
    topic = "t"

    def __init__(self, monitor_timeout_s=2.0, msg_id="m"):
        self.received = Received("slow", {}, {}, msg_id=msg_id, monitor_timeout_s=monitor_timeout_s)
        self.timeline = ServerTimeline()
        self.heartbeats = 0
        self.error = None

    def reply(self, result):
        raise NotImplementedError

    fail = reply

    def heartbeat(self):
        if self.error is not None:
            raise self.error
        self.heartbeats += 1


@pytest.fixture
def scheduler():
    return StubScheduler()


@pytest.fixture
def telemetry():
    return RecordingTelemetry()


@pytest.fixture
def monitor(scheduler, telemetry):
    return CallMonitor(SimpleNamespace(scheduler=scheduler), telemetry)


@pytest.mark.parametrize(("timeout_s", "interval_s"), [(10, 5), (1, 0.5), (0.5, 0.25), (1e-9, 0.05)])
def test_a_heartbeat_goes_out_twice_per_time_out(monitor, scheduler, telemetry, timeout_s, interval_s):
    incoming = StubIncoming(timeout_s)
    with monitor.watch(incoming):
        assert incoming.heartbeats == 0
        assert [scheduler.tick() for _ in range(3)] == [interval_s] * 3
    assert incoming.heartbeats == 3
    assert [moment.fields["incoming"] for moment in telemetry.of("heartbeat_sent")] == [incoming] * 3


def test_none_goes_out_after_the_request_is_answered(monitor, scheduler):
    incoming = StubIncoming()
    with monitor.watch(incoming):
        pass
    scheduler.tick()
    assert incoming.heartbeats == 0
    assert scheduler.jobs == []


def test_none_goes_out_after_the_method_raised(monitor, scheduler):
    incoming = StubIncoming()
    with pytest.raises(ValueError, match="x"), monitor.watch(incoming):
        raise ValueError("x")
    scheduler.tick()
    assert incoming.heartbeats == 0


def test_one_that_fails_is_reported_by_the_scheduler_and_the_next_goes_out(monitor, scheduler):
    incoming = StubIncoming()
    with monitor.watch(incoming):
        incoming.error = OSError("broken")
        with pytest.raises(OSError, match="broken"):
            scheduler.tick()
        incoming.error = None
        scheduler.tick()
    assert incoming.heartbeats == 1


def test_a_request_answered_while_a_heartbeat_is_under_way_schedules_no_more(monitor, scheduler):
    incoming = StubIncoming()
    watch = monitor.watch(incoming)
    incoming.heartbeat = lambda: watch.__exit__(None, None, None)
    watch.__enter__()
    scheduler.tick()
    assert scheduler.jobs == []


@pytest.mark.parametrize("timeout_s", [None, 0, -1, float("nan"), float("inf")])
def test_a_caller_that_asks_for_none_or_nonsense_gets_none(monitor, scheduler, timeout_s):
    with monitor.watch(StubIncoming(timeout_s)):
        assert scheduler.jobs == []


def test_a_cast_gets_none(monitor, scheduler):
    with monitor.watch(StubIncoming(msg_id=None)):
        assert scheduler.jobs == []
