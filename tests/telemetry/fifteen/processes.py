"""Agents, as a test sees them: processes that obey, and what they say meanwhile."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
SOON_S = 30.0
"""Longest wait for what must happen; a busy machine is slow."""


class Fault(AssertionError):
    """A command failed in the agent; the text is its exception."""


class Agent:
    """A client, a server or both, in a process of its own.

    Args:
        service: its `service.name`.
        endpoint: where its telemetry goes, an OTLP endpoint.
        protocol: "http/protobuf" or "grpc".
        level: from which level on its log lines are told.
        program: the module of `programs` that it runs.
        variables: more of its environment.
    """

    def __init__(
        self, service: str, endpoint: str, protocol: str, level: str = "INFO", program: str = "agent",
        **variables: str,
    ) -> None:
        self.service = service
        self.said: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._futures: dict[int, Future[Any]] = {}
        self._has_ended = False
        module = f"tests.telemetry.fifteen.programs.{program}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps({"level": level})],
            env=environment(service, endpoint, protocol) | variables,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read, name=f"agent-{service}", daemon=True)
        self._reader.start()

    # ---- telling it ---------------------------------------------------------------------------

    def ask(self, do: str, **fields: Any) -> Future[Any]:
        """Give a command; the future has what came of it."""
        number = next(self._numbers)
        future: Future[Any] = Future()
        with self._changed:
            self._futures[number] = future
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"id": number, "do": do} | fields) + "\n")
            self._process.stdin.flush()
        return future

    def do(self, do: str, **fields: Any) -> Any:
        """Give a command and wait for what comes of it."""
        return self.ask(do, **fields).result(SOON_S)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def freeze(self) -> None:
        """Stop the process, all its threads, as a debugger would."""
        self._process.send_signal(signal.SIGSTOP)
        give_up = time.monotonic() + SOON_S
        while not self._is_frozen():
            assert time.monotonic() < give_up, f"{self.service} goes on"
            time.sleep(0.002)

    def _is_frozen(self) -> bool:
        states = [task.read_text() for task in Path(f"/proc/{self._process.pid}/task").glob("*/stat")]
        return all(state.rpartition(")")[2].split()[0] == "T" for state in states)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    # ---- hearing it ---------------------------------------------------------------------------

    def lines(self, event: str = "", msg_id: str = "") -> list[dict[str, Any]]:
        """Return its log lines: all, of an event, of a call."""
        with self._changed:
            told = [said for said in self.said if "log" in said]
        return [
            said for said in told
            if (not event or said["log"].split(" ")[0] == event)
            and (not msg_id or said["fields"].get("tracedrpc.msg_id") == msg_id)
        ]

    def wait_for(self, **fields: Any) -> dict[str, Any]:
        """Wait until it has said something with these fields, and return the last of it."""
        return self.wait_until(
            lambda said: all(said.get(key) == value for key, value in fields.items()), str(fields),
        )

    def wait_for_line(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait until it has logged an event with these fields."""
        return self.wait_until(
            lambda said: said.get("log", "").split(" ")[0] == event
            and all(said["fields"].get(key) == value for key, value in fields.items()),
            f"line {event} {fields}",
        )

    def wait_until(self, is_it: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until it has said what is meant, and return the last of it."""

        def told() -> list[dict[str, Any]]:
            return [said for said in self.said if is_it(said)]

        with self._changed:
            self._changed.wait_for(lambda: told() or self._has_ended, SOON_S)
            found = told()
        assert found, f"{self.service} never said {what}"
        return found[-1]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._hear(json.loads(line))
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
            for future in self._futures.values():
                future.set_exception(Fault(f"{self.service} has ended"))

    def _hear(self, said: dict[str, Any]) -> None:
        with self._changed:
            future = self._futures.pop(said["id"], None) if "id" in said else None
            self.said.append(said)
            self._changed.notify_all()
        if future is not None and "fault" in said:
            future.set_exception(Fault(said["fault"]))
        elif future is not None:
            future.set_result(said["result"])

    # ---- the end ------------------------------------------------------------------------------

    def ready(self) -> Self:
        """Wait until it obeys."""
        self.wait_for(ready=True)
        return self

    def close(self) -> None:
        """Let it end in good order, or else kill it."""
        self.thaw()
        try:
            self.ask("quit").result(SOON_S)
            self._process.wait(SOON_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(SOON_S)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.stdout.close()


def environment(service: str, endpoint: str, protocol: str) -> dict[str, str]:
    """Return the environment of a program whose telemetry goes to that endpoint, soon."""
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "TRACEDRPC_"))
    }
    return inherited | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / room) for room in (".", "instrumentation", "dashboards")),
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
    }
