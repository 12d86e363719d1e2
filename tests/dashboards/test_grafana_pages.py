"""The committed dashboards are what the code makes, and each panel has what a reader needs."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.generate import PAGES, rendered
from tests.dashboards import committed

NAMES = sorted(committed.dashboards())
PANELS = [pytest.param(panel, id=where) for where, panel in committed.panels()]
SOURCES = {"${datasource}", "${logs}", "${traces}"}
GRAFANA_OWN = {"__rate_interval", "__auto", "__from", "__to", "__data.fields.rpc_method",
               "__data.fields.service_name"}


def test_the_committed_files_are_what_the_code_makes() -> None:
    found = {path.name: path.read_text() for path in committed.GRAFANA.glob("*.json")}
    assert found == rendered(), "run `make dashboards` and commit what it writes"


def test_addresses_of_dashboards_stay_as_they_are() -> None:
    assert [page.UID for page in PAGES] == [
        "tracedrpc-overview", "tracedrpc-method", "tracedrpc-transport", "tracedrpc-telemetry",
        "tracedrpc-runtime",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_sdk_reads_a_dashboard_and_writes_the_same(name: str) -> None:
    register_default_plugins()
    page = committed.dashboards()[name]
    assert json.loads(JSONEncoder().encode(Dashboard.from_json(page))) == page


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_numbers_of_their_own_and_do_not_overlap(name: str) -> None:
    panels = committed.dashboards()[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [cell for panel in panels for cell in cells_of(panel["gridPos"])]
    assert len(set(cells)) == len(cells)
    assert all(0 <= column < 24 for column, _ in cells)


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_says_what_to_do_next_and_leads_to_the_others(name: str) -> None:
    page = committed.dashboards()[name]
    assert [panel["title"] for panel in page["panels"] if panel["type"] == "text"] == ["What to do next"]
    assert page["links"][0]["tags"] == page["tags"] == ["tracedrpc"]


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_that_a_dashboard_uses_is_one_of_its_own(name: str) -> None:
    page = committed.dashboards()[name]
    own = {variable["name"] for variable in page["templating"]["list"]}
    used = {found[1] or found[2] for found in committed.VARIABLE.finditer(json.dumps(page["panels"]))}
    assert used <= own | GRAFANA_OWN
    assert own <= used | {"datasource", "topic"}


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_unit_description_and_links_to_traces_and_lines(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(panel["description"]) > 15
    assert panel["description"].endswith(".")
    assert [link["title"] for link in panel["links"]] == ["traces in the same time",
                                                          "log lines in the same time"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_data_sources_by_variable(panel: dict[str, Any]) -> None:
    if panel["type"] != "text":
        assert panel["datasource"]["uid"] in SOURCES
    assert all(target["datasource"] == panel["datasource"] for target in panel.get("targets", []))


@pytest.mark.parametrize("panel", PANELS)
def test_thresholds_rise_from_green(panel: dict[str, Any]) -> None:
    first, *others = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert first["color"] == "green"
    values = [step["value"] for step in others]
    assert values == sorted(values)


@pytest.mark.parametrize("panel", PANELS)
def test_rates_follow_the_resolution_or_a_rule_of_ours(panel: dict[str, Any]) -> None:
    windows = re.findall(r"(?:rate|increase)\([^()]*\[([^\]]+)\]", json.dumps(panel))
    assert set(windows) <= {"$__rate_interval", "5m", "10m"}
    if "5m" in windows:
        assert panel["type"] == "table"
    if "10m" in windows:
        assert panel["type"] == "stat"


def cells_of(place: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    return list(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
