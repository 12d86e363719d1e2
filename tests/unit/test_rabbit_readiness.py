"""Waiting until there is something to read, as with `select.poll` so without."""

from __future__ import annotations

import os
import select
import threading

import pytest

from tracedrpc.drivers.rabbit import readiness
from tracedrpc.drivers.rabbit.waker import Waker


@pytest.fixture
def waker():
    made = Waker()
    yield made
    made.close()


@pytest.fixture(params=["poll", "select"])
def poll(request, monkeypatch):
    """Return a poll as it is made in a plain process, and in one that eventlet has patched."""
    if request.param == "select":
        monkeypatch.delattr(select, "poll")
        assert isinstance(readiness.make_poll(), readiness.SelectPoll)
    return readiness.make_poll()


def test_nothing_to_read_is_nothing(poll, waker):
    poll.register(waker.fileno(), select.POLLIN)
    assert poll.poll(0) == []


def test_what_is_readable_is_named(poll, waker):
    other = Waker()
    poll.register(waker.fileno(), select.POLLIN)
    poll.register(other.fileno(), select.POLLIN)
    other.wake()
    assert poll.poll(5000) == [(other.fileno(), select.POLLIN)]
    other.close()


def test_a_wait_ends_when_another_thread_wakes_it(poll, waker):
    poll.register(waker.fileno(), select.POLLIN)
    thread = threading.Timer(0.05, waker.wake)
    thread.start()
    assert poll.poll(5000)
    thread.join()


def test_a_waker_that_was_drained_can_be_woken_again(poll, waker):
    poll.register(waker.fileno(), select.POLLIN)
    for _ in range(2):
        waker.wake()
        waker.wake()
        assert poll.poll(0)
        waker.drain()
        assert not poll.poll(0)
    waker.drain()


def test_a_waker_that_nobody_drains_can_be_woken_for_ever(waker):
    pipe_bytes = 1 << 16
    for _ in range(pipe_bytes + 10):
        waker.wake()


def test_a_waker_does_not_wait_where_eventlet_makes_pipes_wait(waker, monkeypatch):
    def trampoline(*_args):
        raise AssertionError("eventlet would wait here")

    monkeypatch.setattr(os, "read", trampoline)
    monkeypatch.setattr(os, "write", trampoline)
    waker.wake()
    waker.drain()
    waker.drain()


def test_a_closed_waker_is_harmless():
    waker = Waker()
    waker.close()
    waker.close()
    waker.wake()
