from __future__ import annotations

import contextvars
import threading

import pytest

from tracedrpc import ExecutorLoadFailure
from tracedrpc.rpc.workers import InlineWorkers, ThreadWorkers, check_executor, make_workers

PATIENCE_S = 5


def own_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("tracedrpc-test-")]


@pytest.fixture
def workers():
    made = ThreadWorkers(2, "test")
    yield made
    assert made.stop(PATIENCE_S)
    assert own_threads() == []


def run(workers, job):
    assert workers.reserve()
    workers.submit(job)


def test_threads_start_when_needed_and_have_names(workers):
    names, gate = [], threading.Barrier(3)
    assert own_threads() == []

    def job():
        names.append(threading.current_thread().name)
        gate.wait(PATIENCE_S)

    run(workers, job)
    run(workers, job)
    gate.wait(PATIENCE_S)
    assert sorted(names) == ["tracedrpc-test-1", "tracedrpc-test-2"]


def test_one_job_after_the_other_needs_one_thread(workers):
    for _ in range(20):
        free = threading.Event()
        workers.when_free(free.set)
        run(workers, lambda: None)
        while workers._reserved:
            free.wait(0.001)
    assert len(own_threads()) == 1


def test_no_more_run_at_once_than_the_size(workers):
    gate, free = threading.Event(), threading.Event()
    workers.when_free(free.set)
    run(workers, lambda: gate.wait(PATIENCE_S))
    run(workers, lambda: gate.wait(PATIENCE_S))
    assert not workers.reserve()
    assert not free.is_set()
    gate.set()
    assert free.wait(PATIENCE_S)
    assert workers.reserve()
    workers.submit(lambda: None)


def test_who_was_refused_is_woken_once_however_often_it_asked(workers):
    wakes, gate = [], threading.Event()
    workers.when_free(lambda: wakes.append(threading.current_thread().name))
    run(workers, lambda: gate.wait(PATIENCE_S))
    run(workers, lambda: gate.wait(PATIENCE_S))
    assert not workers.reserve()
    assert not workers.reserve()
    gate.set()
    assert workers.stop(PATIENCE_S)
    assert len(wakes) == 1
    assert wakes[0].startswith("tracedrpc-test-")


def test_nobody_is_woken_who_was_not_refused(workers):
    wakes = []
    workers.when_free(lambda: wakes.append(True))
    run(workers, lambda: None)
    assert workers.stop(PATIENCE_S)
    assert wakes == []


def test_nothing_leaks_from_one_job_into_the_next(workers):
    variable = contextvars.ContextVar("variable", default="unset")
    seen, done = [], threading.Event()
    variable.set("of the thread that submits")

    def first():
        seen.append(variable.get())
        variable.set("of the first job")

    def second():
        seen.append(variable.get())
        done.set()

    run(workers, first)
    while workers._reserved:
        done.wait(0.001)
    run(workers, second)
    assert done.wait(PATIENCE_S)
    assert seen == ["unset", "unset"]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_worker_outlives_a_job_that_raises(workers, monkeypatch, error):
    reported, done = [], threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda told: reported.append(told.exc_type))

    def bad():
        raise error

    for _ in range(2):
        run(workers, bad)
    while workers._reserved:
        done.wait(0.001)
    run(workers, done.set)
    assert done.wait(PATIENCE_S)
    assert reported == [error, error]


def test_stop_waits_for_running_jobs_and_refuses_new_ones(workers):
    gate, finished = threading.Event(), []

    def job():
        gate.wait(PATIENCE_S)
        finished.append(True)

    run(workers, job)
    assert not workers.stop(0.01)
    assert not workers.reserve()
    gate.set()
    assert workers.stop(PATIENCE_S)
    assert finished == [True]


def test_a_job_that_was_reserved_before_the_stop_still_runs(workers):
    done = threading.Event()
    assert workers.reserve()
    assert workers.stop(PATIENCE_S)
    workers.submit(done.set)
    assert done.wait(PATIENCE_S)


def test_a_job_may_stop_its_own_workers(workers):
    stopped, done = [], threading.Event()

    def job():
        stopped.append(workers.stop(PATIENCE_S))
        done.set()

    run(workers, job)
    assert done.wait(PATIENCE_S)
    assert stopped == [True]


def test_there_is_at_least_one_worker():
    with pytest.raises(ValueError, match="at least one"):
        ThreadWorkers(0)


def test_inline_jobs_run_in_the_thread_that_submits_in_an_empty_context():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("outside")
    seen = []
    workers = InlineWorkers()
    run(workers, lambda: seen.append((threading.get_ident(), variable.get())))
    assert seen == [(threading.get_ident(), "unset")]


def test_inline_jobs_may_submit_jobs():
    seen = []
    workers = InlineWorkers()
    run(workers, lambda: run(workers, lambda: seen.append(workers.stop(0))))
    assert seen == [True]


def test_inline_workers_wait_for_jobs_in_other_threads_when_they_stop():
    workers, started, gate = InlineWorkers(), threading.Event(), threading.Event()

    def job():
        started.set()
        gate.wait(PATIENCE_S)

    thread = threading.Thread(target=run, args=(workers, job))
    thread.start()
    assert started.wait(PATIENCE_S)
    assert not workers.stop(0.01)
    gate.set()
    assert workers.stop(PATIENCE_S)
    thread.join(PATIENCE_S)


def test_an_inline_job_may_raise_into_the_thread_that_submits():
    workers = InlineWorkers()

    def bad():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(workers, bad)
    assert workers.stop(0)


def test_an_executor_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ExecutorLoadFailure, match="threading, blocking, eventlet") as caught:
        check_executor("bogus")
    assert caught.value.executor == "bogus"


def test_the_executors_name_chooses_the_workers():
    assert isinstance(make_workers("blocking", 3), InlineWorkers)
    assert isinstance(make_workers("threading", 3), ThreadWorkers)
    assert make_workers(None, 3).size == 3


def test_the_eventlet_executor_means_threads_and_says_so():
    with pytest.warns(DeprecationWarning, match="means 'threading'"):
        check_executor("eventlet")
