"""What a compose file must be like. Each check returns a line for whatever is wrong, else none."""

from __future__ import annotations

import functools
import graphlib
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from tests.dashboards.compose_files import Stack, binds, load, named_volumes, texts

if TYPE_CHECKING:
    from pathlib import Path

SECRET: Final = re.compile(r"PASS|PASSWORD|COOKIE|SECRET|TOKEN")
PINNED: Final = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+(-[\w.]+)?")
ADDRESS: Final = re.compile(r"\b(?:https?://)?([a-z][a-z0-9-]*):(\d{2,5})\b")
NOBODY_WAITS_FOR: Final = {"traffic": "drives the others", "ready": "is itself the check, and ends"}
"""Services without a check of health, and why."""

PORTS_OF_IMAGES: Final = {
    "rabbitmq": {5672, 15672, 15692},
    "prom/prometheus": {9090},
    "grafana/grafana": {3000},
    "opensearchproject/opensearch": {9200},
}
"""Where images listen whose configuration does not say it."""


def schema_problems(stack: Stack, folder: Path) -> list[str]:
    """Compare with the schema of the compose specification, which catches what is misspelt."""
    file = folder / f"{stack.name}.json"
    file.write_text(json.dumps(stack.content))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    outcome = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return [] if outcome.returncode == 0 else [outcome.stdout + outcome.stderr]


def image_problems(stack: Stack) -> list[str]:
    """Every image has a whole version."""
    return [
        f"{name}: {service['image']} is not pinned to a version"
        for name, service in stack.services.items()
        if not PINNED.fullmatch(service["image"])
    ]


def port_problems(stack: Stack) -> list[str]:
    """Ports are published on loopback, once each, and somebody listens behind them."""
    problems, taken = [], set[str]()
    for name, service in stack.services.items():
        for entry in service.get("ports", ()):
            address, _, rest = entry.partition(":")
            outside, _, inside = rest.partition(":")
            if address != "127.0.0.1" or not inside:
                problems.append(f"{name}: {entry} is not on 127.0.0.1 alone")
            elif outside in taken:
                problems.append(f"{name}: port {outside} is published twice")
            elif int(inside) not in listens(stack, name):
                problems.append(f"{name}: nobody listens at {inside}")
            taken.add(outside)
    return problems


def mount_problems(stack: Stack) -> list[str]:
    """What is mounted exists and cannot be written to; volumes are declared and used."""
    problems, used = [], set[str]()
    for name, service in stack.services.items():
        used |= set(named_volumes(service))
        for source, target, mode in binds(service):
            if not (stack.folder / source).exists():
                problems.append(f"{name}: there is no {source} for {target}")
            if mode != "ro":
                problems.append(f"{name}: {target} could be written to")
    declared = set(stack.content["volumes"])
    problems += [f"volume {name} is not declared" for name in sorted(used - declared)]
    return problems + [f"volume {name} is not used" for name in sorted(declared - used)]


def health_problems(stack: Stack) -> list[str]:
    """Each service checks itself or is probed by `ready`; who is waited for can be."""
    problems = []
    probed = {host for text in texts(stack.services["ready"]["command"]) for host, _ in ADDRESS.findall(text)}
    for name, service in stack.services.items():
        if "healthcheck" not in service and name not in probed | set(NOBODY_WAITS_FOR):
            problems.append(f"{name}: nobody looks after its health")
        for other, how in service.get("depends_on", {}).items():
            if other not in stack.services:
                problems.append(f"{name}: waits for {other}, which is no service")
            elif how["condition"] == "service_healthy" and "healthcheck" not in stack.services[other]:
                problems.append(f"{name}: waits for the health of {other}, which has no check")
    return problems


def order_problems(stack: Stack) -> list[str]:
    """Nobody waits for somebody who waits for them."""
    waits = {name: set(service.get("depends_on", ())) for name, service in stack.services.items()}
    try:
        list(graphlib.TopologicalSorter(waits).static_order())
    except graphlib.CycleError as error:
        return [f"these wait for each other: {', '.join(sorted(set(error.args[1])))}"]
    return []


def limit_problems(stack: Stack) -> list[str]:
    """Nobody may take all memory, gain privileges, or stay down after a crash."""
    problems = []
    for name, service in stack.services.items():
        problems += [f"{name}: no {key}" for key in ("mem_limit", "restart") if key not in service]
        if "no-new-privileges:true" not in service.get("security_opt", ()):
            problems.append(f"{name}: may gain privileges")
    return problems


def secret_problems(stack: Stack) -> list[str]:
    """A secret comes from the environment, and without it nothing starts."""
    return [
        f"{name}: {key} is not required from the environment"
        for name, service in stack.services.items()
        for key, value in service.get("environment", {}).items()
        if SECRET.search(key) and not re.fullmatch(r"\$\{\w+:\?.+\}", str(value))
    ]


def required_variables(stack: Stack) -> set[str]:
    """Return the variables without which nothing starts."""
    return {name for text in texts(stack.content) for name in re.findall(r"\$\{(\w+):\?", text)}


def address_problems(stack: Stack, configs: dict[str, Any]) -> list[str]:
    """Every host and port that a configuration or a service's own settings name is somebody who listens.

    Args:
        stack: the stack.
        configs: the configurations, by a name for messages.
    """
    settings = {
        name: [service.get("environment"), service.get("command")] for name, service in stack.services.items()
    }
    named = [(where, found) for all_of in (settings, configs) for where, each in all_of.items()
             for found in sorted(_addresses(each))]
    names = stack.names()
    problems = [f"{where}: {host} is no service" for where, (host, _) in named if host not in names]
    return problems + [
        f"{where}: {service} does not listen at {port}"
        for where, (host, port) in named
        for service in names.get(host, ()) if port not in listens(stack, service)
    ]


def _addresses(config: Any) -> set[tuple[str, int]]:
    """Return (host, port) of all addresses, and of all names that DNS is asked for."""
    found = {(host, int(port)) for text in texts(config) for host, port in ADDRESS.findall(text)}
    if isinstance(config, list):
        return found.union(*map(_addresses, config))
    if not isinstance(config, dict):
        return found
    names = config.get("names", [config["hostname"]] if "hostname" in config else [])
    found |= {(name, config["port"]) for name in names if "port" in config}
    return found.union(*map(_addresses, config.values()))


def listens(stack: Stack, service: str) -> set[int]:
    """Return the ports where a service listens, from its configuration or by its image."""
    image = stack.services[service].get("image", "").partition(":")[0]
    if image in PORTS_OF_IMAGES:
        return PORTS_OF_IMAGES[image]
    return {port for file in _config_files(stack, service) for port in _opened_by(file)}


def _config_files(stack: Stack, service: str) -> list[Path]:
    files = [stack.folder / source for source, _, _ in binds(stack.services[service])]
    return [file for file in files if file.suffix == ".yaml" and file.is_file()]


@functools.cache
def _opened_by(file: Path) -> frozenset[int]:
    return frozenset(_ports(load(file)))


def _ports(config: Any) -> set[int]:
    """Return the ports that a configuration of collector, Jaeger or Loki opens."""
    if isinstance(config, list):
        return {port for each in config for port in _ports(each)}
    if not isinstance(config, dict):
        return set()
    found = {port for each in config.values() for port in _ports(each)}
    endpoint = str(config.get("endpoint", ""))
    if endpoint.startswith("0.0.0.0:"):
        found.add(int(endpoint.rpartition(":")[2]))
    if config.get("host") == "0.0.0.0":  # noqa: S104
        found.add(config["port"])
    if "http_listen_port" in config:
        found.add(config["http_listen_port"])
    return found
