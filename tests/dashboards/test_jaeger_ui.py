"""Jaeger's page leads to log lines and dashboards, and shows first what matters first."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.dashboards import committed, log_queries
from tests.dashboards.log_queries import ATTRIBUTES, FIELDS

UI = json.loads((committed.ROOT / "dashboards" / "jaeger" / "ui.json").read_text())
PATTERNS = [pytest.param(pattern, id=pattern["text"]) for pattern in UI["linkPatterns"]]
OF_A_TRACE = {"traceID", "traceName", "startTime", "endTime", "duration"}
FORMATS = {"add", "epoch_micros_to_date_iso", "pad_start"}
"""What Jaeger's page can do with a value before it goes into an address."""
PARAMETER = re.compile(r"#\{([^}]*)\}")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_link_is_made_of_what_the_span_or_trace_has(pattern: dict[str, Any]) -> None:
    own = OF_A_TRACE if pattern["type"] == "traces" else {pattern["key"]}
    assert pattern["type"] == "traces" or pattern["key"] in ATTRIBUTES
    for parameter in PARAMETER.findall(pattern["url"] + pattern["text"]):
        name, *formats = map(str.strip, parameter.split("|"))
        assert name in own
        assert {each.split()[0] for each in formats} <= FORMATS


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_link_leads_to_log_lines_or_to_a_dashboard_with_that_variable(pattern: dict[str, Any]) -> None:
    url = urlsplit(PARAMETER.sub("x", pattern["url"]))
    assert url.netloc == "127.0.0.1:3000"
    if url.path == "/explore":
        (pane,) = json.loads(parse_qs(url.query)["panes"][0]).values()
        (query,) = pane["queries"]
        assert pane["datasource"] == query["datasource"]["uid"] == "loki"
        assert log_queries.is_balanced(query["expr"])
        assert log_queries.fields(query["expr"]) <= FIELDS
        assert not log_queries.can_parse() or log_queries.wrong([query["expr"]]) == []
    else:
        page = committed.dashboards()[f"{url.path.removeprefix('/d/')}.json"]
        variables = {f"var-{variable['name']}" for variable in page["templating"]["list"]}
        assert parse_qs(url.query).keys() <= variables | {"from", "to"}


def test_the_menu_leads_to_dashboards_of_ours() -> None:
    (menu,) = UI["menu"]
    inside = [urlsplit(item["url"]) for item in menu["items"] if "/d/" in item["url"]]
    assert {f"{url.path.removeprefix('/d/')}.json" for url in inside} <= committed.dashboards().keys()


def test_attributes_that_come_first_are_some_that_we_have() -> None:
    for prefix in UI["topTagPrefixes"]:
        assert any(name.startswith(prefix) for name in ATTRIBUTES), prefix
