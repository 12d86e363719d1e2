"""Jaeger's critical path of a trace: which span, at each instant, the end had to wait for.

The rules are those of Jaeger UI (TracePage/CriticalPath, main of 2026-08):

1. A CONSUMER below a PRODUCER blocks nobody; it and all below it are left out.
2. A child outside of its parent is left out with all below it; one that sticks out is cut.
3. From the root's end backwards: the child that ended last is waited for, then, from its start,
   the sibling that ended last *before* that start, strictly; what is between is the parent's own.

Times are whole microseconds, as Jaeger keeps them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class PathSpan:
    """What the path needs of a span; `parent_id` is "" for a root."""

    id: str
    parent_id: str
    name: str
    kind: str
    start_us: int
    end_us: int


@dataclass(frozen=True)
class Section:
    """A piece of the path: from here to there, this span itself was what took the time."""

    span: PathSpan
    start_us: int
    end_us: int


def critical_path(spans: list[PathSpan]) -> list[Section]:
    """Return the path of the trace whose first root is meant, its end first."""
    children = _children(spans)
    root = min(children[""], key=lambda span: span.start_us)
    kept = _kept(root, children)
    sections: list[Section] = []
    at, until_us, is_before = root, root.end_us, False
    while True:
        last = _last_finished(kept[at.id], until_us if is_before else None)
        begun_us = at.start_us if last is None else last.end_us
        if begun_us != until_us:
            sections.append(Section(at, begun_us, until_us))
        if last is not None:
            at, until_us, is_before = last, last.end_us, False
        elif at.id == root.id:
            return sections
        else:
            until_us, is_before = at.start_us, True
            at = kept[""][0] if at.parent_id == root.id else _find(kept, at.parent_id)


def blame_us(sections: list[Section]) -> Counter[str]:
    """Return for each span's name how long the end waited for it alone."""
    blamed: Counter[str] = Counter()
    for section in sections:
        blamed[f"{section.span.kind} {section.span.name}"] += section.end_us - section.start_us
    return blamed


def _children(spans: list[PathSpan]) -> dict[str, list[PathSpan]]:
    children: dict[str, list[PathSpan]] = defaultdict(list)
    known = {span.id for span in spans}
    for span in spans:
        children[span.parent_id if span.parent_id in known else ""].append(span)
    return children


def _kept(root: PathSpan, children: dict[str, list[PathSpan]]) -> dict[str, list[PathSpan]]:
    """Return the children of each span that count, cut to what their parents cover."""
    kept: dict[str, list[PathSpan]] = defaultdict(list)
    kept[""] = [root]
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for child in children[parent.id]:
            is_deferred = child.kind == "CONSUMER" and parent.kind == "PRODUCER"
            is_outside = child.start_us >= parent.end_us or _ends_before(child, parent)
            if not is_deferred and not is_outside:
                cut = _cut(child, parent)
                kept[parent.id].append(cut)
                waiting.append(cut)
    return kept


def _ends_before(child: PathSpan, parent: PathSpan) -> bool:
    return child.start_us < parent.start_us and child.end_us <= parent.start_us


def _cut(child: PathSpan, parent: PathSpan) -> PathSpan:
    start_us, end_us = max(child.start_us, parent.start_us), min(child.end_us, parent.end_us)
    return replace(child, start_us=start_us, end_us=end_us)


def _last_finished(children: list[PathSpan], before_us: int | None) -> PathSpan | None:
    found = [child for child in children if before_us is None or child.end_us < before_us]
    return max(found, key=lambda child: child.end_us, default=None)


def _find(kept: dict[str, list[PathSpan]], span_id: str) -> PathSpan:
    return next(span for siblings in kept.values() for span in siblings if span.id == span_id)
