"""Times and stretches of time as people type them: `15m`, `2h..1h`, `2026-11-22T19:30`. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)
_TIME: Final = "a time like 15m, 2h, 3d (ago) or 2026-11-22T19:30"


class NoTime(ValueError):
    """A text that is no time; the text says what would be."""


def instant_us(text: str, now_us: int) -> int:
    """Return a time in microseconds since 1970: so long ago, or a local date and time."""
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return max(0, now_us - round(float(ago[1]) * _UNITS[ago[2]] * 1e6))
    try:
        return max(0, round(datetime.fromisoformat(text.strip()).timestamp() * 1e6))
    except (ValueError, OverflowError, OSError):
        raise NoTime(f"{text!r} is no time: give {_TIME}") from None


def window_us(text: str, now_us: int) -> tuple[int, int] | None:
    """Return a stretch of time, "2h..1h" or "1h.." until now; None when the text has no ".."."""
    first, sign, last = text.partition("..")
    if not sign:
        return None
    window = instant_us(first, now_us), instant_us(last, now_us) if last.strip() else now_us
    if window[0] >= window[1]:
        raise NoTime(f"{text!r} ends before it begins")
    return window
