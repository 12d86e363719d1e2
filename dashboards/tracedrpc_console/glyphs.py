"""The few signs that pictures are made of, for terminals with Unicode and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of signs.

    Attributes:
        bar: a span's time.
        sliver: a span too short to be seen to scale.
        queue: time that a message waited for its server.
        heartbeat: a sign of life from the server.
        exception: an exception was recorded.
        event: any other event.
        ellipsis: text was cut here.
        branch, last, line, gap: the tree's lines, each two columns wide.
        ok, bad: before the verdict.
        bullet: before an item of a list.
    """

    bar: str
    sliver: str
    queue: str
    heartbeat: str
    exception: str
    event: str
    ellipsis: str
    branch: str
    last: str
    line: str
    gap: str
    ok: str
    bad: str
    bullet: str


UNICODE: Final = Glyphs(
    bar="█", sliver="▏", queue="░", heartbeat="♥", exception="✖", event="◆", ellipsis="…",
    branch="├╴", last="└╴", line="│ ", gap="  ", ok="✔", bad="✘", bullet="•",
)
ASCII: Final = Glyphs(
    bar="=", sliver="|", queue=".", heartbeat="v", exception="x", event="o", ellipsis="~",
    branch="|-", last="`-", line="| ", gap="  ", ok="ok", bad="!!", bullet="-",
)


def for_encoding(encoding: str | None) -> Glyphs:
    """Return the signs that an output of this encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "").startswith("utf") else ASCII
