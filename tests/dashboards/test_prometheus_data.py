"""Every panel and every rule has data in a real Prometheus that has seen the example services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser
import pytest

from tests.dashboards import committed
from tests.dashboards.known_metrics import RABBITMQ, RUNTIME, known, nodes
from tracedrpc_otel.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from tests.dashboards.prometheus_server import Prometheus
    from tests.dashboards.real_metrics import Told

LUCK = '{tracedrpc_timeout_phase="heartbeat_lost"}'
"""Whether the cut connections end a monitored call this way is a matter of milliseconds."""
COMPARISONS = {">", "<", ">=", "<=", "==", "!="}
NOT_SCRAPED = {"ALERTS"}
"""Prometheus makes these of the rules, which `promtool test rules` tries."""


@pytest.mark.parametrize("asked",
                         [pytest.param(each,
                                       id=f"{each.where}: {each.expr[:60]}") for each in committed.promql()])
def test_a_panel_has_data(prometheus: Prometheus, asked: committed.Asked) -> None:
    if "annotation" not in asked.where:
        assert prometheus.query(asked.expr), asked.expr


@pytest.mark.parametrize("rule", [pytest.param(each, id=each.name) for each in committed.rules()])
def test_a_rule_has_data_to_judge(prometheus: Prometheus, rule: committed.Rule) -> None:
    for expr in compared(promql_parser.parse(rule.expr)):
        if not metrics_of(expr) & NOT_SCRAPED:
            assert prometheus.query(expr.replace(LUCK, "")), expr


def test_every_metric_that_is_named_has_been_seen(prometheus: Prometheus) -> None:
    named = set.union(*(metrics_of(asked.expr) for asked in committed.promql()),
                      *(metrics_of(rule.expr) for rule in committed.rules()))
    unseen = {name for name in named if not prometheus.query(f"{{__name__={name!r}}}")}
    assert unseen <= NOT_SCRAPED


def test_services_and_broker_tell_what_the_tables_say(told: Told) -> None:
    labels: dict[str, set[str]] = {}
    for tick in told.ticks:
        for sample in tick:
            labels.setdefault(sample.series.name, set()).update(dict(sample.series.labels))
    tables = known()
    for name in (RABBITMQ.keys() | RUNTIME.keys()) - {"rabbitmq_global_messages_redelivered_total"}:
        assert tables[name] <= labels[name] | {"instance", "protocol", "queue_type"}, name


def test_histograms_behind_dots_have_exemplars_with_a_trace(told: Told) -> None:
    wanted = {one.name for one in INSTRUMENTS if one.name.endswith(("call.duration", "queue.duration",
                                                                    "process.duration"))}
    seen = {point.name for point in told.points for exemplar in point.exemplars if exemplar.trace_id}
    assert wanted <= seen


def compared(node: promql_parser.Expr) -> list[str]:
    """What an alert looks at: its operands, without the thresholds."""
    if isinstance(node, promql_parser.ParenExpr):
        return compared(node.expr)
    if not isinstance(node, promql_parser.BinaryExpr):
        return [] if isinstance(node, promql_parser.NumberLiteral) else [str(node)]
    if str(node.op) in COMPARISONS | {"and", "unless"}:
        return [*compared(node.lhs), *compared(node.rhs)]
    return [str(node)]


def metrics_of(expr: str) -> set[str]:
    return {str(node.name) for node in nodes(expr) if isinstance(node,
                                                                 promql_parser.VectorSelector) and node.name}
