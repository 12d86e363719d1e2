"""Phases: they add up to the call whatever was stamped, and say where the time went."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.rabbit_fakes import invocation
from tracedrpc.anatomy import Phase, anatomy_of
from tracedrpc.clocks import Clocks, Quality
from tracedrpc.message import Mode, ServerTimes, Stage

MS = 1_000_000
STAMPS = (
    "acquire_ns", "acquired_ns", "published_ns", "returned_ns", "confirmed_ns", "replied_ns", "woken_ns",
)


class Way:
    """A call whose steps take as long as a test says, in ms, and whose server's clock may be wrong."""

    def __init__(self, mode=Mode.CALL, skew_ms=0.0, server="cn7"):
        self.call = invocation(mode)
        self.skew_ns = int(skew_ms * MS)
        self.server = server
        self.now_ns = self.call.started_ns

    def after(self, ms, *stamps):
        self.now_ns += int(ms * MS)
        for stamp in stamps:
            setattr(self.call, stamp, self.now_ns)
        return self

    def published(self, prepare=0.2, connect=0.0, acquire=0.5, publish=0.3):
        self.after(prepare, "acquire_ns")
        self.call.connect_ns = int(connect * MS)
        self.after(connect + acquire, "acquired_ns")
        return self.after(publish, "published_ns")

    def served(self, queue=2.0, dispatch=1.0, handler=5.0, reply=0.4, back=0.3):
        self.after(queue + dispatch + handler + reply)
        sent_ns = self.call.wall_ns(self.now_ns) + self.skew_ns
        times = (dispatch, handler, dispatch + handler + reply)
        self.call.server_times = ServerTimes(sent_ns, *(int(ms * 1000) for ms in times), self.server)
        return self.after(back, "replied_ns")

    def done(self, wakeup=0.1, finish=0.2, stage=Stage.DONE):
        self.after(wakeup, "woken_ns").after(finish, "ended_ns")
        self.call.stage = stage
        return self

    def timed_out(self, stage, after=1000.0):
        self.call.stage = stage
        self.after(after, "ended_ns")
        return self

    def anatomy(self, clocks=None):
        return anatomy_of(self.call, clocks or Clocks())


def ms(anatomy):
    return {phase.value: pytest.approx(ns / MS, abs=0.002) for phase, ns in anatomy.phases.items()}


# ---- a call that went well -----------------------------------------------------------------------


def test_every_step_has_its_phase_in_the_order_of_the_way():
    anatomy = Way().published(connect=11.0).served().done().anatomy()
    expected = {
        "prepare": 0.2, "connect": 11.0, "acquire": 0.5, "publish": 0.3, "queue": 2.0, "dispatch": 1.0,
        "handler": 5.0, "reply": 0.4, "return": 0.3, "wakeup": 0.1, "finish": 0.2,
    }
    assert expected == ms(anatomy)
    assert list(expected) == list(anatomy.phases)
    assert anatomy.server_ns == 6.4 * MS
    assert anatomy.reply_wait_ns == pytest.approx(8.7 * MS, abs=2000)
    assert (anatomy.quality, anatomy.skew_ns) == (Quality.SENDER_CLOCK, None)


def test_time_without_a_queue_is_a_phase_of_its_own():
    way = Way().published()
    way.after(0.4, "returned_ns").after(600, "published_ns")
    anatomy = way.served().done().anatomy()
    assert anatomy.ms(Phase.UNROUTABLE) == pytest.approx(600)
    assert anatomy.ms(Phase.PUBLISH) == pytest.approx(0.7)
    assert anatomy.ms(Phase.QUEUE) == pytest.approx(2, abs=0.01)


def test_a_server_that_is_faster_than_the_publishers_thread_loses_nothing():
    way = Way().published(publish=0.05)
    slow_ns = way.now_ns
    way.served(queue=0.1, dispatch=0.1, handler=0.5, reply=0.1, back=0.1)
    way.call.published_ns = slow_ns + 4 * MS
    anatomy = way.after(4, "woken_ns").after(0.1, "ended_ns").anatomy()
    assert anatomy.ms(Phase.HANDLER) == pytest.approx(0.5)
    assert anatomy.server_ns == 0.7 * MS
    assert anatomy.ms(Phase.QUEUE) == 0


@pytest.mark.parametrize("late_ms", [1.0, 8.0, 9.5])
def test_clocks_that_agree_tell_the_way_back_though_the_publishers_thread_ran_late(late_ms):
    way = Way().published().served(queue=0.0, back=1.5).done()
    way.call.published_ns += int(late_ms * MS)
    anatomy = way.anatomy()
    assert anatomy.quality is Quality.SENDER_CLOCK
    assert anatomy.ms(Phase.RETURN) == pytest.approx(1.5, abs=0.002)
    assert anatomy.ms(Phase.PUBLISH) == pytest.approx(0.3, abs=0.002)


def test_what_an_ended_call_was_is_computed_once():
    way = Way().published().served().done()
    assert way.anatomy() is way.anatomy()


def test_a_call_under_way_is_told_until_now_and_told_anew_later():
    call = Way().published().call
    first = anatomy_of(call)
    assert anatomy_of(call).elapsed_ns > first.elapsed_ns


# ---- peers that tell no times --------------------------------------------------------------------


def test_of_a_peer_that_tells_no_times_only_the_whole_is_known():
    way = Way().published().served().done()
    way.call.server_times = None
    anatomy = way.anatomy()
    assert anatomy.ms(Phase.REMOTE) == pytest.approx(8.7)
    assert not {Phase.QUEUE, Phase.HANDLER, Phase.RETURN} & set(anatomy.phases)
    assert (anatomy.server_ns, anatomy.quality) == (0, None)


def test_a_peer_that_tells_durations_and_no_clock_has_its_two_ways_halved():
    way = Way().published().served(queue=3, back=1).done()
    times = way.call.server_times
    way.call.server_times = ServerTimes(0, times.wait_us, times.handler_us, times.total_us)
    anatomy = way.anatomy()
    assert anatomy.ms(Phase.QUEUE) == pytest.approx(2, abs=0.01)
    assert anatomy.ms(Phase.RETURN) == pytest.approx(2, abs=0.01)
    assert anatomy.quality is None


# ---- clocks that disagree ------------------------------------------------------------------------


@pytest.mark.parametrize("skew_ms", [5000, -5000, 40, -40])
@pytest.mark.parametrize("queue_ms", [0.1, 2, 18])
def test_the_queue_is_told_right_though_the_servers_clock_is_wrong(skew_ms, queue_ms):
    anatomy = Way(skew_ms=skew_ms).published().served(queue=queue_ms, back=0.3).done().anatomy()
    assert anatomy.ms(Phase.QUEUE) == pytest.approx(queue_ms, abs=1)
    assert anatomy.quality is Quality.ESTIMATED
    assert anatomy.skew_ns / MS == pytest.approx(skew_ms, abs=1)


@pytest.mark.parametrize("skew_ms", [5000, -5000, 40, -40])
def test_a_quick_call_teaches_what_a_long_wait_in_the_queue_hides(skew_ms):
    clocks = Clocks()
    Way(skew_ms=skew_ms).published().served(queue=0.4).done().anatomy(clocks)
    anatomy = Way(skew_ms=skew_ms).published().served(queue=900, back=0.2).done().anatomy(clocks)
    assert anatomy.ms(Phase.QUEUE) == pytest.approx(900, abs=1)


def test_clocks_that_agree_tell_a_slow_way_back():
    anatomy = Way().published().served(queue=1, back=30).done().anatomy()
    assert anatomy.ms(Phase.QUEUE) == pytest.approx(1, abs=0.01)
    assert anatomy.ms(Phase.RETURN) == pytest.approx(30, abs=0.01)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([0, 40, -40, 5000, -5000]), st.floats(0, 2000), st.floats(0, 50), st.floats(0, 50),
    st.floats(0.01, 0.9), st.booleans(),
)
def test_however_long_it_all_takes_the_queue_is_known_to_a_millisecond_after_a_quick_call(
    skew_ms, queue_ms, dispatch_ms, handler_ms, back_ms, is_first,
):
    clocks = Clocks()
    if not is_first:
        Way(skew_ms=skew_ms).published().served(queue=0.2, back=0.2).done().anatomy(clocks)
    anatomy = Way(skew_ms=skew_ms).published().served(queue_ms, dispatch_ms, handler_ms, 0.1, back_ms).done(
    ).anatomy(clocks)
    both_ms = anatomy.ms(Phase.QUEUE) + anatomy.ms(Phase.RETURN)
    assert both_ms == pytest.approx(queue_ms + back_ms, abs=0.01)
    if not is_first:
        assert anatomy.ms(Phase.QUEUE) == pytest.approx(queue_ms, abs=1)


# ---- calls that got no reply ---------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "stamped", "phase"), [
    (Stage.POOL_ACQUIRE, ["acquire_ns"], Phase.ACQUIRE),
    (Stage.CONNECT, ["acquire_ns"], Phase.CONNECT),
    (Stage.PUBLISH, ["acquire_ns", "acquired_ns"], Phase.PUBLISH),
    (Stage.CONFIRM, ["acquire_ns", "acquired_ns", "published_ns"], Phase.CONFIRM),
    (Stage.UNROUTABLE, ["acquire_ns", "acquired_ns", "published_ns", "returned_ns"], Phase.UNROUTABLE),
    (Stage.QUEUE_OR_SERVER, ["acquire_ns", "acquired_ns", "published_ns", "confirmed_ns"], Phase.REMOTE),
    (Stage.SERVER, ["acquire_ns", "acquired_ns", "published_ns", "confirmed_ns"], Phase.REMOTE),
    (Stage.HEARTBEAT_LOST, ["acquire_ns", "acquired_ns", "published_ns", "confirmed_ns"], Phase.REMOTE),
    (Stage.REPLY_LOST, ["acquire_ns", "acquired_ns", "published_ns", "confirmed_ns"], Phase.REMOTE),
])
def test_a_call_that_timed_out_spent_its_time_where_it_died(stage, stamped, phase):
    way = Way()
    for stamp in stamped:
        way.after(1, stamp)
    anatomy = way.timed_out(stage).anatomy()
    assert anatomy.ms(phase) >= 1000
    assert max(anatomy.phases, key=anatomy.ms) is phase
    assert sum(anatomy.phases.values()) == anatomy.elapsed_ns


def test_a_reply_that_could_not_be_decoded_ends_the_wait():
    way = Way().published().after(10, "replied_ns").done(stage=Stage.REPLY_DECODE)
    anatomy = way.anatomy()
    assert anatomy.ms(Phase.REMOTE) == pytest.approx(10)
    assert anatomy.ms(Phase.FINISH) == pytest.approx(0.2)


def test_a_call_that_could_not_be_encoded_was_only_prepared():
    anatomy = Way().timed_out(Stage.POOL_ACQUIRE, after=3).anatomy()
    assert ms(anatomy) == {"prepare": 3}


def test_a_wait_for_a_connection_is_told_apart_from_making_it():
    way = Way().after(0.2, "acquire_ns")
    way.call.connect_ns = 30 * MS
    anatomy = way.after(100, "acquired_ns").after(1, "published_ns").served().done().anatomy()
    assert anatomy.ms(Phase.CONNECT) == 30
    assert anatomy.ms(Phase.ACQUIRE) == 70


# ---- casts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.CAST, Mode.FANOUT])
def test_a_cast_ends_with_the_brokers_word(mode):
    way = Way(mode).published().after(2, "confirmed_ns").after(0.1, "ended_ns")
    way.call.stage = Stage.DONE
    anatomy = way.anatomy()
    assert anatomy.ms(Phase.CONFIRM) == pytest.approx(2.1)
    assert not {Phase.REMOTE, Phase.QUEUE, Phase.FINISH} & set(anatomy.phases)
    assert (anatomy.reply_wait_ns, anatomy.server_ns) == (0, 0)


# ---- whatever the stamps say ---------------------------------------------------------------------


times = st.builds(
    ServerTimes, st.integers(0, 2**63 - 1), *[st.integers(0, 10**15)] * 3, st.sampled_from(["", "a", "b"]),
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(list(Mode)), st.sampled_from(list(Stage)), st.integers(0, 10**12),
    st.lists(st.none() | st.integers(-(10**9), 10**12), min_size=len(STAMPS), max_size=len(STAMPS)),
    st.integers(0, 10**12), st.none() | times,
)
@example(Mode.CALL, Stage.DONE, 0, [0] * len(STAMPS), 0, ServerTimes(0, 5, 5, 5))
def test_phases_add_up_and_none_is_negative_whatever_was_stamped(
    mode, stage, lasted_ns, offsets, connect_ns, server_times,
):
    call = invocation(mode)
    for stamp, offset in zip(STAMPS, offsets, strict=True):
        setattr(call, stamp, 0 if offset is None else call.started_ns + offset)
    call.ended_ns = call.started_ns + lasted_ns or 1
    call.connect_ns, call.stage, call.server_times = connect_ns, stage, server_times
    anatomy = anatomy_of(call, Clocks())
    assert sum(anatomy.phases.values()) == anatomy.elapsed_ns == lasted_ns
    assert all(ns >= 0 for ns in anatomy.phases.values())
    assert anatomy.reply_wait_ns >= 0
    assert list(anatomy.phases) == sorted(anatomy.phases, key=list(Phase).index)


def test_the_share_of_a_phase_that_a_call_had_not_is_nothing():
    anatomy = Way().timed_out(Stage.POOL_ACQUIRE).anatomy()
    assert anatomy.ms(Phase.HANDLER) == 0
