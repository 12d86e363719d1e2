"""docs/telemetry.md says what the code does: metrics, phases, switches and names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tracedrpc import semconv
from tracedrpc.anatomy import Phase
from tracedrpc.options import SPECS
from tracedrpc_otel.instruments import INSTRUMENTS
from tracedrpc_otel.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs/telemetry.md").read_text(encoding="utf-8")
ROWS = [row for row in PAGE.splitlines() if row.startswith("| `")]


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda each: each.name)
def test_every_metric_has_a_row_that_tells_all_of_it(instrument) -> None:
    attributes = ", ".join(f"`{name}`" for name in instrument.attributes)
    cells = (f"`{instrument.name}`", instrument.kind, instrument.unit, attributes, instrument.recorded)
    assert f"| {' | '.join(cells)} |" in ROWS


def test_no_metric_is_told_that_does_not_exist() -> None:
    kinds = {str(instrument.kind) for instrument in INSTRUMENTS}
    told = {row.split("`")[1] for row in ROWS if row.split("|")[2].strip() in kinds}
    assert told == {instrument.name for instrument in INSTRUMENTS}


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_row(phase: Phase) -> None:
    assert any(row.startswith(f"| `{semconv.phase_ms(phase)}` |") for row in ROWS)


@pytest.mark.parametrize("name", Settings.__slots__)
def test_every_switch_has_a_row(name: str) -> None:
    assert any(f"`TRACEDRPC_{name.upper()}`" in row.split("|")[1] for row in ROWS)


def test_every_variable_of_ours_is_one_that_is_read() -> None:
    variables = set(re.findall(r"TRACEDRPC_([A-Z_]+)", PAGE))
    known = {name.upper() for name in (*Settings.__slots__, *SPECS)} | {"LOG_CALLS"}
    assert variables <= known, variables - known


def test_every_name_of_ours_exists() -> None:
    known = {value for key, value in vars(semconv).items() if key.isupper() and isinstance(value, str)}
    known |= {semconv.phase_ms(phase) for phase in Phase} | {each.name for each in INSTRUMENTS}
    told = set(re.findall(r"`(tracedrpc\.[a-z_.]+[a-z])`", PAGE))
    assert told <= known, told - known
