"""A dashboard around its panels: name, variables, links to the others, alerts as marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.lists import by_tag
from grafana.telling import PROMETHEUS

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY: Final = ".*"
SOURCES: Final = (("datasource", "metrics", "prometheus"), ("logs", "logs", "loki"),
                  ("traces", "traces", "jaeger"))
"""(variable, label, type and uid of the provisioned data source)."""
ALERTS: Final = 'ALERTS{alertname=~"TracedRPC.*", alertstate="firing"}'


def page(uid: str, title: str, description: str) -> dashboard.Dashboard:
    """Return an empty dashboard with what all of them have."""
    made = (
        dashboard.Dashboard(title).uid(uid).description(description).tags(["tracedrpc"]).timezone("browser")
        .refresh("30s").time("now-1h", "now").tooltip(DashboardCursorSync.CROSSHAIR).link(by_tag()).readonly()
        .annotation(_alerts())
    )
    for name, label, kind in SOURCES:
        current = VariableOption(text=kind, value=kind)
        made.with_variable(dashboard.DatasourceVariable(name).label(label).type(kind).current(current))
    return made


def laid_out(made: dashboard.Dashboard, panels: Iterable[Any]) -> dashboard.Dashboard:
    """Return the dashboard with its panels, from left to right and down."""
    for at, panel in enumerate(panels, 1):
        place = made.with_row if isinstance(panel, dashboard.Row) else made.with_panel
        place(panel.id(at))
    return made


def services(metric: str) -> tuple[dashboard.QueryVariable, dashboard.QueryVariable]:
    """Return the variables `service`, and `trace_service`: Jaeger searches in one service at a time."""
    names = f"label_values({metric}, service_name)"
    one = f'label_values({metric}{{service_name=~"$service"}}, service_name)'
    return choice("service", "service", names), choice("trace_service", "search traces of", one,
                                                       has_all=False)


def choice(name: str, label: str, query: str, *, has_all: bool = True,
           regex: str = "") -> dashboard.QueryVariable:
    """Return a variable whose values Prometheus knows; with `has_all` several may be chosen."""
    made = (
        dashboard.QueryVariable(name).label(label).datasource(PROMETHEUS).sort(VariableSort.ALPHABETICAL_ASC)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).query({"query": query, "refId": name, "qryType": 5})
    )
    if regex:
        made.regex(regex)
    if has_all:
        made.multi(multi=True).include_all(include_all=True).all_value(EVERY)
        made.current(VariableOption(text=["All"], value=["$__all"]))
    return made


def _alerts() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery().name("alerts of tracedrpc").datasource(PROMETHEUS).enable(enable=True)
        .icon_color("red").expr(ALERTS)
    )
