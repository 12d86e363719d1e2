"""What a configuration of the collector or of Jaeger must be like, found out without starting either.

Each check returns a line for whatever is wrong, none when all is well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.dashboards.compose_files import load

if TYPE_CHECKING:
    from tests.dashboards.compose_files import Stack

KNOWN: Final = {
    "receivers": {"otlp"},
    "processors": {"memory_limiter", "batch", "filter", "tail_sampling"},
    "exporters": {"otlp_grpc", "otlp_http", "prometheus", "load_balancing", "jaeger_storage_exporter"},
    "connectors": {"span_metrics", "service_graph", "forward"},
    "extensions": {"health_check", "jaeger_storage", "jaeger_query"},
}
"""Types as collector 0.153 and Jaeger 2 call them; what is not here is misspelt, or new: add it."""
MAKES_METRICS: Final = {"span_metrics", "service_graph"}
"""Connectors that take traces and give metrics; others give what they take."""
PLACES: Final = {
    "otel-collector": "/etc/otelcol-contrib/config.yaml",
    "otel-sampler-1": "/etc/otelcol-contrib/config.yaml",
    "otel-sampler-2": "/etc/otelcol-contrib/config.yaml",
    "jaeger": "/etc/jaeger/jaeger.yaml",
}
"""Who has pipelines, and where it reads them."""
OTHERS: Final = {
    "prometheus": "/etc/prometheus/prometheus.yaml",
    "loki": "/etc/loki/loki.yaml",
    "grafana": "/etc/grafana/provisioning/datasources/datasources.yaml",
}
"""Who else reads a file that names hosts."""


def pipelines(stack: Stack) -> dict[str, Any]:
    """Return the configurations with pipelines, by the service that reads them."""
    return _read(stack, PLACES)


def configs(stack: Stack) -> dict[str, Any]:
    """Return every configuration that a service of the stack reads."""
    return _read(stack, PLACES | OTHERS)


def _read(stack: Stack, places: dict[str, str]) -> dict[str, Any]:
    return {
        name: load(stack.mounted(name, place)) for name, place in places.items() if name in stack.services
    }


# ---- any configuration with pipelines --------------------------------------------------------------


def component_problems(config: dict[str, Any]) -> list[str]:
    """All that is used is defined, all that is defined is used, and of a type that there is."""
    problems = []
    for section, types in KNOWN.items():
        defined = set(config.get(section, {}))
        used = _used(config, section)
        problems += [f"{section}: {name} is not defined" for name in sorted(used - defined)]
        problems += [f"{section}: {name} is not used" for name in sorted(defined - used)]
        unknown = [name for name in sorted(defined) if _type(name) not in types]
        problems += [f"{section}: nothing is called {name}" for name in unknown]
    return problems


def _used(config: dict[str, Any], section: str) -> set[str]:
    if section == "extensions":
        return set(config["service"].get("extensions", ()))
    connectors = set(config.get("connectors", {}))
    pipes = config["service"]["pipelines"].values()
    if section == "connectors":
        return connectors & {name for pipe in pipes for name in (*pipe["receivers"], *pipe["exporters"])}
    return {name for pipe in pipes for name in pipe.get(section, ())} - connectors


def connector_problems(config: dict[str, Any]) -> list[str]:
    """A connector is the end of one pipeline and the beginning of another, of the right signals."""
    problems = []
    pipes = config["service"]["pipelines"]
    for name in config.get("connectors", {}):
        takes = {_type(pipe) for pipe, parts in pipes.items() if name in parts["exporters"]}
        gives = {_type(pipe) for pipe, parts in pipes.items() if name in parts["receivers"]}
        due = ({"traces"}, {"metrics"}) if _type(name) in MAKES_METRICS else (takes, takes)
        if not takes or not gives:
            problems.append(f"{name}: no pipeline {'begins' if takes else 'ends'} in it")
        elif (takes, gives) != due:
            problems.append(f"{name}: takes {sorted(takes)} and gives {sorted(gives)}")
    return problems


def order_problems(config: dict[str, Any]) -> list[str]:
    """Memory is looked after first, batches are made last, and nothing is counted after it was sampled."""
    problems = []
    for name, pipe in config["service"]["pipelines"].items():
        processors = pipe.get("processors", [])
        if "memory_limiter" in processors[1:]:
            problems.append(f"{name}: memory_limiter comes too late")
        has_limiter = "memory_limiter" in config["processors"]
        if has_limiter and "otlp" in pipe["receivers"] and "memory_limiter" not in processors:
            problems.append(f"{name}: takes what comes without a memory_limiter")
        if "batch" in processors[:-1]:
            problems.append(f"{name}: batch is not the last")
        if "tail_sampling" in processors and MAKES_METRICS & {_type(each) for each in pipe["exporters"]}:
            problems.append(f"{name}: metrics are made of what is left after sampling")
    return problems


def _type(name: str) -> str:
    return name.partition("/")[0]


# ---- facts that break copied configurations ---------------------------------------------------------


def span_metrics_problems(config: dict[str, Any], jaeger: dict[str, Any]) -> list[str]:
    """What the connector makes is what Jaeger's Monitor tab asks Prometheus for."""
    span_metrics = config["connectors"]["span_metrics"]
    histogram = span_metrics["histogram"]
    (backend,) = jaeger["extensions"]["jaeger_storage"]["metric_backends"].values()
    asks = backend["prometheus"]
    text_format = config["exporters"]["prometheus"]
    facts = {
        "span_metrics: Jaeger asks for ..._bucket, so buckets are explicit": "explicit" in histogram,
        "span_metrics: unit and latency_unit differ": histogram["unit"] == asks["latency_unit"],
        "span_metrics: metric_namespace is another": asks["metric_namespace"] == _namespace(span_metrics),
        "span_metrics: Prometheus adds _total": asks["normalize_calls"],
        "span_metrics: Prometheus adds the unit": asks["normalize_duration"],
        "span_metrics: a restart would spoil counters": (
            span_metrics.get("resource_metrics_key_attributes") == ["service.name"]
        ),
        "span_metrics: exemplars are off": span_metrics["exemplars"]["enabled"],
        "prometheus: only OpenMetrics has exemplars": text_format["enable_open_metrics"],
    }
    return [text for text, holds in facts.items() if not holds]


def _namespace(span_metrics: dict[str, Any]) -> str:
    return str(span_metrics.get("namespace", "traces.span.metrics")).replace(".", "_")


def storage_problems(jaeger: dict[str, Any]) -> list[str]:
    """Every store that Jaeger writes to or asks is one that it has."""
    extensions = jaeger["extensions"]
    traces = set(extensions["jaeger_storage"]["backends"])
    metrics = set(extensions["jaeger_storage"]["metric_backends"])
    asked = extensions["jaeger_query"]["storage"]
    written = jaeger["exporters"]["jaeger_storage_exporter"]["trace_storage"]
    problems = [
        f"jaeger_query: no {name} called {asked[name]}"
        for name in ("traces", "traces_archive") if name in asked and asked[name] not in traces
    ]
    if asked["metrics"] not in metrics:
        problems.append(f"jaeger_query: no metrics called {asked['metrics']}")
    if written not in traces:
        problems.append(f"jaeger_storage_exporter: no traces called {written}")
    if written != asked["traces"]:
        problems.append(f"jaeger_query: looks in {asked['traces']}, and traces go to {written}")
    return problems
