"""The processes of a run: servers, clients and the OTLP receiver, each ended by its own pid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.bench.cells import BENCH_VENV, CACHE, ROOT, Cell, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

START_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
SPARE_S = 90.0
"""What a client may take beside its warm-up and window: connecting, draining casts, flushing."""


class ChildError(Exception):
    """A child process failed; the text ends with what it wrote last."""


class Child:
    """A process that says one JSON line when it is up and ends when its input closes."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self._name = name
        self._log = CACHE / "logs" / f"{name}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.pid = self._process.pid

    def first_line(self) -> dict[str, int]:
        """Wait for the child's line.

        Raises:
            ChildError: it ended, or said nothing in time.
        """
        assert self._process.stdout is not None
        guard = threading.Timer(START_LIMIT_S, self._process.kill)
        guard.start()
        line = self._process.stdout.readline()
        guard.cancel()
        if not line:
            raise ChildError(f"{self._name} did not start: {self.last_words()}")
        return dict(json.loads(line))

    def result(self, limit_s: float) -> dict[str, float]:
        """Wait for the end and return the child's last line.

        Raises:
            ChildError: it failed or took longer than `limit_s`.
        """
        try:
            out, _ = self._process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise ChildError(f"{self._name} took over {limit_s:.0f} s") from None
        finally:
            self.stop()
        if self._process.returncode or not out.strip():
            raise ChildError(f"{self._name} failed: {self.last_words()}")
        return dict(json.loads(out.splitlines()[-1]))

    def last_words(self) -> str:
        """Return the last line of its standard error."""
        lines = self._log.read_text().split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no output")

    def stop(self) -> None:
        """End it: politely, then by force."""
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()


class Sink:
    """The running OTLP receiver."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def stats(self) -> dict[str, int]:
        """Return what has come in since the last time."""
        with urllib.request.urlopen(f"{self.url}/stats", timeout=60) as answer:  # noqa: S310 - ours
            return dict(json.load(answer))


@contextmanager
def running_sink() -> Iterator[Sink]:
    """Run the OTLP receiver."""
    command = [sys.executable, "-m", "tests.bench.otlp_sink"]
    child = Child("otlp-sink", command, clean_environment())
    try:
        yield Sink(child.first_line()["port"])
    finally:
        child.stop()


@dataclass(frozen=True, slots=True)
class Stage:
    """What both sides of a peer have in common."""

    peer: Peer
    url: str
    topic: str
    sink: Sink

    def command(self, side: str, *options: str) -> list[str]:
        """Return the command of one side, with the peer's own interpreter."""
        python = str(BENCH_VENV / "bin" / "python") if self.peer.stock else sys.executable
        url = urlsplit(self.url)._replace(scheme=self.peer.scheme).geturl()
        return [python, "-m", f"tests.bench.{self.peer.module}", side, url, self.topic, *options]

    def environment(self) -> dict[str, str]:
        """Return the environment of both sides: no telemetry settings but the peer's own."""
        values = clean_environment()
        if self.peer.tracing:
            values["TRACEDRPC_TRACING"] = self.peer.tracing
        if self.peer.exported:
            values["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.sink.url
            values["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
            values["OTEL_BSP_SCHEDULE_DELAY"] = "1000"  # the default 5 s would leave most windows out
        return values


@contextmanager
def running_server(stage: Stage) -> Iterator[Child]:
    """Run a peer's server.

    Raises:
        ChildError: it did not start.
    """
    child = Child(f"{stage.peer.name}-server", stage.command("server"), stage.environment())
    try:
        child.first_line()
        yield child
    finally:
        child.stop()


def run_client(stage: Stage, cell: Cell, settings: dict[str, float], server_pid: int) -> dict[str, float]:
    """Run a peer's client through one cell.

    Raises:
        ChildError: it failed or hung.
    """
    command = stage.command(
        "client",
        f"--mode={cell.mode}",
        f"--callers={cell.callers}",
        f"--seconds={settings['seconds']}",
        f"--warmup={settings['warmup_s']}",
        f"--server-pid={server_pid}",
    )
    child = Child(f"{stage.peer.name}-client", command, stage.environment())
    return child.result(settings["seconds"] + settings["warmup_s"] + SPARE_S)


def clean_environment() -> dict[str, str]:
    """Return our environment without anybody's telemetry settings."""
    unwanted = ("OTEL_", "TRACEDRPC_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
