"""The panels that draw numbers: one number, lines over time, a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import common, dashboard, heatmap, loki, stat, timeseries
from grafana_foundation_sdk.models.common import (
    GraphGradientMode,
    GraphThresholdsStyleMode,
    HeatmapCellLayout,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.telling import (
    HALF,
    HEIGHT,
    LOKI,
    PROMETHEUS,
    SIXTH,
    Query,
    Steps,
    asked,
    letter,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grafana.links import Look


def number(
    title: str, unit: str, description: str, expr: str, *, look: Look, steps: Steps = (),
) -> stat.Panel:
    """Return the newest value of one query, coloured by thresholds."""
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = stat.Panel().span(SIXTH).height(4).datasource(PROMETHEUS).reduce_options(newest)
    return told(panel.with_target(asked(0, Query(expr, title))), title, unit, description, look, steps)


def graph(
    title: str, unit: str, description: str, *queries: Query, look: Look, steps: Steps = (),
    width: int = HALF, is_stacked: bool = False,
) -> timeseries.Panel:
    """Return lines over time."""
    panel = _lines(is_stacked=is_stacked).span(width).datasource(PROMETHEUS)
    for at, query in enumerate(queries):
        panel.with_target(asked(at, query))
    if steps:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return told(panel, title, unit, description, look, steps)


def log_graph(
    title: str, unit: str, description: str, queries: Sequence[tuple[str, str]], *, look: Look,
) -> timeseries.Panel:
    """Return stacked numbers out of log lines, over time; a query is LogQL and what its series are called."""
    panel = _lines(is_stacked=True).span(HALF).datasource(LOKI)
    for at, (expr, legend) in enumerate(queries):
        query = loki.Dataquery().expr(expr).legend_format(legend).query_type("range")
        panel.with_target(query.ref_id(letter(at)).datasource(LOKI))
    return told(panel, title, unit, description, look)


def heat(title: str, description: str, expr: str, *, look: Look) -> heatmap.Panel:
    """Return a histogram of seconds over time from `sum by (le) (increase(...))`, exemplars as dots."""
    target = asked(0, Query(expr, "{{le}}", exemplars=True)).format(PromQueryFormat.HEATMAP)
    panel = (
        heatmap.Panel().span(HALF).height(HEIGHT).datasource(PROMETHEUS).with_target(target)
        .calculate(calculate=False)
        .scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LINEAR))
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(HeatmapCellLayout.AUTO))
        .exemplars_color("rgba(255,0,255,0.7)").show_legend().cell_gap(1)
    )
    return told(panel, title, "s", description, look)


def row(title: str) -> dashboard.Row:
    """Return a heading across the page."""
    return dashboard.Row(title)


def _lines(*, is_stacked: bool) -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(show_legend=True).calcs(["mean", "max", "lastNotNull"])
    panel = (
        timeseries.Panel().height(HEIGHT).min(0).line_width(1).fill_opacity(10)
        .gradient_mode(GraphGradientMode.NONE).show_points(VisibilityMode.NEVER)
        .legend(legend.display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if is_stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(60)
    return panel
