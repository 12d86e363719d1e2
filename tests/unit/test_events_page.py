"""docs/events.md is the catalogue of log lines: what it lists is what the code writes."""

from __future__ import annotations

import re
from pathlib import Path

from tracedrpc import semconv
from tracedrpc._guard import MOMENTS
from tracedrpc.anatomy import Phase

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/events.md").read_text(encoding="utf-8")
SOURCES = [*(ROOT / "tracedrpc").rglob("*.py"), *(ROOT / "instrumentation").rglob("*.py")]
WITHOUT_LINE = {"acquire_started", "connection_acquired", "pool_opened", "transport_opened"}


def written() -> set[str]:
    """Return the names of all lines that the sources write."""
    pattern = re.compile(r"\b(?:line|limited)\(\s*[\w.]+,\s*\"([a-z_]+)\"")
    return {name for source in SOURCES for name in pattern.findall(source.read_text(encoding="utf-8"))}


def listed() -> set[str]:
    """Return the names in the first column of the page's tables."""
    rows = [row for row in PAGE.splitlines() if row.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])}


def test_every_line_is_listed_and_every_listed_line_is_written():
    assert listed() == written()


def test_every_moment_is_a_line_or_named_as_one_that_is_not():
    assert set(MOMENTS) == (written() & set(MOMENTS)) | WITHOUT_LINE
    assert all(f"`{name}`" in PAGE for name in ("acquire_started", "connection_acquired"))


def test_every_field_has_its_name_from_the_one_module():
    known = {value for key, value in vars(semconv).items() if key.isupper() and isinstance(value, str)}
    known |= {semconv.phase_ms(phase) for phase in Phase}
    named = set(re.findall(r"`([a-z]+(?:\.[a-z_]+)+)`", PAGE))
    assert named <= known | {"otel.event.name"}, named - known
