"""What Jaeger does to a trace before it shows it, and does not when asked for the raw one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

_OF_THE_PROCESS: Final = ("telemetry.sdk.", "telemetry.distro.")
"""Attributes with these prefixes tell of the process, wherever an SDK put them."""


def adjusted(resource_spans: Iterable[ResourceSpans]) -> list[ResourceSpans]:
    """Return copies without equal spans and broken links, attributes sorted and at their place.

    Clocks are left alone: spans of tracedrpc carry a corrected queue time, and Jaeger 2 does not
    shift spans by default either.
    """
    seen: set[tuple[bytes, ...]] = set()
    return [_adjusted(group, seen) for group in resource_spans]


def _adjusted(group: ResourceSpans, seen: set[tuple[bytes, ...]]) -> ResourceSpans:
    copy = ResourceSpans(resource=group.resource, schema_url=group.schema_url)
    resource = group.resource.SerializeToString(deterministic=True)
    for scoped in group.scope_spans:
        fresh = copy.scope_spans.add(scope=scoped.scope, schema_url=scoped.schema_url)
        fresh.spans.extend(_unseen(scoped, resource, seen))
        for span in fresh.spans:
            _move_to_process(span, copy)
            _drop_broken_links(span)
            _sort_attributes(span)
    copy.resource.attributes.sort(key=lambda pair: pair.key)
    return copy


def _unseen(scoped: ScopeSpans, resource: bytes, seen: set[tuple[bytes, ...]]) -> Iterator[Span]:
    scope = scoped.scope.SerializeToString(deterministic=True)
    for span in scoped.spans:
        key = (resource, scope, span.SerializeToString(deterministic=True))
        if key not in seen:
            seen.add(key)
            yield span


def _move_to_process(span: Span, group: ResourceSpans) -> None:
    known = {pair.key for pair in group.resource.attributes}
    for index in reversed(range(len(span.attributes))):
        pair = span.attributes[index]
        if pair.key.startswith(_OF_THE_PROCESS):
            if pair.key not in known:
                group.resource.attributes.append(pair)
            del span.attributes[index]


def _drop_broken_links(span: Span) -> None:
    for index in reversed(range(len(span.links))):
        if not any(span.links[index].trace_id):
            del span.links[index]


def _sort_attributes(span: Span) -> None:
    for holder in (span, *span.events, *span.links):
        holder.attributes.sort(key=lambda pair: pair.key)
