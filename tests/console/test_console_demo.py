"""The demo ends on the console's page, with a trace in which everything happens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.consoles import ask
from tests.console.test_demo import DEMO
from tracedrpc_console.terminal import is_watched

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/\?token=([\w-]+)#/trace/([0-9a-f]{32})")
EVERYTHING = (
    ("CLIENT", "demo.api/evacuate_host"), ("INTERNAL", "acquire connection"), ("CLIENT", "connect "),
    ("CLIENT", "publish demo:"), ("INTERNAL", "queue demo:"), ("SERVER", "demo.api/evacuate_host"),
    ("INTERNAL", "handle "), ("PRODUCER", "publish reply_"), ("CLIENT", "receive reply_"),
    ("PRODUCER", "cast "), ("PRODUCER", "fanout "), ("CONSUMER", "process "), ("CLIENT", "late reply "),
)


@contextmanager
def shown(*args: str) -> Iterator[tuple[subprocess.Popen[str], re.Match[str]]]:
    """Run the demo until its page stays; give its process and the parts of the address."""
    command = [*DEMO, "--once", "--stay", "--seconds", "0.5", *args]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUTF8": "1"},
    ) as demo:
        try:
            assert demo.stdout is not None
            text = ""
            for line in demo.stdout:
                text += line
                if "stays until" in line:
                    break
            address = ADDRESS.search(text)
            assert address, text
            yield demo, address
        finally:
            demo.kill()


def everything_of(trace: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is missing of EVERYTHING."""
    spans = [(each["kind"], each["name"]) for each in trace["spans"]]
    return [
        (kind, name) for kind, name in EVERYTHING
        if not any(kind == each[0] and each[1].startswith(name) for each in spans)
    ]


def test_the_page_has_a_trace_with_every_kind_of_span_its_logs_and_the_metrics(rabbit_url: str) -> None:
    with shown("--url", rabbit_url) as (demo, address):
        url, token, trace_id = address.groups()
        status, trace = ask(f"{url}/api/c/trace/{trace_id}", token)
        assert status == 200
        assert everything_of(trace) == []
        died = [each for each in trace["spans"] if "tracedrpc.timeout.phase" in each["attributes"]]
        assert [each["name"] for each in died] == ["demo.compute/snapshot_instance"]
        assert "evacuate_host" in trace["why"]
        logs = ask(f"{url}/api/c/trace/{trace_id}/logs", token)[1]["logs"]
        assert "call_timed_out" in {each["event"] for each in logs}
        assert {each["service"] for each in ask(f"{url}/api/c/pool", token)[1]["pools"]} >= {"api", "traffic"}
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0


def test_the_memory_driver_ends_on_the_page_too() -> None:
    with shown("--driver", "memory") as (demo, address):
        url, token, trace_id = address.groups()
        trace = ask(f"{url}/api/c/trace/{trace_id}", token)[1]
        assert everything_of(trace) == [("INTERNAL", "acquire connection"), ("CLIENT", "connect ")]
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0


def test_it_stays_only_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert is_watched()
    monkeypatch.setenv("CI", "true")
    assert not is_watched()
    monkeypatch.delenv("CI")
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert not is_watched()
