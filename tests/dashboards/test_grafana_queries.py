"""Every query that dashboards, links and rules ask can be parsed, and names only what there is."""

from __future__ import annotations

import json
import re
import shlex

import promql_parser
import pytest

from tests.dashboards import committed, log_queries
from tests.dashboards.known_metrics import known, nodes
from tests.dashboards.log_queries import ATTRIBUTES
from tracedrpc import semconv
from tracedrpc.message import Stage

KNOWN = known()
PROMQL = {asked.expr for asked in committed.promql()} | {rule.expr for rule in committed.rules()}
LOGQL = sorted({asked.expr for asked in committed.asked() if asked.kind == "loki"})
JAEGER = [asked.query for asked in committed.asked() if asked.kind == "jaeger"]
VALUES = {
    semconv.TIMEOUT_PHASE: set(Stage),
    semconv.KEEP_REASON: {"slow", "error", "timeout", "late", "redelivered"},
    semconv.REDELIVERED: {"true", "false"},
    "error": {"true"},
}


@pytest.mark.parametrize("expr", sorted(PROMQL))
def test_promql_names_metrics_that_there_are_and_labels_that_they_have(expr: str) -> None:
    for node in nodes(expr):
        if isinstance(node, promql_parser.VectorSelector):
            labels = {matcher.name for matcher in node.matchers.matchers}
            assert labels <= KNOWN[str(node.name)], node.name


@pytest.mark.parametrize("expr", sorted(PROMQL))
def test_promql_groups_by_labels_that_one_of_its_metrics_has(expr: str) -> None:
    for node in nodes(expr):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            inside = [each for each in nodes(str(node.expr)) if isinstance(each,
                                                                           promql_parser.VectorSelector)]
            assert set(node.modifier.labels) <= set.union(*(set(KNOWN[str(each.name)]) for each in inside))


def test_a_misspelt_metric_or_label_would_be_found() -> None:
    assert "rpc_client_call_duration_seconds_bucket" in KNOWN
    assert "rpc_client_call_duration_bucket" not in KNOWN
    assert "queue" not in KNOWN["rpc_client_call_duration_seconds_bucket"]


def test_logql_is_what_grafana_s_own_grammar_takes() -> None:
    if not log_queries.can_parse():
        pytest.skip("LogQL was not parsed: Node.js is missing, or `make logql` was not run")
    assert log_queries.wrong(LOGQL) == []
    assert log_queries.wrong(['{service_name=~".+"} | | rpc_method="x"'])


@pytest.mark.parametrize("expr", LOGQL)
def test_logql_is_well_formed_and_names_fields_of_our_lines(expr: str) -> None:
    """Without Node.js too: brackets, quotes and every name."""
    assert log_queries.is_balanced(expr)
    assert log_queries.fields(expr) <= log_queries.FIELDS


@pytest.mark.parametrize("expr", LOGQL)
def test_logql_looks_for_events_that_are_documented(expr: str) -> None:
    documented = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`",
                                (committed.ROOT / "docs" / "events.md").read_text()))
    for text in re.findall(r'\|[~=] "([^"]*)"', expr):
        wanted = set(text.strip("^() ").split("|")) - {"message_[a-z]+"}
        assert wanted <= documented


@pytest.mark.parametrize("query", [pytest.param(query, id=json.dumps(query)[:120]) for query in JAEGER])
def test_a_search_for_traces_asks_for_attributes_that_spans_have(query: dict[str, object]) -> None:
    if query["queryType"] == "dependencyGraph":
        return
    assert query["service"] == "traffic"
    assert re.fullmatch(r"\d+m?s", str(query.get("minDuration", "1s")))
    for pair in shlex.split(str(query.get("tags", ""))):
        name, _, value = pair.partition("=")
        assert name in ATTRIBUTES | {"error"}
        assert value in VALUES.get(name, {value})


@pytest.mark.parametrize(("where", "url"), list(committed.links()))
def test_a_link_leads_to_explore_or_to_a_dashboard_of_ours(where: str, url: str) -> None:
    if url.startswith("/explore?"):
        assert committed.explored(url)[0] in {"loki", "jaeger"}
    else:
        uid = url.removeprefix("/d/").partition("?")[0]
        assert f"{uid}.json" in committed.dashboards(), where
