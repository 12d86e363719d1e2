"""Puts load on an RPC server and counts what came back; knows oslo.messaging and oslo.config only.

    python simulator.py rpc-server --url URL [--topic TOPIC] [--exchange NAME] [--server NAME] [--threads N]
    python simulator.py rpc-client --url URL [--topic TOPIC] [--exchange NAME] [--threads N] [--calls N]
                        [--casts N] [--fanouts N] [--size CHARACTERS] [--delay SECONDS] [--timeout SECONDS]

Each prints one JSON object when it has done; the server does so when it is told to end by SIGTERM or
SIGINT, or by the end of its standard input, and prints a line when it is ready. Run it with
`python -m tracedrpc.compat simulator.py ...` and it runs on tracedrpc.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import oslo_messaging
from oslo_config import cfg

COUNTED_IN_S = 20.0
"""How long the client waits for its last casts to be counted by the server."""
PERCENTILES = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def main() -> None:
    given = parsed()
    cfg.CONF([], project="simulator")
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=given.url)
    try:
        say({"rpc-server": serve, "rpc-client": load}[given.role](transport, given))
    finally:
        transport.cleanup()


def parsed() -> argparse.Namespace:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    roles = parser.add_subparsers(dest="role", required=True)
    server, client = roles.add_parser("rpc-server"), roles.add_parser("rpc-client")
    for each in (server, client):
        each.add_argument("--url", required=True)
        each.add_argument("--topic", default="simulator")
        each.add_argument("--exchange", default="simulator")
        each.add_argument("--threads", type=int, default=8)
    server.add_argument("--server", default="simulator-1")
    for name, default, what in (
        ("calls", 100, "calls, of all threads together"), ("casts", 0, "casts"),
        ("fanouts", 0, "fanout casts"),
        ("size", 100, "characters of an argument, and of the result of a call"),
    ):
        client.add_argument(f"--{name}", type=int, default=default, help=what)
    client.add_argument("--delay", type=float, default=0.0, help="seconds that the server takes for each")
    client.add_argument("--timeout", type=float, default=30.0, help="seconds a call may take")
    return parser.parse_args()


def say(fact: Any) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


# ---- server -----------------------------------------------------------------------------------


class Endpoint:
    """Works on what is sent, and counts it by the run that sent it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}

    def work(self, ctxt: dict[str, Any], run: str, kind: str, payload: str, delay: float) -> str:
        if delay:
            time.sleep(delay)
        with self._lock:
            self._counts.setdefault(run, Counter())[kind] += 1
        return payload

    def counted(self, ctxt: dict[str, Any], run: str) -> dict[str, int]:
        with self._lock:
            return dict(self._counts.get(run, {}))

    def total(self) -> dict[str, int]:
        """Return what was received of each kind, of all runs."""
        with self._lock:
            of_all = sum(self._counts.values(), Counter())
        return {kind: of_all[kind] for kind in ("call", "cast", "fanout")}


def serve(transport: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Serve until told to end; return what was received."""
    endpoint, ended = Endpoint(), threading.Event()
    target = oslo_messaging.Target(exchange=given.exchange, topic=given.topic, server=given.server)
    server = oslo_messaging.get_rpc_server(transport, target, [endpoint])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    server.start(override_pool_size=given.threads)
    say("ready")
    ended.wait()
    server.stop()
    server.wait()
    return {"role": given.role, "received": endpoint.total()}


# ---- client -----------------------------------------------------------------------------------


class Load:
    """What a client sends, and what comes of it.

    Attributes:
        latencies_ms: of the calls that were answered.
        errors: how often what went wrong.
    """

    def __init__(self, transport: Any, given: argparse.Namespace) -> None:
        target = oslo_messaging.Target(exchange=given.exchange, topic=given.topic)
        self._client = oslo_messaging.get_rpc_client(transport, target, timeout=given.timeout)
        self._everywhere = self._client.prepare(fanout=True)
        self._given = given
        self._run = uuid.uuid4().hex
        self._lock = threading.Lock()
        self.latencies_ms: list[float] = []
        self.errors: Counter[str] = Counter()

    def send(self, number: int, kind: str) -> None:
        """Send one request; the caller's thread waits for the answer of a call."""
        payload = f"{number}:".ljust(self._given.size, "x")
        args = {"run": self._run, "kind": kind, "payload": payload, "delay": self._given.delay}
        began_s = time.monotonic()
        try:
            if kind == "call":
                answer = self._client.call({}, "work", **args)
                self._answered(began_s, is_right=answer == payload)
            else:
                (self._everywhere if kind == "fanout" else self._client).cast({}, "work", **args)
        except Exception as error:  # noqa: BLE001 - it is counted
            self._failed(type(error).__name__)

    def _answered(self, began_s: float, *, is_right: bool) -> None:
        if not is_right:
            self._failed("another answer")
            return
        with self._lock:
            self.latencies_ms.append((time.monotonic() - began_s) * 1e3)

    def _failed(self, what: str) -> None:
        with self._lock:
            self.errors[what] += 1

    def counted(self, wanted: dict[str, int]) -> dict[str, int]:
        """Return what the server counts of this run, once it is as much as is wanted."""
        give_up = time.monotonic() + COUNTED_IN_S
        while True:
            found = self._client.call({}, "counted", run=self._run)
            is_all = all(found.get(kind, 0) >= count for kind, count in wanted.items())
            if is_all or time.monotonic() > give_up:
                return {kind: found.get(kind, 0) for kind in wanted}
            time.sleep(0.05)


def load(transport: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Send everything from the threads; return the summary."""
    sent = {"call": given.calls, "cast": given.casts, "fanout": given.fanouts}
    of_load = Load(transport, given)
    mixed = itertools.zip_longest(*([kind] * count for kind, count in sent.items()))
    kinds = [kind for group in mixed for kind in group if kind]
    began_s = time.monotonic()
    with ThreadPoolExecutor(given.threads) as pool:
        list(pool.map(of_load.send, range(len(kinds)), kinds))
    took_s = time.monotonic() - began_s
    received = of_load.counted(sent)
    return {
        "role": given.role,
        "sent": sent,
        "answered": len(of_load.latencies_ms),
        "received": received,
        "lost": sum(sent.values()) - sum(received.values()),
        "errors": dict(of_load.errors),
        "took_s": round(took_s, 3),
        "rate_per_s": round(len(kinds) / took_s, 1),
        "latency_ms": latency(of_load.latencies_ms),
    }


def latency(times_ms: list[float]) -> dict[str, float]:
    """Return percentiles, smallest and largest; empty without a call."""
    if not times_ms:
        return {}
    ordered = sorted(times_ms)
    last = len(ordered) - 1
    return {name: round(ordered[round(part * last)], 2) for name, part in PERCENTILES.items()}


if __name__ == "__main__":
    main()
