"""Each story's trace is the one that was written down: names, kinds, parents, keys, status, events.

`make golden` (`TRACEDRPC_WRITE_GOLDEN=1`) writes them anew; read the difference before you commit.
"""

from __future__ import annotations

import json
import os
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.fifteen.scenarios import PHASES, SCENARIOS
from tests.telemetry.fifteen.shapes import shape_of
from tests.telemetry.test_names import _conventional as conventional_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemetry.fifteen.stories import Teller

GOLDEN = Path(__file__).parent / "golden"
DETAILS = ("standard", "full")
IS_WRITING = bool(os.environ.get("TRACEDRPC_WRITE_GOLDEN"))


def path_of(name: str, detail: str) -> Path:
    """Return where a story's trace is written down."""
    prefix = "timeout_" if name in PHASES else ""
    return GOLDEN / f"{prefix}{name}.{detail}.json"


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_sdk_makes_the_same_trace_as_we_write(teller: Teller, name: str) -> None:
    told = json.dumps(shape_of(teller.tell(name, "sdk")), indent=1) + "\n"
    golden = path_of(name, "standard").read_text()
    assert told == golden, "\n".join(unified_diff(golden.splitlines(), told.splitlines(), "golden", "sdk"))


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_trace_of_each_story_is_as_it_was_written_down(teller: Teller, name: str, detail: str) -> None:
    told = json.dumps(shape_of(teller.tell(name, detail)), indent=1) + "\n"
    path = path_of(name, detail)
    if IS_WRITING:
        path.write_text(told)
    golden = path.read_text()
    assert told == golden, "\n".join(unified_diff(golden.splitlines(), told.splitlines(), "golden", "told"))


def test_every_golden_trace_belongs_to_a_story() -> None:
    expected = {path_of(name, detail) for name in SCENARIOS for detail in DETAILS}
    assert set(GOLDEN.iterdir()) == expected


def test_every_attribute_is_conventional_or_ours_and_no_span_mixes_rpc_with_messaging() -> None:
    conventional = conventional_names()
    for path in GOLDEN.iterdir():
        for span in _spans(json.loads(path.read_text())):
            keys = [*span["attributes"]]
            keys += [key for event in span.get("events", ()) for key in event["attributes"]]
            assert not [key for key in keys if not key.startswith("tracedrpc.") and key not in conventional]
            spaces = {key.split(".")[0] for key in span["attributes"]}
            assert not (span["kind"] in {"CLIENT", "SERVER"} and {"rpc", "messaging"} <= spaces), path.name


def _spans(shape: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield shape
    for child in shape.get("children", ()):
        yield from _spans(child)
