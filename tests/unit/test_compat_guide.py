"""The guide for those who come from oslo.messaging names tests; they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "migration.md").read_text()
NAMED = sorted(set(re.findall(r"`([a-z]+/test_\w+\.py::test_\w+)`", GUIDE)))
FAULTS = re.search(r"^## Faults of the original.*?(?=^## )", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_guide_names_tests():
    assert len(NAMED) > 20


@pytest.mark.parametrize("test", NAMED)
def test_a_test_that_the_guide_names_exists(test):
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_fault_of_the_original_names_its_test():
    rows = [line for line in FAULTS.group().splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) > 15
    assert not [row for row in rows[1:] if "test_" not in row]


def test_a_link_to_a_section_has_its_section():
    titles = re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", GUIDE)) <= anchors
