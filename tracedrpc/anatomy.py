"""Where the time of a call went: phases that follow one another and add up to the whole."""

from __future__ import annotations

from enum import StrEnum
from time import monotonic_ns
from typing import TYPE_CHECKING, NamedTuple

from tracedrpc.clocks import CLOCKS, Clocks, Quality
from tracedrpc.message import Mode, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.message import Invocation, ServerTimes


class Phase(StrEnum):
    """The phases of a call, in the order of its way. Not every call has all of them."""

    PREPARE = "prepare"
    """Serializing and encoding, in the caller."""
    CONNECT = "connect"
    """Making connections that were missing, and declaring the reply queue."""
    ACQUIRE = "acquire"
    """Waiting for a connection of the pool."""
    PUBLISH = "publish"
    """Handing the message over, with pauses between attempts."""
    UNROUTABLE = "unroutable"
    """The broker had no queue for it: no server was listening."""
    CONFIRM = "confirm"
    """Waiting for the broker's word that it has the message; casts, and calls that ended there."""
    QUEUE = "queue"
    """The request on the network and in its queue."""
    DISPATCH = "dispatch"
    """Delivered, waiting for a worker, decoded."""
    HANDLER = "handler"
    """In the endpoint's method."""
    REPLY = "reply"
    """The result serialized and encoded."""
    RETURN = "return"
    """The reply published, on the network and in the reply queue."""
    REMOTE = "remote"
    """Queue, server and return together, where nobody says how they divide."""
    WAKEUP = "wakeup"
    """The reply was read; the caller's thread had to be woken."""
    FINISH = "finish"
    """Decoding and deserializing the result."""


class Anatomy(NamedTuple):
    """The phases of one call, in ns. A tuple, because it is made for each and that is quicker.

    Attributes:
        phases: in the order of the way; they add up to `elapsed_ns`.
        elapsed_ns: the whole call.
        reply_wait_ns: from the message handed over to the reply seen or given up; 0 without.
        server_ns: dispatch, handler and reply together; 0 when not told.
        skew_ns: by how much the server's clock is ahead of ours; None when they agree or nobody knows.
        quality: how queue and return were told apart; None when they were not.
    """

    phases: Mapping[Phase, int]
    elapsed_ns: int
    reply_wait_ns: int = 0
    server_ns: int = 0
    skew_ns: int | None = None
    quality: Quality | None = None

    def ms(self, phase: Phase) -> float:
        """Return the milliseconds of a phase, 0 when the call had none."""
        return self.phases.get(phase, 0) / 1e6


def anatomy_of(invocation: Invocation, clocks: Clocks = CLOCKS) -> Anatomy:
    """Return where a call's time went; of one that has ended, computed once."""
    known = invocation._anatomy  # noqa: SLF001 - this module's own slot
    if known is None:
        known = _dissect(invocation, clocks)
        if invocation.ended_ns:
            invocation._anatomy = known  # noqa: SLF001
    return known


def _dissect(invocation: Invocation, clocks: Clocks) -> Anatomy:
    ended_ns = invocation.ended_ns or monotonic_ns()
    cuts = _Cuts(invocation.started_ns, ended_ns)
    cuts.until(Phase.PREPARE, invocation.acquire_ns)
    _cut_acquire(cuts, invocation)
    replied_ns = invocation.replied_ns
    times = invocation.server_times if replied_ns else None
    arrived_ns = invocation.published_ns
    back_ns, skew_ns, quality = 0, None, None
    if times is not None and arrived_ns:
        back_ns, skew_ns, quality = _way_back(invocation, times, clocks)
        # The server may have it, and even be done, before the publisher's thread runs again.
        arrived_ns = min(arrived_ns, replied_ns - back_ns - times.total_us * 1000)
    _cut_publish(cuts, invocation, arrived_ns)
    if not invocation.published_ns or cuts.is_over():
        return Anatomy(cuts.closed(), ended_ns - invocation.started_ns)
    if invocation.request.mode is not Mode.CALL:
        cuts.rest(Phase.CONFIRM)
        return Anatomy(cuts.closed(), ended_ns - invocation.started_ns)
    sent_ns = cuts.at_ns
    wait_ns = (replied_ns or ended_ns) - sent_ns
    if times is None:
        cuts.until(_unanswered(invocation), replied_ns or ended_ns)
    else:
        _cut_wait(cuts, times, replied_ns, back_ns)
    cuts.until(Phase.WAKEUP, invocation.woken_ns)
    cuts.rest(Phase.FINISH if replied_ns else _unanswered(invocation))
    return Anatomy(
        cuts.closed(), ended_ns - invocation.started_ns, max(0, wait_ns),
        times.total_us * 1000 if times else 0, skew_ns, quality,
    )


def _cut_acquire(cuts: _Cuts, invocation: Invocation) -> None:
    """Divide the time until a connection was held into connecting and mere waiting."""
    if not invocation.acquire_ns:
        cuts.rest(Phase.PREPARE)
        return
    until_ns = invocation.acquired_ns or cuts.ended_ns
    connect_ns = min(invocation.connect_ns, until_ns - cuts.at_ns)
    if invocation.connect_ns:
        cuts.until(Phase.CONNECT, cuts.at_ns + connect_ns)
    is_connecting = not invocation.acquired_ns and invocation.stage is Stage.CONNECT
    cuts.until(Phase.CONNECT if is_connecting else Phase.ACQUIRE, until_ns)


def _cut_publish(cuts: _Cuts, invocation: Invocation, arrived_ns: int) -> None:
    if cuts.is_over():
        return
    returned_ns = invocation.returned_ns
    if returned_ns:
        cuts.until(Phase.PUBLISH, returned_ns)
        is_taken = bool(invocation.replied_ns) or invocation.stage is not Stage.UNROUTABLE
        cuts.until(Phase.UNROUTABLE, arrived_ns if is_taken else cuts.ended_ns)
    else:
        cuts.until(Phase.PUBLISH, arrived_ns or cuts.ended_ns)


def _unanswered(invocation: Invocation) -> Phase:
    return Phase.CONFIRM if invocation.stage is Stage.CONFIRM else Phase.REMOTE


def _way_back(
    invocation: Invocation, times: ServerTimes, clocks: Clocks,
) -> tuple[int, int | None, Quality | None]:
    """Return how long the reply was on its way, the skew of the server's clock, and how that is known.

    The server's durations are its own; what else a call waits for its reply are the two ways.
    """
    replied_ns, total_ns = invocation.replied_ns, times.total_us * 1000
    told_ns = max(0, replied_ns - invocation.published_ns - total_ns)
    if not times.sent_ns:
        return told_ns // 2, None, None
    # The server's clock minus ours is at least `low` (the reply's way took no time) and at most
    # `high` (the request's way took none; it cannot have begun before a connection was held, but
    # before `published_ns`, which is stamped when the thread runs again).
    ways_ns = max(0, replied_ns - invocation.acquired_ns - total_ns)
    low_ns = times.sent_ns - invocation.wall_ns(replied_ns)
    skew_ns, quality = clocks.skew_ns(times.server, low_ns, low_ns + ways_ns, replied_ns)
    back_ns = max(0, skew_ns - low_ns)
    if quality is Quality.ESTIMATED:
        return min(back_ns, told_ns), skew_ns, quality  # our own stamp is worth more than a guess
    return min(back_ns, ways_ns), None, quality


def _cut_wait(cuts: _Cuts, times: ServerTimes, replied_ns: int, back_ns: int) -> None:
    """Divide the wait for the reply: the request's way, the server's own durations, the reply's way."""
    cuts.until(Phase.QUEUE, replied_ns - back_ns - times.total_us * 1000)
    cuts.until(Phase.DISPATCH, cuts.at_ns + times.wait_us * 1000)
    cuts.until(Phase.HANDLER, cuts.at_ns + times.handler_us * 1000)
    cuts.until(Phase.REPLY, replied_ns - back_ns)
    cuts.until(Phase.RETURN, replied_ns)


class _Cuts:
    """Cuts the span of a call into phases, forward only, so that they add up whatever the stamps say."""

    __slots__ = ("at_ns", "ended_ns", "phases")

    def __init__(self, started_ns: int, ended_ns: int) -> None:
        self.at_ns = started_ns
        self.ended_ns = ended_ns
        self.phases: dict[Phase, int] = {}

    def until(self, phase: Phase, stamp_ns: int) -> None:
        """Give the time up to a stamp to a phase; 0 means that it was not reached."""
        if not stamp_ns:
            return
        took_ns = min(stamp_ns, self.ended_ns) - self.at_ns
        if took_ns > 0:
            self.phases[phase] = self.phases.get(phase, 0) + took_ns
            self.at_ns += took_ns
        else:
            self.phases.setdefault(phase, 0)

    def rest(self, phase: Phase) -> None:
        """Give what is left to a phase; when nothing is, it was not reached."""
        if not self.is_over():
            self.until(phase, self.ended_ns)

    def is_over(self) -> bool:
        """Tell whether nothing is left."""
        return self.at_ns >= self.ended_ns

    def closed(self) -> dict[Phase, int]:
        """Return the phases; time that no phase has asked for belongs to the last one."""
        self.rest(next(reversed(self.phases), Phase.PREPARE))
        return self.phases
