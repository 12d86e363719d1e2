"""One absolute instant that everything a call does must respect."""

from __future__ import annotations

from time import monotonic
from typing import Final

FOREVER_S: Final = 10 * 365 * 24 * 3600.0
"""What "no limit" means to code that must hand a number of seconds to the system."""
LONGEST_S: Final = 24 * 24 * 3600.0
"""The longest single wait: epoll, and so eventlet, counts milliseconds in 31 bits."""


class Deadline:
    """A monotonic instant; ask it how many seconds are left.

    One deadline is made when a call begins and is handed down through pool, connection, publish
    and reply wait, so that no step can spend another's time.
    """

    __slots__ = ("at_s",)

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s

    @classmethod
    def after(cls, timeout_s: float | None) -> Deadline:
        """Return the deadline `timeout_s` seconds from now; None means no limit."""
        return cls(monotonic() + (FOREVER_S if timeout_s is None else timeout_s))

    def left_s(self) -> float:
        """Return the seconds left, never below 0."""
        return max(0.0, self.at_s - monotonic())

    def limit_s(self) -> float | None:
        """Return the seconds left for what waits without limit when given None; None for weeks."""
        left_s = self.left_s()
        return left_s if left_s < LONGEST_S else None

    def is_expired(self) -> bool:
        """Tell whether the instant has passed."""
        return monotonic() >= self.at_s

    def sooner(self, limit_s: float) -> Deadline:
        """Return the nearer of this deadline and `limit_s` seconds from now."""
        return Deadline(min(self.at_s, monotonic() + limit_s))

    def __repr__(self) -> str:
        return f"<Deadline {self.left_s():.3f} s left>"
