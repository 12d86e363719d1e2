"""The soak, short: `make soak` runs ten minutes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import URL_VARIABLE
from tests.soak.run import Sample, verdicts

ROOT = Path(__file__).parents[2]
SECONDS = 20


@pytest.mark.timeout(SECONDS + 120)
def test_twenty_seconds_of_calls_with_a_dead_collector_leave_nothing_behind(rabbit_url):
    path = os.pathsep.join(str(ROOT / room) for room in (".", "instrumentation", "dashboards"))
    run = subprocess.run(
        [sys.executable, "-m", "tests.soak.run", "--seconds", str(SECONDS)], cwd=ROOT, check=False,
        capture_output=True, text=True, timeout=SECONDS + 90,
        env={**os.environ, URL_VARIABLE: rabbit_url, "PYTHONPATH": path},
    )
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]


def samples(**last):
    usual = {"at_s": 0.0, "calls": 0, "threads": 9, "sockets": 4, "files": 20, "rss_kb": 50_000}
    return [Sample(**usual)] * 6 + [Sample(**{**usual, "calls": 200_000, **last})] * 6


@pytest.mark.parametrize(("name", "value"), [("threads", 10), ("sockets", 5), ("files", 21)])
def test_one_more_of_anything_is_no_pass(name, value):
    held = verdicts(samples(**{name: value}))
    assert [what for what, (is_held, _) in held.items() if not is_held] == [name]


def test_two_megabytes_more_in_a_long_run_are_no_pass():
    assert not verdicts(samples(rss_kb=52_048))["memory"][0]


def test_what_stays_as_it_was_passes():
    assert all(is_held for is_held, _ in verdicts(samples()).values())
