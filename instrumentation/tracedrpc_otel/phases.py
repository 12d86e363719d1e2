"""Where the time of a call went, in milliseconds, as attributes of its spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracedrpc import semconv as names
from tracedrpc.anatomy import Phase
from tracedrpc_otel.records import word

if TYPE_CHECKING:
    from tracedrpc.anatomy import Anatomy
    from tracedrpc.message import ServerTimeline
    from tracedrpc_otel.records import Attributes

KEYS: Final = {phase: names.phase_ms(phase.value) for phase in Phase}
_key_of: Final = KEYS.__getitem__
_ms_of: Final = (1e6).__rtruediv__
"""Returns the milliseconds of ns. There are a dozen phases to a call: the loop over them is C's."""
QUEUE_MS: Final = KEYS[Phase.QUEUE]
DISPATCH_MS: Final = KEYS[Phase.DISPATCH]
HANDLER_MS: Final = KEYS[Phase.HANDLER]
REPLY_MS: Final = KEYS[Phase.REPLY]


def tell_call(anatomy: Anatomy, attributes: Attributes) -> None:
    """Add the phases of a call or cast; they add up to its span."""
    attributes.update(zip(map(_key_of, anatomy.phases), map(_ms_of, anatomy.phases.values()), strict=True))
    if anatomy.reply_wait_ns:
        attributes[names.REPLY_WAIT_MS] = anatomy.reply_wait_ns / 1e6
    if anatomy.server_ns:
        attributes[names.SERVER_MS] = anatomy.server_ns / 1e6
    if anatomy.quality is not None:
        attributes[names.QUEUE_QUALITY] = word(anatomy.quality)
    if anatomy.skew_ns is not None:
        attributes[names.CLOCK_SKEW_MS] = anatomy.skew_ns / 1e6


def of_request(timeline: ServerTimeline) -> Attributes:
    """Return the phases of a request inside its server; they add up to the SERVER span."""
    phases: Attributes = {}
    _put(phases, DISPATCH_MS, timeline.delivered_ns, timeline.handler_ns)
    _put(phases, HANDLER_MS, timeline.handler_ns, timeline.handled_ns)
    _put(phases, REPLY_MS, timeline.handled_ns, timeline.replied_ns)
    return phases


def _put(phases: Attributes, name: str, begun_ns: int, ended_ns: int) -> None:
    if begun_ns and ended_ns:
        phases[name] = max(0, ended_ns - begun_ns) / 1e6
