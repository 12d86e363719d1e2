"""A client and a server in two processes: nothing is lost, nothing repeated, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.support import Site

HERE = Path(__file__).parent
CALLS = 10_000
THREADS = 16
MOST_S = 60.0
"""What ten thousand calls may take; a small idle machine needs a tenth of it."""


class Process:
    """A script of this folder that is spoken to by lines."""

    def __init__(self, script: str, *args: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def tell(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def line(self) -> str:
        line = self.process.stdout.readline()
        assert line, f"it ended with status {self.process.wait(10)}"
        return line.strip()

    def ask(self) -> dict[str, int]:
        self.tell("count")
        return json.loads(self.line())

    def end(self) -> int:
        self.process.stdin.close()
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self.process.wait()


@contextlib.contextmanager
def running(script, *args):
    process = Process(script, *args)
    try:
        yield process
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.end()


@pytest.mark.timeout(150)
def test_ten_thousand_calls_from_sixteen_threads(rabbit_url, topic, exchange, tmp_path):
    log = tmp_path / "executed"
    url = f"{rabbit_url}?control_exchange={exchange}"
    with running("server_process.py", url, topic, log) as server:
        assert server.line() == "ready"
        with running("client_process.py", url, topic, CALLS, THREADS) as client:
            client_before, server_before = json.loads(client.line()), server.ask()
            client.tell("go")
            client_after, server_after = json.loads(client.line()), server.ask()
            client_status = client.end()
        server_status = server.end()

    assert client_after.pop("wrong") == []
    took_s = client_after.pop("took_s")
    assert took_s < MOST_S

    executed = Counter(map(int, log.read_text().split()))
    assert sum(executed.values()) == CALLS + 100
    assert set(executed.values()) == {1}

    for before, after in ((client_before, client_after), (server_before, server_after)):
        assert after["threads"] <= before["threads"], (before, after)
        assert after["sockets"] <= before["sockets"], (before, after)
    assert (client_status, server_status) == (0, 0)
    Site(rabbit_url, topic, exchange).close()
