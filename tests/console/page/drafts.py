"""Traces and logs as tracedrpc makes them, as the page's JSON: calls that call, wait, fail and time out."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
VERSIONS = {"nova-api": "31.1.0", "nova-scheduler": "31.0.2", "nova-compute": "31.1.0", "neutron": "26.0.0"}


@dataclass
class Draft:
    """One trace in the making; times are milliseconds since its start."""

    trace_id: str
    start_us: int
    rng: random.Random
    spans: list[Json] = field(default_factory=list)
    logs: list[Json] = field(default_factory=list)

    def span(self, parent: Json | None, service: str, name: str, kind: str, start: float, end: float) -> Json:
        """Add a span."""
        made: Json = {
            "id": f"{self.rng.getrandbits(64):016x}", "parent": parent["id"] if parent else "",
            "service": service, "name": name, "kind": kind, "start": self.start_us + round(start * 1000),
            "duration": round(end - start, 4), "error": False, "message": "", "attributes": {}, "events": [],
            "links": [], "version": VERSIONS.get(service, "1.0.0"), "phases": None, "why": None,
            "missingParent": False, "depth": parent["depth"] + 1 if parent else 0,
            "resource": {"service.name": service, "service.instance.id": f"{service}-{len(service)}",
                         "service.version": VERSIONS.get(service, "1.0.0"), "host.name": "rack-7",
                         "process.pid": 4711, "telemetry.sdk.language": "python"},
        }
        self.spans.append(made)
        return made

    def log(self, span: Json, at: float, level: str, event: str, **attributes: Any) -> None:
        """Add a line about a span."""
        severity = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}[level]
        fields = " ".join(f"{key}={value}" for key, value in attributes.items())
        self.logs.append({
            "id": 0, "at": self.start_us + round(at * 1000), "level": level, "severity": severity,
            "service": span["service"], "event": event, "body": f"{event} {fields}".strip(),
            "trace": self.trace_id, "span": span["id"], "attributes": attributes,
        })

    def call(
        self, parent: Json | None, sides: tuple[str, str], method: str, at: float,
        handler: Callable[[Json, float], float], *, queue: float = 1.2, acquire: float = 0.1, beats: int = 0,
    ) -> float:
        """Add a call with its spans on both sides; return when it ended."""
        caller, callee = sides
        phases = {"prepare": 0.18, "acquire": acquire, "publish": 0.9, "queue": queue, "dispatch": 0.35}
        client = self.span(parent, caller, f"{callee}/{method}", "CLIENT", at, at)
        sent = at + 0.18 + acquire
        if acquire > 10:
            self.span(client, caller, "acquire connection", "INTERNAL", at + 0.18, sent)
        self.span(client, caller, f"publish nova:{callee}", "CLIENT", sent, sent + 0.9)
        sent += 0.9
        if queue > 10:
            self.span(client, callee, f"queue nova:{callee}", "INTERNAL", sent, sent + queue)
        begun = sent + queue
        server = self.span(client, callee, f"{callee}/{method}", "SERVER", begun, begun)
        ended = handler(server, begun + 0.35)
        phases |= {"handler": ended - begun - 0.35, "reply": 0.08, "return": 1.4, "wakeup": 0.3}
        phases["finish"] = 0.05
        _end(server, self.start_us, ended + 0.08)
        end = ended + 0.08 + 1.4 + 0.3 + 0.05
        self.span(client, caller, f"receive reply_{client['id']}", "CLIENT", end - 0.35, end - 0.05)
        _end(client, self.start_us, end)
        self._tell(client, server, phases, at, method)
        for beat in range(beats):
            self._beat(client, begun + (ended - begun) * (beat + 1) / (beats + 1), beat + 1)
        return end

    def _tell(self, client: Json, server: Json, phases: dict[str, float], at: float, method: str) -> None:
        mine = {f"tracedrpc.phase.{name}_ms": round(ms, 3) for name, ms in phases.items()}
        shared = {"rpc.system.name": "oslo.messaging", "rpc.method": client["name"],
                  "tracedrpc.msg_id": f"{self.rng.getrandbits(128):032x}", "tracedrpc.mode": "call"}
        client["attributes"] = shared | {"tracedrpc.timeout_ms": 60000, "server.address": "rabbit-1",
                                         "server.port": 5672} | mine
        server["attributes"] = shared | {"tracedrpc.queue": server["service"], "code.function.name": method}
        client["phases"] = {name: round(ms, 3) for name, ms in phases.items()}
        level = "WARN" if client["duration"] > 1000 else "DEBUG"
        self.log(client, at + client["duration"], level, "call_finished", **{
            "rpc.method": client["name"], "tracedrpc.elapsed_ms": round(client["duration"], 1)})
        self.log(server, at + client["duration"] - 1, level, "request_finished", **{
            "rpc.method": client["name"], "tracedrpc.redelivered": False})

    def _beat(self, client: Json, at: float, number: int) -> None:
        client["events"].append({"name": "heartbeat_received", "at": self.start_us + round(at * 1000),
                                 "attributes": {"tracedrpc.heartbeat.count": number}})
        self.log(client, at, "DEBUG", "heartbeat_received", **{"tracedrpc.heartbeat.count": number})

    def cast(self, parent: Json, sides: tuple[str, str], method: str, at: float, wait: float = 3.0) -> None:
        """Add a cast and its processing."""
        sender, taker = sides
        sent = self.span(parent, sender, f"cast {taker}/{method}", "PRODUCER", at, at + 0.8)
        begun = at + 0.8 + wait
        done = self.span(sent, taker, f"process {taker}/{method}", "CONSUMER", begun, begun + 4)
        attributes = {"rpc.method": f"{taker}/{method}", "tracedrpc.mode": "cast"}
        done["attributes"] = sent["attributes"] = attributes

    def fail(self, span: Json, error: str, message: str) -> None:
        """Make a span an error, with its event and its log line."""
        at = span["start"] - self.start_us + round(span["duration"] * 1000)
        span.update(error=True, message=message)
        span["attributes"]["error.type"] = error
        span["events"].append({"name": "exception", "at": self.start_us + at,
                               "attributes": {"exception.type": error}})
        fields = {"error.type": error, "rpc.method": span["name"]}
        self.log(span, at / 1000, "ERROR", "request_failed", **fields)

    def time_out(self, parent: Json | None, sides: tuple[str, str], method: str, limit: float) -> Json:
        """Add a call that nobody answers."""
        caller, callee = sides
        client = self.span(parent, caller, f"{callee}/{method}", "CLIENT", 0, limit)
        self.span(client, caller, f"publish nova:{callee}", "CLIENT", 0.4, 1.3)
        waited = self.span(client, caller, "receive reply_7c31", "CLIENT", 1.3, limit)
        why = (f"{limit:.1f} ms: the broker rabbit-1:5672 took it for queue '{callee}', no word of a server "
               "since; 41 messages wait there now, 2 consumers")
        client["phases"] = {"prepare": 0.2, "publish": 1.1, "remote": limit - 1.3}
        client["attributes"] = {"rpc.method": f"{callee}/{method}", "tracedrpc.mode": "call",
                                "tracedrpc.timeout.phase": "queue", "tracedrpc.why": why,
                                "tracedrpc.queue.messages": 41, "tracedrpc.queue.consumers": 2}
        client["why"] = why
        for span in (client, waited):
            span.update(error=True, message="MessagingTimeout")
            span["attributes"]["error.type"] = "MessagingTimeout"
        self.log(client, limit, "WARN", "call_timed_out", **{
            "rpc.method": f"{callee}/{method}", "tracedrpc.timeout.phase": "queue", "tracedrpc.why": why})
        return client


def _end(span: Json, origin_us: int, end_ms: float) -> None:
    span["duration"] = round(end_ms - (span["start"] - origin_us) / 1000, 4)
