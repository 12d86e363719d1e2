"""The panels that list: tables of methods, queues and traces, log lines, the map of services, plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from grafana_foundation_sdk.builders import dashboard, logs, loki, nodegraph, table, text
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataTransformerConfig,
    DynamicConfigValue,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from grafana.links import TRACES, Look, jaeger_search, method_url, traces_url
from grafana.telling import (
    FULL,
    HALF,
    HEIGHT,
    JAEGER,
    LOKI,
    PROMETHEUS,
    JaegerQuery,
    Query,
    asked,
    letter,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDDEN: Final = {"Time": True}

Column: TypeAlias = tuple[str, str, str]
"""(PromQL, heading, unit)."""


def metric_table(
    title: str, description: str, columns: Sequence[Column], *, look: Look, width: int = FULL,
) -> table.Panel:
    """Return one row for each set of labels, and a column for each query; labels are columns too.

    A row with `rpc_method` leads to that method's drill-down and traces.
    """
    panel = table.Panel().span(width).height(HEIGHT + 2).datasource(PROMETHEUS).filterable(filterable=True)
    headings = {}
    for at, (expr, heading, unit) in enumerate(columns):
        panel.with_target(asked(at, Query(expr)).instant().format(PromQueryFormat.TABLE))
        panel.override_by_name(heading, [DynamicConfigValue("unit", unit)])
        headings[f"Value #{letter(at)}" if len(columns) > 1 else "Value"] = heading
    panel.with_transformation(DataTransformerConfig("merge", options={}))
    shape = {"excludeByName": HIDDEN, "renameByName": headings}
    panel.with_transformation(DataTransformerConfig("organize", options=shape))
    panel.override_by_name("rpc_method", [DynamicConfigValue("links", _method_links())])
    return told(panel, title, "short", description, look)


def log_lines(title: str, description: str, *, look: Look, width: int = FULL) -> logs.Panel:
    """Return the newest log lines that a query finds."""
    query = loki.Dataquery().expr(look.logs).query_type("range").ref_id("A").datasource(LOKI).max_lines(200)
    panel = logs.Panel().span(width).height(HEIGHT + 2).datasource(LOKI).with_target(query)
    panel.show_time(show_time=True).wrap_log_message(wrap_log_message=True).enable_log_details(enable_log_details=True)
    return told(panel, title, "short", description, look)


def traces(title: str, description: str, *, look: Look, service: str = "${trace_service}") -> table.Panel:
    """Return traces that a search finds; a click opens one."""
    query = JaegerQuery(jaeger_search(look, service))
    panel = table.Panel().span(HALF).height(HEIGHT + 2).datasource(JAEGER).with_target(query)
    return told(panel.filterable(filterable=True), title, "short", description, look)


def service_map(title: str, description: str, *, look: Look) -> nodegraph.Panel:
    """Return who calls whom, as Jaeger derives it from spans."""
    query = JaegerQuery({"queryType": "dependencyGraph"})
    panel = nodegraph.Panel().span(HALF).height(HEIGHT + 2).datasource(JAEGER).with_target(query)
    return told(panel, title, "short", description, look)


def words(markdown: str, *, look: Look, height: int = 5) -> text.Panel:
    """Return what to do next, in words."""
    return told(
        text.Panel().span(FULL).height(height).mode(TextMode.MARKDOWN).content(markdown),
        "What to do next", "none", "Where to go from what is seen here.", look,
    )


def _method_links() -> list[dict[str, Any]]:
    look = Look(operation="${__data.fields.rpc_method}")
    traces_of = traces_url(look, "${__data.fields.service_name}")
    return [_data_link("drill down", method_url()), _data_link(TRACES, traces_of, in_new_tab=True)]


def _data_link(title: str, url: str, *, in_new_tab: bool = False) -> dict[str, Any]:
    return {"title": title, "url": url, "targetBlank": in_new_tab}


def by_tag() -> dashboard.DashboardLink:
    """Return the menu of our other dashboards."""
    return (
        dashboard.DashboardLink("tracedrpc").type(DashboardLinkType.DASHBOARDS).tags(["tracedrpc"])
        .as_dropdown(as_dropdown=True).keep_time(keep_time=True).include_vars(include_vars=True)
    )
