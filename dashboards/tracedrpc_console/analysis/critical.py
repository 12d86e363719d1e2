"""The critical path of a trace: which span, at each instant, its end had to wait for. Pure.

The rules are those of Jaeger UI (TracePage/CriticalPath, main of 2026-08):

1. A CONSUMER below a PRODUCER blocks nobody; it and all below it are left out.
2. A child outside of its parent is left out with all below it; one that sticks out is cut.
3. From the root's end backwards: the child that ended last is waited for, then, from its start,
   the sibling that ended last *before* that start, strictly; what is between is the parent's own.

Times are whole microseconds, as Jaeger keeps them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class PathSpan:
    """What the path needs of a span; `parent_id` is "" for a root."""

    id: str
    parent_id: str
    name: str
    kind: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of the path: from here to there, this span itself was what took the time."""

    span: PathSpan
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """The spans that count, cut to what their parents cover, and their children by their ends."""

    root: PathSpan
    by_id: Mapping[str, PathSpan]
    children: Mapping[str, Sequence[PathSpan]]


def critical_path(spans: Iterable[PathSpan]) -> list[Section]:
    """Return the path of the first root there is, its end first; empty without a root.

    A span whose parent has not arrived counts as a root. Of spans in a circle there is none.
    """
    children = _children(spans)
    if not children[""]:
        return []
    kept = _keep(min(children[""], key=lambda span: span.start_us), children)
    at, until_us, is_before = kept.root, kept.root.end_us, False
    sections: list[Section] = []
    while True:
        last = _last_finished(kept.children.get(at.id, ()), until_us if is_before else None)
        begun_us = at.start_us if last is None else last.end_us
        if begun_us != until_us:
            sections.append(Section(at, begun_us, until_us))
        if last is not None:
            at, until_us, is_before = last, last.end_us, False
        elif at.id == kept.root.id:
            return sections
        else:
            at, until_us, is_before = kept.by_id[at.parent_id], at.start_us, True


def blame_us(sections: Iterable[Section]) -> Counter[str]:
    """Return for each span's kind and name how long the end waited for it alone."""
    blamed: Counter[str] = Counter()
    for section in sections:
        blamed[f"{section.span.kind} {section.span.name}"] += section.end_us - section.start_us
    return blamed


def _children(spans: Iterable[PathSpan]) -> dict[str, list[PathSpan]]:
    """Return the spans by their parents' ids; of two with one id the first one counts."""
    known: dict[str, PathSpan] = {}
    for span in spans:
        # A clock that was set back must not lead the walk backwards in circles.
        known.setdefault(span.id, replace(span, end_us=max(span.start_us, span.end_us)))
    children: dict[str, list[PathSpan]] = defaultdict(list)
    for span in known.values():
        children[span.parent_id if span.parent_id in known else ""].append(span)
    return children


def _keep(root: PathSpan, children: Mapping[str, Sequence[PathSpan]]) -> _Kept:
    by_id = {root.id: root}
    kept: dict[str, list[PathSpan]] = defaultdict(list)
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for child in children.get(parent.id, ()):
            if not _is_deferred(child, parent) and not _is_outside(child, parent):
                cut = _cut(child, parent)
                by_id[cut.id] = cut
                kept[parent.id].append(cut)
                waiting.append(cut)
    for siblings in kept.values():
        siblings.reverse()  # of those that end together the first one is waited for
        siblings.sort(key=lambda span: span.end_us)
    return _Kept(root, by_id, kept)


def _is_deferred(child: PathSpan, parent: PathSpan) -> bool:
    return child.kind == "CONSUMER" and parent.kind == "PRODUCER"


def _is_outside(child: PathSpan, parent: PathSpan) -> bool:
    is_before = child.start_us < parent.start_us and child.end_us <= parent.start_us
    return child.start_us >= parent.end_us or is_before


def _cut(child: PathSpan, parent: PathSpan) -> PathSpan:
    start_us, end_us = max(child.start_us, parent.start_us), min(child.end_us, parent.end_us)
    return replace(child, start_us=start_us, end_us=end_us)


def _last_finished(ordered: Sequence[PathSpan], before_us: int | None) -> PathSpan | None:
    """Return the last one of those ordered by their ends that ended before, strictly."""
    at = len(ordered) if before_us is None else bisect_left(ordered, before_us, key=lambda span: span.end_us)
    return ordered[at - 1] if at else None
