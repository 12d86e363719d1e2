"""What is committed: the dashboards' panels and queries, the rules' expressions; variables filled in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "dashboards" / "grafana"
RULES = ROOT / "dashboards" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
METHOD = "demo.compute/boot_instance"
VALUES = {
    "__rate_interval": "5m", "__auto": "5m", "__from": "now-1h", "__to": "now",
    "datasource": "prometheus", "logs": "loki", "traces": "jaeger",
    "service": ".*", "trace_service": "traffic", "method": METHOD, "topic": "demo.compute",
    "destination": ".*demo.compute.*", "queue": ".*",
    "__data.fields.rpc_method": METHOD, "__data.fields.service_name": "traffic",
}
VARIABLE = re.compile(r"\$\{([\w.]+)(?::\w+)?\}|\$(\w+)")


@dataclass(frozen=True)
class Asked:
    """One query of a panel, an annotation or a link, variables filled in."""

    where: str
    kind: str
    query: dict[str, Any]

    @property
    def expr(self) -> str:
        return str(self.query["expr"])


@dataclass(frozen=True)
class Rule:
    name: str
    expr: str
    is_alert: bool
    row: dict[str, Any]


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("*.json"))}


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, panel) of everything but the headings."""
    for name, page in dashboards().items():
        for panel in page["panels"]:
            if panel["type"] != "row":
                yield f"{name}: {panel['title']}", panel


def filled(text: str) -> str:
    """The text with a value for each variable; a `KeyError` names one that nobody defines."""
    return VARIABLE.sub(lambda found: VALUES[found[1] or found[2]], text)


def asked() -> list[Asked]:
    """Every query: of panels, of the links in their corners and tables, of annotations."""
    found = [Asked(where, target["datasource"]["type"], filled_in(target))
             for where, panel in panels() for target in panel.get("targets", [])]
    found += [Asked(where, *explored(url)) for where, url in links() if url.startswith("/explore?")]
    found += [Asked(f"{name}: annotation", mark["datasource"]["type"], filled_in(mark))
              for name, page in dashboards().items() for mark in page["annotations"]["list"]]
    return found


def links() -> Iterator[tuple[str, str]]:
    """(where, address) of every link, variables not filled in."""
    for where, panel in panels():
        for link in [*panel["links"], *data_links(panel)]:
            yield f"{where}: {link['title']}", link["url"]


def data_links(panel: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for override in panel.get("fieldConfig", {}).get("overrides", []):
        for thing in override["properties"]:
            if thing["id"] == "links":
                yield from thing["value"]


def explored(url: str) -> tuple[str, dict[str, Any]]:
    """(kind of data source, query) of an address of Explore."""
    (panes,) = parse_qs(urlsplit(filled(url)).query)["panes"]
    (pane,) = json.loads(panes).values()
    (query,) = pane["queries"]
    assert pane["datasource"] == query["datasource"]["uid"], url
    return query["datasource"]["type"], query


def filled_in(thing: dict[str, Any]) -> dict[str, Any]:
    return {key: filled(value) if isinstance(value, str) else value for key, value in thing.items()}


def promql() -> list[Asked]:
    return [each for each in asked() if each.kind == "prometheus"]


def rules() -> list[Rule]:
    return [
        Rule(row.get("record") or row["alert"], row["expr"], "alert" in row, row)
        for path in sorted(RULES.glob("*.rules.yaml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for row in group["rules"]
    ]


def alerts() -> list[Rule]:
    return [rule for rule in rules() if rule.is_alert]
