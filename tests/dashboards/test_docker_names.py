"""Whatever the configurations of docker/ name, an attribute, a label or a metric, is what we emit."""

from __future__ import annotations

import re

import pytest

from docker import prove
from tests.dashboards import pipelines
from tests.dashboards.compose_files import DOCKER, ROOT, both, texts
from tests.dashboards.translation import metric_name
from tracedrpc import semconv
from tracedrpc_otel import answered, client_spans, late_replies
from tracedrpc_otel.instrument import Kind
from tracedrpc_otel.instruments import INSTRUMENTS
from tracedrpc_otel.sink import SCOPE_NAME

COMPOSE, SCALE = both()
CONFIGS = pipelines.configs(COMPOSE)
COLLECTOR = CONFIGS["otel-collector"]
ATTRIBUTES = {value for name, value in vars(semconv).items() if name.isupper()}
RESOURCE = {"service.name", "service.instance.id", "host.name"}
"""What `tracedrpc_otel.configure()` says of a process."""
PLACES = ("bucket", "sum", "count")


def given_by_the_stack() -> set[str]:
    """Return the resource attributes that the example services are started with."""
    pairs = COMPOSE.services["api"]["environment"]["OTEL_RESOURCE_ATTRIBUTES"].split(",")
    return {pair.partition("=")[0] for pair in pairs}


def emitted() -> set[str]:
    """Return the names that Prometheus gives our metrics."""
    found = set()
    for one in INSTRUMENTS:
        name = metric_name(one.name, one.unit, is_counter=one.kind is Kind.COUNTER)
        found |= {f"{name}_{place}" for place in PLACES} if one.kind is Kind.HISTOGRAM else {name}
    return found


def ours(text: str) -> set[str]:
    """Return the metrics of ours that a query names."""
    return set(re.findall(r"\b(?:rpc|tracedrpc|messaging)_[a-z0-9_]+(?=\W)", f"{text} "))


# ---- the collector -------------------------------------------------------------------------------


def test_span_metrics_have_dimensions_that_spans_have():
    assert {each["name"] for each in COLLECTOR["connectors"]["span_metrics"]["dimensions"]} <= ATTRIBUTES


def test_the_graph_names_a_peer_by_an_attribute_that_spans_have():
    assert set(COLLECTOR["connectors"]["service_graph"]["virtual_node_peer_attributes"]) <= ATTRIBUTES


def test_spans_left_out_of_the_graph_are_ours_and_belong_to_no_call():
    (condition,) = COLLECTOR["processors"]["filter/graph"]["traces"]["span"]
    assert re.findall(r'attributes\["(.+?)"\] == nil', condition) == [semconv.MODE]
    assert re.findall(r'instrumentation_scope\.name == "(.+?)"', condition) == [SCOPE_NAME]


def test_sampling_keeps_every_reason_that_spans_give_and_no_other():
    policies = {each["name"]: each for each in COLLECTOR["processors"]["tail_sampling"]["policies"]}
    policy = policies["tracedrpc-says-keep"]["string_attribute"]
    assert policy["key"] == semconv.KEEP_REASON
    modules = (answered, client_spans, late_replies)
    given = {
        str(getattr(module, name))
        for module in modules for name in ("_ERROR", "_TIMEOUT", "_SLOW", "_LATE", "_REDELIVERED")
        if hasattr(module, name)
    }
    assert set(policy["values"]) == given


# ---- Prometheus, Loki, Grafana -------------------------------------------------------------------


def test_labels_made_of_the_resource_are_what_processes_say_of_themselves():
    prometheus, loki = CONFIGS["prometheus"], CONFIGS["loki"]
    known = RESOURCE | given_by_the_stack()
    assert set(prometheus["otlp"]["promote_resource_attributes"]) <= known
    labels = loki["distributor"]["otlp_config"]["default_resource_attributes_as_index_labels"]
    assert set(labels) <= known
    assert "service.instance.id" not in labels


def test_names_are_translated_as_the_documentation_says():
    assert CONFIGS["prometheus"]["otlp"]["translation_strategy"] == "UnderscoreEscapingWithSuffixes"
    page = (ROOT / "docs" / "stack.md").read_text()
    examples = dict(re.findall(r"^\| `(\S+)` \| .* \| `(\S+?)`", page, re.MULTILINE))
    kinds = {one.name: one for one in INSTRUMENTS}
    assert len(examples) >= 4
    for name, translated in examples.items():
        one = kinds[name]
        assert metric_name(name, one.unit, is_counter=one.kind is Kind.COUNTER) == translated


def sources():
    return {each["uid"]: each for each in CONFIGS["grafana"]["datasources"]}


def test_sources_have_the_names_that_dashboards_use_and_lead_to_each_other():
    found = sources()
    assert set(found) == set(prove.SOURCES) == {"prometheus", "loki", "jaeger"}
    assert _leads_to(found["prometheus"]) == {"jaeger"}
    assert _leads_to(found["loki"]) == {"jaeger"}
    assert _leads_to(found["jaeger"]) == {"loki", "prometheus"}


def _leads_to(value) -> set[str]:
    if isinstance(value, list):
        return {uid for each in value for uid in _leads_to(each)}
    if not isinstance(value, dict):
        return set()
    own = {value["datasourceUid"]} if "datasourceUid" in value else set()
    return own | {uid for each in value.values() for uid in _leads_to(each)}


def test_the_way_from_a_span_to_metrics_goes_by_an_attribute_and_its_label():
    settings = sources()["jaeger"]["jsonData"]["tracesToMetrics"]
    for tag in settings["tags"]:
        assert tag["key"] in ATTRIBUTES
        assert tag["value"] == tag["key"].replace(".", "_")
    for query in settings["queries"]:
        assert ours(query["query"]) - {"rpc_method"}
        assert ours(query["query"]) <= emitted()


def test_provisioning_leaves_no_dollar_to_be_replaced():
    """Grafana replaces `$name` in these files by the environment; `$$` is a dollar."""
    text = (DOCKER / "grafana" / "provisioning" / "datasources" / "datasources.yaml").read_text()
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert re.findall(r"(?<!\$)\$(?!\$)", code) == []


@pytest.mark.parametrize("metric", prove.METRICS)
def test_what_is_proved_with_an_engine_is_what_we_emit(metric):
    assert ours(metric.partition("{")[0]) <= emitted()


def test_a_metric_that_nobody_emits_is_found():
    assert ours("sum(rate(rpc_client_seconds_count[5m]))") - emitted() == {"rpc_client_seconds_count"}


def test_queries_of_loki_look_for_the_trace_id_where_it_is():
    queries = [text for text in texts(sources()["jaeger"]) if "service_name" in text]
    assert queries == ['{service_name=~".+"} | trace_id="$${__trace.traceId}"']
