"""Every row of the checklist of oslo.messaging's RPC half has a test, or a reason to have none."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
ROWS = tomllib.loads((TESTS / "checklist.toml").read_text())["row"]
APPLICABLE = [row for row in ROWS if "not_applicable" not in row]
NAMED = sorted({test for row in APPLICABLE for test in row["tests"]})


@cache
def functions_of(file):
    """Return the names of the test functions of a file, without importing it."""
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_there_are_66_rows_in_order():
    assert [row["number"] for row in ROWS] == list(range(1, 67))


@pytest.mark.parametrize("row", APPLICABLE, ids=lambda row: str(row["number"]))
def test_a_row_that_applies_names_a_test(row):
    assert row["item"]
    assert row["tests"]


@pytest.mark.parametrize("test", NAMED)
def test_a_test_that_is_named_exists(test):
    file, _, name = test.partition("::")
    assert name in functions_of(file)


def test_what_does_not_apply_says_why_and_is_little():
    excused = {row["number"]: row["not_applicable"] for row in ROWS if "not_applicable" in row}
    assert set(excused) == {48, 55, 66}
    assert all(len(reason) > 20 for reason in excused.values())
    assert not [row for row in ROWS if "not_applicable" in row and row.get("tests")]
