import socket
import threading
from contextlib import contextmanager

import pytest

from tracedrpc.drivers.rabbit.lookout import STEP_S, Lookout

LONG_S = 60.0
NEVER = threading.Event()


@contextmanager
def listening(port=0):
    with socket.create_server(("127.0.0.1", port)) as server:
        yield server.getsockname()


def free_address():
    with listening() as address:
        return address


@contextmanager
def pausing(lookout, over=NEVER):
    """Give a thread that pauses for a minute; `join` it."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(lookout.pause(LONG_S, over)))
    thread.start()
    yield answers, thread
    thread.join(10)
    assert not thread.is_alive()


def test_a_pause_ends_by_itself_when_nobody_is_seen():
    assert Lookout(lambda: [free_address()]).pause(2 * STEP_S, NEVER) is False


def test_a_pause_ends_when_a_broker_listens_again():
    address = free_address()
    lookout = Lookout(lambda: [address])
    with pausing(lookout) as (answers, thread):
        thread.join(3 * STEP_S)
        assert thread.is_alive()
        with listening(address[1]):
            thread.join(10)
    assert answers == [False]


def test_any_of_several_hosts_will_do():
    with listening() as there:
        assert Lookout(lambda: [free_address(), there]).pause(LONG_S, NEVER) is False


def test_all_pauses_end_when_one_thread_has_opened_a_connection():
    lookout = Lookout(list)
    with pausing(lookout) as (first, _), pausing(lookout) as (second, _):
        lookout.opened()
    assert first == second == [False]


def test_what_is_over_ends_a_pause_at_once_and_says_so():
    over = threading.Event()
    with pausing(Lookout(list), over) as (answers, _):
        over.set()
    assert answers == [True]


def test_who_answers_and_then_lets_nobody_in_is_not_believed_until_a_connection_was_opened():
    with listening() as address:
        lookout = Lookout(lambda: [address])
        assert lookout.pause(LONG_S, NEVER) is False
        lookout.failed()
        over = threading.Event()
        with pausing(lookout, over) as (answers, thread):
            thread.join(4 * STEP_S)
            assert thread.is_alive(), "it goes on pausing"
            over.set()
        assert answers == [True]
        lookout.opened()
        assert lookout.pause(LONG_S, NEVER) is False


def test_a_failure_without_an_answer_before_it_changes_nothing():
    address = free_address()
    lookout = Lookout(lambda: [address])
    lookout.failed()
    with listening(address[1]):
        assert lookout.pause(LONG_S, NEVER) is False


def test_who_spreads_reconnects_by_a_splay_has_every_pause_last():
    with listening() as address:
        lookout = Lookout(lambda: [address], is_alert=False)
        over = threading.Event()
        with pausing(lookout, over) as (answers, thread):
            lookout.opened()
            thread.join(3 * STEP_S)
            assert thread.is_alive()
            over.set()
    assert answers == [True]


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_a_short_pause_is_short(seconds):
    knocks = []
    Lookout(lambda: knocks.append(1) or []).pause(seconds, NEVER)
    assert not knocks
