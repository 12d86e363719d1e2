"""Puts spans side by side so that on each lane they are apart or one inside the other. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 500
"""Lanes at most; nobody looks at more, and the last one takes what is left."""


class Timed(Protocol):
    """Anything with a start and an end."""

    @property
    def start_ns(self) -> int:
        """Where it begins."""

    @property
    def end_ns(self) -> int:
        """Where it ends; before the start when a clock was set back."""


Item = TypeVar("Item", bound=Timed)


def lanes(items: Iterable[Item]) -> list[tuple[int, Item]]:
    """Return each item with its lane, counted from 0; as few lanes as first fit finds."""
    open_ends: list[list[int]] = []
    placed = []
    for item in sorted(items, key=lambda each: (each.start_ns, -each.end_ns)):
        end = max(item.start_ns, item.end_ns)
        number = next((at for at, ends in enumerate(open_ends) if _fits(ends, item.start_ns, end)), None)
        if number is None and len(open_ends) < MOST:
            open_ends.append([])
        number = len(open_ends) - 1 if number is None else number
        open_ends[number].append(end)
        placed.append((number, item))
    return placed


def _fits(ends: list[int], start: int, end: int) -> bool:
    """Forget what has ended on a lane; tell whether what is still open there holds the newcomer."""
    while ends and ends[-1] <= start:
        ends.pop()
    return not ends or ends[-1] >= end
