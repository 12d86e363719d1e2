"""Runs programs of a few lines in processes of their own: providers, exits and forks need one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tracedrpc

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCHES = ("OTEL_", "TRACEDRPC_")
LIMIT_S = 60


@dataclass(frozen=True)
class Ended:
    """What a program wrote, and how long it took."""

    stdout: str
    stderr: str
    seconds: float


def run(script: str, *arguments: str, command: tuple[str, ...] = (), **variables: str) -> Ended:
    """Run a script with warnings as errors and no switches but these; it must end with 0."""
    begun = time.monotonic()
    done = subprocess.run(
        [*command, sys.executable, "-W", "error", "-c", script, *arguments],
        env=environment(**variables), capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return Ended(done.stdout, done.stderr, time.monotonic() - begun)


def environment(**variables: str) -> dict[str, str]:
    """Return our environment without switches of telemetry, but with these variables."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(SWITCHES)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | variables


class Echo:
    """What the programs' server answers."""

    def echo(self, ctxt: Any, value: Any) -> Any:
        return value


@contextmanager
def echo_client(endpoint: Any = None, conf: Any = None, **options: Any) -> Iterator[Any]:
    """Give a client whose server runs in the same process, on the memory driver."""
    with tracedrpc.get_rpc_transport(conf, "memory://", **options) as transport:
        target = tracedrpc.Target(topic="compute", server="cn7")
        with tracedrpc.get_rpc_server(transport, target, [endpoint or Echo()], executor="threading"):
            yield tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic="compute"), timeout=10)
