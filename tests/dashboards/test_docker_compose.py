"""The compose files of docker/, checked without Docker; each check is shown to fail on a broken copy."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.dashboards import compose_checks as checks
from tests.dashboards import pipelines
from tests.dashboards.compose_files import DOCKER, ROOT, Stack, both, load, merged

NO_ENGINE = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nowhere"}
STACKS = {stack.name: stack for stack in both()}


@pytest.fixture(params=STACKS)
def stack(request):
    return STACKS[request.param]


def broken(change) -> Stack:
    """Return the smaller stack with something changed in a copy of its services."""
    content = json.loads(json.dumps(STACKS["compose"].content))  # nothing shared by anchors is left
    change(content["services"])
    return Stack("broken", DOCKER, content)


def test_the_files_are_what_the_compose_specification_asks_for(stack, tmp_path):
    assert checks.schema_problems(stack, tmp_path) == []


def test_a_misspelt_key_is_found(tmp_path):
    wrong = broken(lambda services: services["loki"].update(mem_limits="1g"))
    assert "mem_limits" in checks.schema_problems(wrong, tmp_path)[0]


@pytest.mark.parametrize("check", [
    checks.image_problems, checks.port_problems, checks.mount_problems, checks.health_problems,
    checks.order_problems, checks.limit_problems, checks.secret_problems,
])
def test_the_stack_passes(stack, check):
    assert check(stack) == []


def put(service, **settings):
    """Return a change of a stack: settings of one service."""
    return lambda services: services[service].update(settings)


def wait(other, condition):
    """Return a change of a stack: the service `api` waits for another."""
    return lambda services: services["api"]["depends_on"].update({other: {"condition": condition}})


LOKI_DATA = "loki-data:/loki"
BREAKS = {
    "an image without a version": (
        checks.image_problems, put("jaeger", image="x/y:latest"), "jaeger: x/y:latest is not pinned",
    ),
    "an image with half a version": (
        checks.image_problems, put("loki", image="grafana/loki:3.7"), "grafana/loki:3.7 is not pinned",
    ),
    "a port open to the network": (
        checks.port_problems, put("loki", ports=["3100:3100"]), "loki: 3100:3100 is not on 127.0.0.1",
    ),
    "a port published twice": (
        checks.port_problems, put("jaeger", ports=["127.0.0.1:3000:16686"]), "port 3000 is published twice",
    ),
    "a port where nobody listens": (
        checks.port_problems, put("loki", ports=["127.0.0.1:3100:3101"]), "loki: nobody listens at 3101",
    ),
    "a mount of a file that is not there": (
        checks.mount_problems, put("loki", volumes=["./gone:/a:ro", LOKI_DATA]), "loki: there is no ./gone",
    ),
    "a mount that could be written to": (
        checks.mount_problems, put("loki", volumes=["./loki:/a", LOKI_DATA]), "loki: /a could be written to",
    ),
    "a volume nobody declared": (
        checks.mount_problems, put("otel-collector", volumes=["new:/a"]), "volume new is not declared",
    ),
    "a volume nobody uses": (checks.mount_problems, put("loki", volumes=[]), "volume loki-data is not used"),
    "a service nobody looks after": (
        checks.health_problems, lambda services: services["grafana"].pop("healthcheck"), "grafana: nobody",
    ),
    "a wait for a service that is not there": (
        checks.health_problems, wait("kafka", "service_started"), "api: waits for kafka",
    ),
    "a wait for a health that nobody checks": (
        checks.health_problems, wait("loki", "service_healthy"), "api: waits for the health of loki",
    ),
    "two that wait for each other": (
        checks.order_problems, put("rabbitmq", depends_on={"api": {}}), "each other: api, rabbitmq",
    ),
    "memory without a limit": (
        checks.limit_problems, lambda services: services["api"].pop("mem_limit"), "api: no mem_limit",
    ),
    "a service that may gain privileges": (
        checks.limit_problems, put("api", security_opt=[]), "api: may gain privileges",
    ),
    "a password in the file": (
        checks.secret_problems, put("rabbitmq", environment={"RABBITMQ_DEFAULT_PASS": "guest"}),
        "rabbitmq: RABBITMQ_DEFAULT_PASS",
    ),
    "a password with a default": (
        checks.secret_problems, put("grafana", environment={"GF_PASSWORD": "${GRAFANA_PASSWORD:-admin}"}),
        "grafana: GF_PASSWORD",
    ),
}


@pytest.mark.parametrize(("check", "change", "said"), BREAKS.values(), ids=list(BREAKS))
def test_what_is_wrong_is_found(check, change, said):
    (problem,) = set(check(broken(change))) - set(check(STACKS["compose"]))
    assert said in problem


# ---- who talks to whom ---------------------------------------------------------------------------


def test_every_address_in_a_configuration_is_a_service_that_listens_there(stack):
    assert checks.address_problems(stack, pipelines.configs(stack)) == []


@pytest.mark.parametrize(("address", "said"), [
    ({"endpoint": "http://tempo:4317"}, "front: tempo is no service"),
    ({"endpoint": "http://jaeger:14250"}, "front: jaeger does not listen at 14250"),
    ({"dns_sd_configs": [{"names": ["loki"], "port": 9}]}, "front: loki does not listen at 9"),
    ({"dns": {"hostname": "samplers", "port": 4317}}, "front: samplers is no service"),
])
def test_an_address_where_nobody_is_is_found(address, said):
    assert checks.address_problems(STACKS["compose"], {"front": address}) == [said]


def test_an_alias_stands_for_all_who_have_it():
    assert STACKS["scale"].names()["rabbitmq-nodes"] == ["rabbitmq", "rabbitmq-2", "rabbitmq-3"]
    assert STACKS["scale"].names()["otel-samplers"] == ["otel-sampler-1", "otel-sampler-2"]
    assert STACKS["compose"].names()["otel-samplers"] == ["otel-collector"]


# ---- the larger stack ----------------------------------------------------------------------------


def test_no_broker_waits_for_another_because_none_is_up_before_most_of_them_are():
    for name in ("rabbitmq", "rabbitmq-2", "rabbitmq-3"):
        assert "depends_on" not in STACKS["scale"].services[name]


def test_three_brokers_share_the_cookie_and_the_list_of_nodes():
    services = STACKS["scale"].services
    brokers = [services[name] for name in ("rabbitmq", "rabbitmq-2", "rabbitmq-3")]
    assert len({str(each["entrypoint"]) + str(each["environment"]) for each in brokers}) == 1
    cluster = (DOCKER / "rabbitmq" / "cluster.conf").read_text()
    nodes = re.findall(r"classic_config\.nodes\.\d+ = rabbit@(\S+)", cluster)
    assert nodes == [each["hostname"] for each in brokers]
    assert all("./rabbitmq/cluster.conf" in str(each["volumes"]) for each in brokers)


def test_the_examples_know_all_three_brokers_and_ask_for_quorum_queues():
    for name in ("api", "scheduler", "compute-1", "compute-2", "traffic"):
        environment = STACKS["scale"].services[name]["environment"]
        assert re.findall(r"@(rabbitmq[-\d]*):5672", environment["TRACEDRPC_TRANSPORT_URL"]) == [
            "rabbitmq", "rabbitmq-2", "rabbitmq-3",
        ]
        assert environment["TRACEDRPC_RABBIT_QUORUM_QUEUE"] == "true"
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-collector:4318"


def test_a_key_that_is_there_twice_is_found(tmp_path):
    (tmp_path / "twice.yaml").write_text("a: {b: 1, c: 2, b: 3}\n")
    with pytest.raises(yaml.YAMLError, match="twice"):
        load(tmp_path / "twice.yaml")


def test_files_are_put_together_as_compose_does():
    below = {"a": {"volumes": ["./x:/t:ro", "v:/w"], "command": ["1"], "environment": {"A": "1", "B": "1"}}}
    above = {"a": {"volumes": ["./y:/t:ro"], "command": ["2"], "environment": {"B": "2"}}}
    assert merged(below, above) == {
        "a": {"volumes": ["./y:/t:ro", "v:/w"], "command": ["2"], "environment": {"A": "1", "B": "2"}},
    }


# ---- the scripts ---------------------------------------------------------------------------------


def test_the_script_writes_every_variable_that_is_required(stack):
    script = (ROOT / "scripts" / "stack").read_text()
    written = set(re.search(r"for name in ([\w ]+);", script)[1].split())
    assert checks.required_variables(stack) <= written


@pytest.fixture
def copy_of_the_script(tmp_path):
    (tmp_path / "docker").mkdir()
    (tmp_path / "scripts").mkdir()
    return Path(shutil.copy(ROOT / "scripts" / "stack", tmp_path / "scripts"))


def test_passwords_are_made_once_and_are_their_owners_alone(copy_of_the_script):
    file = copy_of_the_script.parents[1] / "docker" / ".env"
    subprocess.run(["bash", copy_of_the_script, "env"], check=True, timeout=30)
    first = file.read_text()
    assert len(set(re.findall(r"^[A-Z_]+=([0-9a-f]{32})$", first, re.MULTILINE))) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    subprocess.run(["bash", copy_of_the_script, "env"], check=True, timeout=30)
    assert file.read_text() == first


def test_without_an_engine_nothing_is_begun(copy_of_the_script, tmp_path):
    outcome = subprocess.run(
        ["bash", copy_of_the_script, "up"],
        check=False, capture_output=True, text=True, timeout=30, env=NO_ENGINE,
    )
    assert outcome.returncode == 1
    assert "docker" in outcome.stderr
    assert not (tmp_path / "docker" / ".env").exists()


def test_without_an_engine_the_stack_test_says_plainly_that_it_did_not_run():
    outcome = subprocess.run(
        ["bash", str(ROOT / "scripts" / "stack-test")],
        check=False, capture_output=True, text=True, timeout=30, env=NO_ENGINE,
    )
    assert outcome.returncode == 0
    assert outcome.stdout.count("\n") == 1
    assert "did NOT run" in outcome.stdout
