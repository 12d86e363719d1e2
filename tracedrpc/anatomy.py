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


Cut = tuple[Phase, int]
"""A phase and when it ended, monotonic ns; 0 when it was not reached."""


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
    # One list of cuts and one loop over it: this is done for each call that anybody looks at.
    started_ns, ended_ns = invocation.started_ns, invocation.ended_ns or monotonic_ns()
    elapsed_ns = ended_ns - started_ns
    if not invocation.acquired_ns:
        return Anatomy(_divide(started_ns, ended_ns, _before_publish(invocation, ended_ns)), elapsed_ns)
    cuts = _before_publish(invocation, ended_ns)
    replied_ns, arrived_ns = invocation.replied_ns, invocation.published_ns
    times = invocation.server_times if replied_ns else None
    back_ns, skew_ns, quality = 0, None, None
    if times is not None and arrived_ns:
        back_ns, skew_ns, quality = way_back(invocation, times, clocks)
        # The server may have it, and even be done, before the publisher's thread runs again.
        arrived_ns = min(arrived_ns, replied_ns - back_ns - times.total_us * 1000)
    if not _publish(invocation, cuts, arrived_ns, ended_ns):
        return Anatomy(_divide(started_ns, ended_ns, cuts), elapsed_ns)
    if invocation.request.mode is not Mode.CALL:
        return Anatomy(_divide(started_ns, ended_ns, cuts, Phase.CONFIRM), elapsed_ns)
    sent_ns = min(max(arrived_ns, invocation.acquired_ns), ended_ns)
    if times is None:
        cuts.append((_unanswered(invocation), replied_ns or ended_ns))
    else:
        _wait(cuts, times, replied_ns, back_ns, sent_ns)
    cuts.append((Phase.WAKEUP, invocation.woken_ns))
    return Anatomy(
        _divide(started_ns, ended_ns, cuts, Phase.FINISH if replied_ns else _unanswered(invocation)),
        elapsed_ns, max(0, (replied_ns or ended_ns) - sent_ns),
        times.total_us * 1000 if times else 0, skew_ns, quality,
    )


def _divide(started_ns: int, ended_ns: int, cuts: list[Cut], rest: Phase | None = None) -> dict[Phase, int]:
    """Divide the span of a call, forward only, so that the phases add up whatever the stamps say.

    Args:
        started_ns: when it began.
        ended_ns: when it ended.
        cuts: phases with the stamps of their ends; 0 means that one was not reached.
        rest: whose the time is that is left; None is the last one's.
    """
    phases: dict[Phase, int] = {}
    at_ns = started_ns
    for phase, stamp_ns in cuts:
        until_ns = ended_ns if stamp_ns > ended_ns else stamp_ns  # noqa: FURB136 - `min` takes thrice as long
        if until_ns > at_ns:
            phases[phase] = phases.get(phase, 0) + until_ns - at_ns
            at_ns = until_ns
        elif stamp_ns and phase not in phases:
            phases[phase] = 0
    if at_ns < ended_ns:
        last = rest or next(reversed(phases), Phase.PREPARE)
        phases[last] = phases.get(last, 0) + ended_ns - at_ns
    return phases


def _before_publish(invocation: Invocation, ended_ns: int) -> list[Cut]:
    """Divide the time until a connection was held into connecting and mere waiting."""
    acquire_ns, held_ns = invocation.acquire_ns, invocation.acquired_ns or ended_ns
    if not acquire_ns:
        return [(Phase.PREPARE, ended_ns)]
    cuts = [(Phase.PREPARE, acquire_ns)]
    if invocation.connect_ns:
        cuts.append((Phase.CONNECT, min(acquire_ns + invocation.connect_ns, held_ns)))
    is_connecting = not invocation.acquired_ns and invocation.stage is Stage.CONNECT
    cuts.append((Phase.CONNECT if is_connecting else Phase.ACQUIRE, held_ns))
    return cuts


def _publish(invocation: Invocation, cuts: list[Cut], arrived_ns: int, ended_ns: int) -> bool:
    """Add the publish; return whether the message was taken, and there is more to tell."""
    returned_ns = invocation.returned_ns
    if not returned_ns:
        cuts.append((Phase.PUBLISH, arrived_ns or ended_ns))
        return arrived_ns > 0
    is_taken = bool(invocation.replied_ns) or invocation.stage is not Stage.UNROUTABLE
    cuts += ((Phase.PUBLISH, returned_ns), (Phase.UNROUTABLE, arrived_ns if is_taken else ended_ns))
    return is_taken and arrived_ns > 0


def _unanswered(invocation: Invocation) -> Phase:
    return Phase.CONFIRM if invocation.stage is Stage.CONFIRM else Phase.REMOTE


def _wait(cuts: list[Cut], times: ServerTimes, replied_ns: int, back_ns: int, sent_ns: int) -> None:
    """Divide the wait for the reply: the request's way, the server's own durations, the reply's way."""
    left_ns = replied_ns - back_ns
    delivered_ns = max(left_ns - times.total_us * 1000, sent_ns)
    handler_ns = delivered_ns + times.wait_us * 1000
    cuts += (
        (Phase.QUEUE, delivered_ns),
        (Phase.DISPATCH, handler_ns),
        (Phase.HANDLER, handler_ns + times.handler_us * 1000),
        (Phase.REPLY, left_ns),
        (Phase.RETURN, replied_ns),
    )


def way_back(
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
