"""Ways from a panel to the traces and log lines behind it: addresses of Grafana's Explore."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACES: Final = "traces in the same time"
LOGS: Final = "log lines in the same time"
SERVICES: Final = '{service_name=~"${service:pipe}"}'
_VARIABLE: Final = re.compile(r"(\$\{[^}]*\})")


@dataclass(frozen=True, slots=True)
class Look:
    """What to look for behind a panel.

    Attributes:
        logs: a LogQL query.
        operation: the name of the spans to look for, or "" for any.
        tags: attributes of the spans, as logfmt.
        slower_than: the least duration of the spans, e.g. "1s", or "" for any.
    """

    logs: str = SERVICES
    operation: str = ""
    tags: str = ""
    slower_than: str = ""


def events(*names: str, tags: str = "", slower_than: str = "") -> Look:
    """Look for some of our log events, and for spans with some attributes."""
    return Look(f'{SERVICES} |~ "^({"|".join(names)}) "', tags=tags, slower_than=slower_than)


def panel_links(look: Look) -> list[dashboard.DashboardLink]:
    """Return the links in the corner of a panel."""
    return [_link(TRACES, traces_url(look)), _link(LOGS, logs_url(look))]


def traces_url(look: Look, service: str = "${trace_service}") -> str:
    """Return the address of a search for traces."""
    return explore("${traces}", "jaeger", jaeger_search(look, service))


def logs_url(look: Look) -> str:
    """Return the address of a search for log lines."""
    return explore("${logs}", "loki", {"expr": look.logs, "queryType": "range"})


def jaeger_search(look: Look, service: str) -> dict[str, str | int]:
    """Return a query of Grafana's Jaeger source: the SDK has no builder for it."""
    query: dict[str, str | int] = {"queryType": "search", "service": service, "limit": 20}
    optional = {"operation": look.operation, "tags": look.tags, "minDuration": look.slower_than}
    return query | {key: value for key, value in optional.items() if value}


def explore(uid: str, kind: str, query: Mapping[str, str | int]) -> str:
    """Return the address of Explore with one query; Grafana puts the variables' values in."""
    asked = {"refId": "A", "datasource": {"type": kind, "uid": uid}, **query}
    pane = {"datasource": uid, "queries": [asked], "range": {"from": "${__from}", "to": "${__to}"}}
    return f"/explore?schemaVersion=1&orgId=1&panes={_quoted(json.dumps({'a': pane}))}"


def method_url() -> str:
    """Return the address of the drill-down for the method of a table's row or a series."""
    return "/d/tracedrpc-method?var-method=${__data.fields.rpc_method}&from=${__from}&to=${__to}"


def _quoted(text: str) -> str:
    """Return the text for an address, Grafana's variables left as they are."""
    parts = _VARIABLE.split(text)
    return "".join(part if _VARIABLE.fullmatch(part) else quote(part, safe="") for part in parts)


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(url)
        .target_blank(target_blank=True)
    )
