"""Calls do what they do, whatever telemetry a process has, and however that fails."""

from __future__ import annotations

import subprocess
import sys
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.telemetry.fifteen.processes import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

SURROUNDINGS = (
    "none", "sdk_only", "structlog_json", "structlog_text", "oslo_log", "otel_logs", "throwing_sdk",
    "throwing_log_handler", "throwing_log_handler_untraced", "throwing_structlog",
)

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def services(rabbit_url: str) -> Iterator[dict[str, Future[Done]]]:
    """Give a service in each of the surroundings, two of them at a time."""
    with ThreadPoolExecutor(2) as threads:
        yield {name: threads.submit(_run, name, rabbit_url) for name in SURROUNDINGS}


def _run(name: str, url: str) -> Done:
    topic = f"works-with-{uuid.uuid4().hex[:8]}"
    program = "tests.telemetry.fifteen.programs.surroundings"
    return subprocess.run(
        [sys.executable, "-m", program, name, url, topic],
        env=environment("surroundings", "http://127.0.0.1:1", "http/protobuf"), cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_service_works_in_any_surroundings(services: dict[str, Future[Done]], name: str) -> None:
    done = services[name].result(100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("fine\n")


def test_a_service_without_logging_set_up_is_silent(services: dict[str, Future[Done]]) -> None:
    done = services["none"].result(100)
    assert done.stdout == "fine\n"
    assert not done.stderr
