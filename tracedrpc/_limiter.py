"""Keeps storms out of the log: a few lines of a kind, then a count of those kept back."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST: Final = 5
"""Lines of one kind that are written in one window."""
WINDOW_S: Final = 10.0
MOST_KINDS: Final = 1000
OTHER: Final = "_OTHER"
"""Stands for the kinds of an event that are too many to be told apart."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What lines are counted together: those of one event about one thing, e.g. one broker."""

    event: str
    field: str
    value: str


@dataclass(slots=True)
class _Window:
    began_s: float
    written: int = 0
    suppressed: int = 0
    level: int = 0


class Limiter:
    """Says which lines to write. Thread-safe; bounded, whatever the kinds are.

    Args:
        most: lines of a kind in one window; the next one opens with a line after the last is over.
        window_s: how long a window is.
        most_kinds: how many kinds are told apart.
        clock: seconds that only grow.
    """

    def __init__(
        self, most: int = MOST, window_s: float = WINDOW_S, most_kinds: int = MOST_KINDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._most = most
        self._window_s = window_s
        self._most_kinds = most_kinds
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a child process: what was counted is the parent's."""
        # Reentrant, because a signal handler may write a line, too.
        self._lock = threading.RLock()
        self._windows: dict[Kind, _Window] = {}
        self._due_s = math.inf

    def admit(self, kind: Kind, level: int) -> int | None:
        """Return how many lines of a kind were kept back before this one; None: keep it back, too."""
        now_s = self._clock()
        with self._lock:
            window = self._window(kind, now_s)
            if now_s - window.began_s >= self._window_s:
                suppressed = window.suppressed
                window.began_s, window.written, window.suppressed, window.level = now_s, 1, 0, 0
                return suppressed
            if window.written < self._most:
                window.written += 1
                return 0
            window.suppressed += 1
            window.level = max(level, window.level)
            self._due_s = min(self._due_s, window.began_s + self._window_s)
            return None

    def _window(self, kind: Kind, now_s: float) -> _Window:
        window = self._windows.get(kind)
        if window is not None:
            return window
        if len(self._windows) >= self._most_kinds:
            self._drop_quiet(now_s)
        if len(self._windows) >= self._most_kinds:
            kind = Kind(kind.event, kind.field, OTHER)
        return self._windows.setdefault(kind, _Window(now_s))

    def _drop_quiet(self, now_s: float) -> None:
        """Forget windows that are over and have nothing left to tell."""
        self._windows = {
            kind: window for kind, window in self._windows.items()
            if window.suppressed or now_s - window.began_s < self._window_s
        }

    def is_due(self) -> bool:
        """Tell whether a window is over of which lines were kept back; cheap."""
        return self._due_s < math.inf and self._clock() >= self._due_s

    def take_due(self, *, everything: bool = False) -> list[tuple[Kind, int, int]]:
        """Return kind, level and count of what was kept back in windows that are over, or in all."""
        now_s = self._clock()
        with self._lock:
            kept_back = {kind: window for kind, window in self._windows.items() if window.suppressed}
            due = [
                (kind, window.level, window.suppressed) for kind, window in kept_back.items()
                if everything or now_s - window.began_s >= self._window_s
            ]
            for kind, _, _ in due:
                del self._windows[kind], kept_back[kind]
            ends_s = (window.began_s + self._window_s for window in kept_back.values())
            self._due_s = min(ends_s, default=math.inf)
        return due
