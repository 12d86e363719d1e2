"""Recording rules and alerts: valid, tested, each with somebody who knows what to do."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import yaml

from tests.dashboards import committed
from tests.dashboards.prometheus_server import promtool as run_promtool

ALERTS = [pytest.param(rule, id=rule.name) for rule in committed.alerts()]
FILES = sorted(path.name for path in committed.RULES.glob("*.rules.yaml"))


@pytest.mark.usefixtures("promtool")
def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    assert "SUCCESS" in run_promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES)


@pytest.mark.usefixtures("promtool")
def test_alerts_fire_and_keep_quiet_as_their_unit_tests_say() -> None:
    assert "SUCCESS" in run_promtool("test", "rules", "alerts.test.yaml")


def test_every_alert_has_unit_tests_in_which_it_fires_and_in_which_it_does_not() -> None:
    tests = yaml.safe_load((committed.RULES / "alerts.test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fires = Counter(case["alertname"] for case in cases if case["exp_alerts"])
    quiet = Counter(case["alertname"] for case in cases if not case["exp_alerts"])
    assert fires.keys() == quiet.keys() == {rule.name for rule in committed.alerts()}


@pytest.mark.parametrize("rule", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_to_look(rule: committed.Rule) -> None:
    notes = rule.row["annotations"]
    assert rule.row["labels"]["severity"] in {"warning", "critical"}
    assert notes["summary"]
    assert notes["description"].endswith(".")
    assert f"{notes['dashboard'].removeprefix('/d/')}.json" in committed.dashboards()


@pytest.mark.parametrize("rule", ALERTS)
def test_an_alert_has_a_section_in_the_runbooks(rule: committed.Rule) -> None:
    page, _, anchor = rule.row["annotations"]["runbook_url"].partition("#")
    assert committed.ROOT / page == committed.RUNBOOKS
    assert sections()[anchor].count("\n") > 3


def test_every_section_of_the_runbooks_is_an_alert_s() -> None:
    assert sections().keys() == {rule.name.lower() for rule in committed.alerts()}


def test_names_of_rules_are_unique() -> None:
    names = [rule.name for rule in committed.rules()]
    assert len(set(names)) == len(names)


def sections() -> dict[str, str]:
    """The text of each section of docs/runbooks.md by its anchor."""
    _, *parts = re.split(r"^## ", committed.RUNBOOKS.read_text(), flags=re.MULTILINE)
    return {title.lower(): text for title, _, text in (part.partition("\n") for part in parts)}
