"""Where the time of a call went, in milliseconds, as attributes of its spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracedrpc.semconv import PHASE_PREFIX

if TYPE_CHECKING:
    from tracedrpc.message import Invocation, ServerTimeline
    from tracedrpc_otel.records import Attributes

ACQUIRE: Final = PHASE_PREFIX + "acquire_ms"
PUBLISH: Final = PHASE_PREFIX + "publish_ms"
REPLY_WAIT: Final = PHASE_PREFIX + "reply_wait_ms"
QUEUE: Final = PHASE_PREFIX + "queue_ms"
SERVER: Final = PHASE_PREFIX + "server_ms"
DISPATCH: Final = PHASE_PREFIX + "dispatch_ms"
HANDLER: Final = PHASE_PREFIX + "handler_ms"
REPLY: Final = PHASE_PREFIX + "reply_ms"


def client_phases(invocation: Invocation, ended_ns: int) -> Attributes:
    """Return the phases a call went through, as its client saw them."""
    phases: Attributes = {}
    _put(phases, ACQUIRE, invocation.acquire_ns, invocation.acquired_ns)
    _put(phases, PUBLISH, invocation.acquired_ns, invocation.published_ns)
    if invocation.request.msg_id is None:
        return phases
    replied_ns = invocation.replied_ns or ended_ns
    _put(phases, REPLY_WAIT, invocation.published_ns, replied_ns)
    times = invocation.server_times
    if times is not None and REPLY_WAIT in phases:
        phases[SERVER] = times.total_us / 1e3
        # Exact without any agreement of clocks: our wait less the server's own duration. It holds
        # the request's queue and network time and the reply's way back.
        wait_ms = (replied_ns - invocation.published_ns) / 1e6
        phases[QUEUE] = max(0.0, wait_ms - times.total_us / 1e3)
    return phases


def server_phases(timeline: ServerTimeline) -> Attributes:
    """Return the phases of a request inside its server; they add up to the SERVER span."""
    phases: Attributes = {}
    _put(phases, DISPATCH, timeline.delivered_ns, timeline.handler_ns)
    _put(phases, HANDLER, timeline.handler_ns, timeline.handled_ns)
    _put(phases, REPLY, timeline.handled_ns, timeline.replied_ns)
    return phases


def _put(phases: Attributes, name: str, begun_ns: int, ended_ns: int) -> None:
    if begun_ns and ended_ns:
        # Other threads stamp too, and a reply may be read before the publisher runs again.
        phases[name] = max(0, ended_ns - begun_ns) / 1e6
