"""Pipelines of the collectors and of Jaeger; each check is shown to fail on a broken copy."""

from __future__ import annotations

import copy
import re

import pytest

from tests.dashboards import pipelines
from tests.dashboards.compose_files import both

STACKS = {stack.name: stack for stack in both()}
CONFIGS = {
    f"{stack.name}-{service}": config
    for stack in STACKS.values() for service, config in pipelines.pipelines(stack).items()
}
COLLECTOR = CONFIGS["compose-otel-collector"]
JAEGER = CONFIGS["compose-jaeger"]


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


@pytest.mark.parametrize("check", [
    pipelines.component_problems, pipelines.connector_problems, pipelines.order_problems,
])
def test_the_pipelines_pass(config, check):
    assert check(config) == []


def _pipes(config):
    return config["service"]["pipelines"]


BREAKS = {
    "an exporter that is not defined": (
        pipelines.component_problems, lambda c: _pipes(c)["logs"]["exporters"].append("otlp_http/gone"),
        "exporters: otlp_http/gone is not defined",
    ),
    "a processor that is not used": (
        pipelines.component_problems, lambda c: c["processors"].update({"batch/two": {}}),
        "processors: batch/two is not used",
    ),
    "an extension that is not listed": (
        pipelines.component_problems, lambda c: c["service"].update(extensions=[]),
        "extensions: health_check is not used",
    ),
    "a connector that nothing comes out of": (
        pipelines.connector_problems, lambda c: _pipes(c)["metrics/spans"]["receivers"].pop(0),
        "span_metrics: no pipeline begins in it",
    ),
    "a connector that nothing goes into": (
        pipelines.connector_problems, lambda c: _pipes(c)["traces/in"]["exporters"].remove("forward/sample"),
        "forward/sample: no pipeline ends in it",
    ),
    "metrics made of logs": (
        pipelines.connector_problems, lambda c: _pipes(c)["logs"]["exporters"].append("span_metrics"),
        "span_metrics: takes ['logs', 'traces'] and gives ['metrics']",
    ),
    "traces sent on as logs": (
        pipelines.connector_problems, lambda c: _pipes(c)["logs"]["receivers"].append("forward/graph"),
        "forward/graph: takes ['traces'] and gives ['logs', 'traces']",
    ),
    "a batch in the middle": (
        pipelines.order_problems, lambda c: _pipes(c)["traces/sample"]["processors"].reverse(),
        "traces/sample: batch is not the last",
    ),
    "no look at the memory": (
        pipelines.order_problems, lambda c: _pipes(c)["logs"]["processors"].remove("memory_limiter"),
        "logs: takes what comes without a memory_limiter",
    ),
    "a look at the memory too late": (
        pipelines.order_problems, lambda c: _pipes(c)["traces/graph"]["processors"].append("memory_limiter"),
        "traces/graph: memory_limiter comes too late",
    ),
    "span metrics of what is left after sampling": (
        pipelines.order_problems, lambda c: _pipes(c)["traces/sample"]["exporters"].append("span_metrics"),
        "traces/sample: metrics are made of what is left after sampling",
    ),
}


@pytest.mark.parametrize(("check", "change", "said"), BREAKS.values(), ids=list(BREAKS))
def test_a_broken_pipeline_is_found(check, change, said):
    config = copy.deepcopy(COLLECTOR)
    change(config)
    assert check(config) == [said]


def test_names_of_old_are_found():
    config = copy.deepcopy(COLLECTOR)
    config["connectors"]["spanmetrics"] = config["connectors"].pop("span_metrics")
    for pipe in _pipes(config).values():
        for part in ("receivers", "exporters"):
            pipe[part] = ["spanmetrics" if name == "span_metrics" else name for name in pipe[part]]
    assert pipelines.component_problems(config) == ["connectors: nothing is called spanmetrics"]


# ---- Jaeger --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["compose-jaeger", "scale-jaeger"])
def test_jaeger_writes_to_and_asks_stores_that_it_has(name):
    assert pipelines.storage_problems(CONFIGS[name]) == []


@pytest.mark.parametrize("kind", ["traces", "traces_archive", "metrics"])
def test_a_store_that_is_asked_and_not_there_is_found(kind):
    config = copy.deepcopy(CONFIGS["scale-jaeger"])
    config["extensions"]["jaeger_query"]["storage"][kind] = "gone"
    assert f"jaeger_query: no {kind} called gone" in pipelines.storage_problems(config)


def test_a_store_that_is_written_to_and_not_there_is_found():
    config = copy.deepcopy(JAEGER)
    config["exporters"]["jaeger_storage_exporter"]["trace_storage"] = "gone"
    assert pipelines.storage_problems(config) == [
        "jaeger_storage_exporter: no traces called gone",
        "jaeger_query: looks in traces, and traces go to gone",
    ]


@pytest.mark.parametrize("name", ["compose", "scale"])
def test_what_the_monitor_tab_asks_for_is_made(name):
    sampler = CONFIGS.get(f"{name}-otel-sampler-1", COLLECTOR)
    assert pipelines.span_metrics_problems(sampler, CONFIGS[f"{name}-jaeger"]) == []


@pytest.mark.parametrize(("change", "said"), [
    (lambda s: s["histogram"].update(unit="s"), "unit and latency_unit differ"),
    (lambda s: s["histogram"].update(exponential=s["histogram"].pop("explicit")), "buckets are explicit"),
    (lambda s: s.update(namespace="spans"), "metric_namespace is another"),
    (lambda s: s.pop("resource_metrics_key_attributes"), "a restart would spoil counters"),
    (lambda s: s["exemplars"].update(enabled=False), "exemplars are off"),
])
def test_what_the_monitor_tab_would_not_find_is_found(change, said):
    config = copy.deepcopy(COLLECTOR)
    change(config["connectors"]["span_metrics"])
    (problem,) = pipelines.span_metrics_problems(config, JAEGER)
    assert said in problem


def test_jaeger_reads_the_page_settings_of_the_repository():
    for stack in STACKS.values():
        config = pipelines.pipelines(stack)["jaeger"]
        place = config["extensions"]["jaeger_query"]["ui"]["config_file"]
        assert stack.mounted("jaeger", place).name == "ui.json"


# ---- sampling ------------------------------------------------------------------------------------


def test_variables_of_a_collector_are_given_to_it():
    for stack in STACKS.values():
        for service in pipelines.pipelines(stack):
            text = stack.mounted(service, pipelines.PLACES[service]).read_text()
            wanted = set(re.findall(r"\$\{env:(\w+)\}", text))
            assert wanted <= set(stack.services[service].get("environment", {})), service


def test_a_trace_that_is_neither_told_to_be_kept_nor_failed_is_left_to_chance():
    policies = COLLECTOR["processors"]["tail_sampling"]["policies"]
    assert {policy["name"]: policy["type"] for policy in policies} == {
        "tracedrpc-says-keep": "string_attribute", "failed": "status_code", "rest": "probabilistic",
    }


def test_decisions_are_remembered_for_longer_than_spans():
    sampling = COLLECTOR["processors"]["tail_sampling"]
    assert min(sampling["decision_cache"].values()) > sampling["num_traces"]


def test_all_spans_of_a_trace_go_to_one_sampler_and_wait_for_it():
    front = CONFIGS["scale-otel-collector"]["exporters"]["load_balancing"]
    assert front["routing_key"] == "traceID"
    assert front["sending_queue"]["enabled"]
    assert front["retry_on_failure"]["enabled"]
    samplers = STACKS["scale"].names()[front["resolver"]["dns"]["hostname"]]
    assert samplers == ["otel-sampler-1", "otel-sampler-2"]
