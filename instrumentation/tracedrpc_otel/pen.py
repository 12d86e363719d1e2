"""Writes finished spans, and knows how much one may hold."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from tracedrpc_otel import otlp_spans
from tracedrpc_otel.otlp_bytes import attributes as written
from tracedrpc_otel.otlp_spans import Ids
from tracedrpc_otel.outcomes import STORY_LIMIT
from tracedrpc_otel.records import NOTHING_FIXED
from tracedrpc_otel.verdicts import Verdicts, is_sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import SpanLimits
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

    from tracedrpc_otel.records import EventRecord, Fixed, SpanRecord

SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_MOST_FIXED: Final = 4096
_MOST_OF_OURS: Final = 64
"""We put fewer attributes onto a span, fewer events and fewer links."""


class Room:
    """How much a span may hold, and how what it holds is written.

    What comes from us is short and little: it is looked at only where the limits are lower still.
    """

    def __init__(self, limits: SpanLimits) -> None:
        self._limits = limits
        counts = (
            limits.max_span_attributes, limits.max_events, limits.max_links,
            limits.max_event_attributes, limits.max_link_attributes,
        )
        lengths = (limits.max_span_attribute_length, limits.max_attribute_length)
        self.is_ample = all(most is None or most >= _MOST_OF_OURS for most in counts) and all(
            longest is None or longest >= STORY_LIMIT for longest in lengths
        )

    def of_span(self, values: Mapping[str, Any] | None = None) -> BoundedAttributes:
        """Return attributes of a span that keep within the limits."""
        limits = self._limits
        most, longest = limits.max_span_attributes, limits.max_span_attribute_length
        return BoundedAttributes(most, values, immutable=False, max_value_len=longest)

    def event(self, record: EventRecord, *, is_ours: bool = True) -> bytes:
        """Return an event, written."""
        if is_ours and self.is_ample:
            return otlp_spans.event(record.name, record.at_ns, written(otlp_spans.EVENT, record.attributes))
        limits = self._limits
        kept = BoundedAttributes(
            limits.max_event_attributes, record.attributes, max_value_len=limits.max_attribute_length,
        )
        return otlp_spans.event(record.name, record.at_ns, written(otlp_spans.EVENT, kept), kept.dropped)

    def link(self, context: SpanContext, values: Mapping[str, Any] | None = None) -> bytes:
        """Return a link, written."""
        if not values:
            return otlp_spans.link(context, {})
        limits = self._limits
        kept = BoundedAttributes(
            limits.max_link_attributes, values, max_value_len=limits.max_attribute_length,
        )
        return otlp_spans.link(context, kept, kept.dropped)

    def newest(self, events: list[bytes], links: list[bytes]) -> tuple[bytes, int, int]:
        """Return as many events and links as there is room for, and how many of each there is not."""
        kept_events, kept_links = _last(events, self._limits.max_events), _last(links, self._limits.max_links)
        return (
            b"".join((*kept_events, *kept_links)),
            len(events) - len(kept_events),
            len(links) - len(kept_links),
        )


def _last(items: list[bytes], most: int | None) -> list[bytes]:
    return items if most is None or len(items) <= most else items[len(items) - most:]


class Pen:
    """Writes spans that have ended, and gives them away.

    Args:
        sampler: asked for each leaf, unless it is known to say what it said of the parent.
        ids: makes span ids.
        limits: how much a span may hold.
        put: takes each span when it is written.
    """

    def __init__(
        self, sampler: Sampler, ids: IdGenerator, limits: SpanLimits, put: Callable[[bytes], None],
    ) -> None:
        self.room = Room(limits)
        self.put = put
        self._sampler = sampler
        self.new_id = ids.generate_span_id
        self.asks = not Verdicts(sampler).knows_leaves

    def leaf(self, parent: Ids | SpanContext, record: SpanRecord, *, asks: bool | None = None) -> None:
        """Write a finished child, and what is below it, unless the sampler does not want it.

        Args:
            parent: the ids of a span that is sampled, or one of somebody else.
            record: the child.
            asks: whether the sampler is asked; None leaves out what is known.
        """
        ids = Ids(parent.trace_id, self.new_id(), parent.trace_state)
        if self.asks if asks is None else asks:
            result = self._ask(parent, record)
            if not is_sampled(result):
                return
            record = record._replace(attributes=result.attributes or {}, fixed=NOTHING_FIXED)
        for child in record.children:
            self.leaf(ids, child)
        self.put(self._written(ids, parent, record))

    def _ask(self, parent: Ids | SpanContext, record: SpanRecord) -> SamplingResult:
        context = set_span_in_context(NonRecordingSpan(_sampled(parent)))
        return self._sampler.should_sample(
            context, parent.trace_id, record.name, record.kind, record.all_attributes(),
        )

    def _written(self, ids: Ids, parent: Ids | SpanContext, record: SpanRecord) -> bytes:
        room, lost = self.room, 0
        if room.is_ample:
            fields = fixed(record.fixed) + written(otlp_spans.SPAN, record.attributes)
        else:
            kept = room.of_span(record.all_attributes())
            fields, lost = written(otlp_spans.SPAN, kept), kept.dropped
        dropped = otlp_spans.Dropped(lost) if lost else otlp_spans.NOTHING_DROPPED
        if record.events or record.links:
            more, *lost_more = room.newest(
                [room.event(event) for event in record.events], [room.link(link) for link in record.links],
            )
            fields += more
            if any(lost_more):
                dropped = otlp_spans.Dropped(lost, *lost_more)
        return otlp_spans.span(
            ids, parent, record.name, record.kind, (record.start_ns, record.end_ns), fields,
            otlp_spans.UNSET if record.failure is None else otlp_spans.failed(record.failure), dropped,
        )


@lru_cache(_MOST_FIXED)
def fixed(values: Fixed) -> bytes:
    """Return attributes that spans share as fields of a span, written once."""
    return written(otlp_spans.SPAN, values)


def _sampled(parent: Ids | SpanContext) -> SpanContext:
    """Return the context of a sampled span with these ids."""
    if isinstance(parent, SpanContext):
        return parent
    return SpanContext(parent.trace_id, parent.span_id, parent.is_remote, SAMPLED, parent.trace_state)
