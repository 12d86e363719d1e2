"""A trace without what differs from run to run: ids, times, names of topics, how often."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.telemetry.fifteen.stories import Story
    from tests.telemetry.otlp_values import LinkData, SpanData

TOLD = frozenset({
    "error.type", "exception.type", "messaging.destination.template", "messaging.operation.name",
    "messaging.operation.type", "messaging.system", "rpc.method", "rpc.method_original",
    "rpc.response.status_code", "rpc.system.name", "tracedrpc.dead_letter.reason", "tracedrpc.expected",
    "tracedrpc.mode", "tracedrpc.pool.result", "tracedrpc.reason", "tracedrpc.sampling.keep_reason",
    "tracedrpc.synthetic", "tracedrpc.timeout.phase",
})
"""Attributes whose values are part of a golden trace; of the others only the key is."""
MAYBE = frozenset({
    "tracedrpc.clock_skew_ms",       # where two clocks of one machine seem to differ
    "tracedrpc.phase.wakeup_ms",     # where the caller read its reply itself there is none
    "tracedrpc.wakeup_ms",
    "tracedrpc.publish.confirm_ms",  # a call's confirm may come after its reply
    "tracedrpc.publish.confirmed",
    "tracedrpc.queue.consumers",     # a busy broker may not answer in time
    "tracedrpc.queue.messages",
})
"""Attributes that depend on chance."""
MAYBE_EVENTS = frozenset({"connection_lost", "connection_closed"})
"""Events that do: a connection is given up when that broker does not answer in time."""

Shape = dict[str, Any]


def shape_of(story: Story) -> Shape:
    """Return the story's trace as a tree: children below their parents, sorted."""
    (root,) = [span for span in story.trace if not span.parent_id]
    return _shape(root, story, _Names(story))


def _shape(span: SpanData, story: Story, names: _Names) -> Shape:
    children = [child for child in story.trace if child.parent_id == span.span_id]
    shape: Shape = {
        "name": names.hide(span.name),
        "kind": span.kind,
        "service": span.service.split("-", maxsplit=1)[0],
        "status": span.status,
    }
    if span.status_text:
        shape["status_text"] = names.hide(span.status_text)
    shape["attributes"] = _attributes(span.attributes, names)
    if events := _events(span, names):
        shape["events"] = events
    if span.links:
        shape["links"] = sorted(_link(link, story, names) for link in span.links)
    shapes = [_shape(child, story, names) for child in children]
    if shapes:
        shape["children"] = sorted(shapes, key=lambda each: (each["name"], each["kind"], str(each)))
    return shape


def _attributes(attributes: dict[str, Any], names: _Names) -> Shape:
    return {
        key: names.hide(value) if key in TOLD else "*"
        for key, value in sorted(attributes.items())
        if key not in MAYBE
    }


def _events(span: SpanData, names: _Names) -> list[Shape]:
    """Return each sort of event once: how many heartbeats there were is chance."""
    told: list[Shape] = []
    for event in span.events:
        shape = {"name": event.name, "attributes": _attributes(event.attributes, names)}
        # Waited for, because a heartbeat was just being sent.
        is_chance = event.name in MAYBE_EVENTS or shape["attributes"].get("tracedrpc.pool.result") == "waited"
        if shape not in told and not is_chance:
            told.append(shape)
    return told


def _link(link: LinkData, story: Story, names: _Names) -> str:
    for span in story.trace:
        if span.span_id == link.span_id:
            return f"{span.kind} {names.hide(span.name)}"
    return "a span of another trace"


class _Names:
    """Puts what is always the same in the place of a story's own names."""

    def __init__(self, story: Story) -> None:
        scene = story.scene
        self._rules = [
            (re.compile(re.escape(scene.exchange)), "exchange"),
            (re.compile(re.escape(scene.topic)), "topic"),
            (re.compile(r"reply_[0-9a-f]{32}"), "reply_0"),
            (re.compile(r"(fanout_)[0-9a-f]{32}"), r"\1\0"),
            (re.compile(r"127\.0\.0\.1:\d+"), "host:port"),
            (re.compile(r"[0-9a-f]{32}"), "id"),
        ]

    def hide(self, value: Any) -> Any:
        """Return a text without names of one run."""
        if not isinstance(value, str):
            return value
        for pattern, text in self._rules:
            value = pattern.sub(text, value)
        return value
