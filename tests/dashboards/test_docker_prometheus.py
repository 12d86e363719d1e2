"""Prometheus' own configuration, read by the promtool that Debian has."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess

import pytest
import yaml

from tests.dashboards.compose_files import DOCKER, ROOT, both, load

CONFIG = load(DOCKER / "prometheus" / "prometheus.yaml")


def without_newer_keys(config):
    """Return it without what Prometheus 2.42 does not know yet."""
    old = copy.deepcopy(config)
    old.pop("otlp")
    old["global"].pop("scrape_native_histograms")
    return old


def checked(config, folder):
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is missing: scripts/install-prometheus.sh brings it")
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [tool, "check", "config", "--syntax-only", str(folder / "prometheus.yaml")]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_promtool_reads_the_configuration(tmp_path):
    outcome = checked(without_newer_keys(CONFIG), tmp_path)
    assert outcome.returncode == 0, outcome.stderr


def test_promtool_finds_a_misspelt_key(tmp_path):
    wrong = without_newer_keys(CONFIG)
    wrong["scrape_configs"][0]["scrape_intervall"] = "10s"
    assert "scrape_intervall" in checked(wrong, tmp_path).stderr


def test_what_has_to_be_switched_on_is():
    (command,) = {tuple(stack.services["prometheus"]["command"]) for stack in both()}
    assert "--web.enable-otlp-receiver" in command
    assert "--enable-feature=exemplar-storage" in command
    assert CONFIG["global"]["scrape_native_histograms"] is True
    assert CONFIG["storage"]["exemplars"]["max_exemplars"] > 0


def test_every_rule_of_the_repository_is_mounted_where_it_is_looked_for():
    (pattern,) = CONFIG["rule_files"]
    folder, _, glob = pattern.rpartition("/")
    for stack in both():
        mounted = stack.mounted("prometheus", f"{folder}/x").parent
        assert mounted == ROOT / "dashboards" / "prometheus"
        assert list(mounted.glob(glob))


def test_single_queues_are_asked_for_by_family_and_not_all_of_them():
    jobs = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
    assert jobs["rabbitmq-detailed"]["params"]["family"] == ["queue_coarse_metrics", "queue_consumer_count"]
    assert not any("per-object" in str(job) for job in jobs.values())


def test_the_broker_has_the_plugin_that_is_scraped():
    enabled = (DOCKER / "rabbitmq" / "enabled_plugins").read_text()
    assert re.fullmatch(r"\[[a-z_,]+\]\.\n", enabled)
    assert "rabbitmq_prometheus" in enabled
