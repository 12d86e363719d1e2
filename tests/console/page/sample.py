"""What the sample console has stored: an hour of a small cloud, one trace of 10,000 spans, hostile names."""

from __future__ import annotations

import functools
import itertools
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.console.page.drafts import Draft, Json

if TYPE_CHECKING:
    from collections.abc import Callable

API, SCHEDULER, COMPUTE, CONDUCTOR, NEUTRON = (
    "nova-api", "nova-scheduler", "nova-compute", "nova-conductor", "neutron")
HUGE, HOSTILE, KINDS, WAITED, TIMED_OUT = ("f" * 32, "e" * 32, "a" * 32, "b" * 32, "c" * 32)
"""Trace ids: of 10,000 spans, of hostile names, of every kind of span, of a full pool, of a time-out."""

HOSTILE_TEXTS = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '"><svg onload=window.pwned=1>',
    "javascript:window.pwned=1",
    "'-window.pwned=1-'",
    "{{constructor.constructor('window.pwned=1')()}}",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    "<a href=https://evil.invalid/x>x</a><link rel=stylesheet href=//evil.invalid/y.css>",
    "\u202egnp.exe\u0000\u2028 ]]> --> </title></style></textarea>",
    "<style>@import '//evil.invalid/z.css'</style>",
)


@dataclass(frozen=True)
class Stored:
    """Everything, by what the API gives out."""

    now: int
    summaries: list[Json]
    traces: dict[str, Json]
    logs: list[Json]


@functools.cache
def stored() -> Stored:
    """Return the sample; the same one each time."""
    now = int(time.time() * 1_000_000)
    traces = {draft.trace_id: draft for draft in [*_traffic(now), *_special(now)]}
    logs = sorted((log for draft in traces.values() for log in draft.logs), key=lambda log: -log["at"])
    for number, log in zip(range(len(logs), 0, -1), logs, strict=True):
        log["id"] = number
    answers = {trace_id: _answer(draft) for trace_id, draft in traces.items()}
    summaries = sorted((_summary(answer) for answer in answers.values()), key=lambda row: -row["start"])
    return Stored(now, summaries, answers, logs)


def _special(now: int) -> list[Draft]:
    minute = 60_000_000
    rng = random.Random(2)
    makers: dict[str, Callable[[Draft], None]] = {
        KINDS: _boot, WAITED: _slow_pool, HUGE: _huge, HOSTILE: _hostile, TIMED_OUT: _times_out}
    drafts = []
    for at, (trace_id, fill) in enumerate(makers.items()):
        draft = Draft(trace_id, now - (at + 1) * minute, rng)
        fill(draft)
        drafts.append(draft)
    return drafts


def _traffic(now: int) -> list[Draft]:
    rng = random.Random(1)
    drafts = []
    for _ in range(420):
        draft = Draft(f"{rng.getrandbits(128):032x}", now - int(rng.uniform(6, 3500) * 1e6), rng)
        fill = rng.choices([_reboot, _boot, _slow_pool, _fails, _times_out], [60, 20, 6, 5, 2])[0]
        fill(draft)
        drafts.append(draft)
    return drafts


def _work(draft: Draft, ms: float) -> Callable[[Json, float], float]:
    def handler(server: Json, at: float) -> float:
        end = at + ms * draft.rng.lognormvariate(0, 0.4)
        method = server["name"].partition("/")[2]
        draft.span(server, server["service"], f"handle {method}", "INTERNAL", at, end)
        return end

    return handler


def _reboot(draft: Draft) -> None:
    draft.call(None, (API, COMPUTE), "reboot_instance", 0, _work(draft, 22), queue=draft.rng.expovariate(0.5))


def _boot(draft: Draft) -> None:
    def place(server: Json, at: float) -> float:
        handle = draft.span(server, SCHEDULER, "handle place_instance", "INTERNAL", at, at)
        end = draft.call(handle, (SCHEDULER, CONDUCTOR), "object_action", at + 0.6, _work(draft, 6))
        end = draft.call(handle, (SCHEDULER, COMPUTE), "build_instance", end + 1, build, queue=18.5, beats=4)
        draft.cast(handle, (SCHEDULER, NEUTRON), "update_port", end + 0.5)
        handle["duration"] = round(end + 2 - at, 3)
        return end + 2

    def build(server: Json, at: float) -> float:
        handle = draft.span(server, COMPUTE, "handle build_instance", "INTERNAL", at, at)
        end = draft.call(handle, (COMPUTE, NEUTRON), "allocate_network", at + 2, _work(draft, 35))
        for _ in range(3):
            end = draft.call(handle, (COMPUTE, CONDUCTOR), "object_action", end + 0.3, _work(draft, 3))
        handle["duration"] = round(end + 4 - at, 3)
        return end + 4

    draft.call(None, (API, SCHEDULER), "boot_instance", 0, place, queue=4.4)


def _slow_pool(draft: Draft) -> None:
    acquire, queue = draft.rng.uniform(60, 480), draft.rng.uniform(90, 700)
    end = draft.call(
        None, (API, COMPUTE), "resize_instance", 0, _work(draft, 80), queue=queue, acquire=acquire)
    root = draft.spans[0]
    root["why"] = (
        f"{end:.1f} ms: {acquire:.1f} waiting for a connection (1 of at most 1 in use, 2 waiting), "
        f"{queue:.1f} in queue '{COMPUTE}' and on the way there, 1.4 on the way back")
    root["attributes"] |= {"tracedrpc.why": root["why"], "tracedrpc.sampling.keep_reason": "slow"}


def _fails(draft: Draft) -> None:
    draft.call(None, (API, COMPUTE), "attach_volume", 0, _work(draft, 14))
    for span in draft.spans:
        if span["kind"] == "SERVER" or not span["depth"]:
            draft.fail(span, "nova.exception.VolumeNotFound", "Volume 5f1c could not be found.")


def _times_out(draft: Draft) -> None:
    draft.time_out(None, (API, COMPUTE), "migrate_instance", draft.rng.uniform(2000, 5000))


def _huge(draft: Draft) -> None:
    root = draft.span(None, API, "batch/reconcile", "CLIENT", 0, 20_000)
    at = 0.0
    for number in itertools.count():
        draft.call(root, (API, COMPUTE), f"sync_{number % 40}", at, _work(draft, 3))
        at += 9.7
        if len(draft.spans) >= 10_000:
            break
    root["duration"] = at
    draft.logs.clear()


def _hostile(draft: Draft) -> None:
    root = draft.span(None, HOSTILE_TEXTS[0], HOSTILE_TEXTS[1], "CLIENT", 0, 50)
    root["why"] = HOSTILE_TEXTS[1]
    root["phases"] = dict.fromkeys(HOSTILE_TEXTS[:3], 5.0)
    for at, text in enumerate(HOSTILE_TEXTS):
        span = draft.span(root, text, text, text, at * 4, at * 4 + 9)
        span.update(message=text, why=text, error=at % 2 == 0, version=text)
        span["attributes"] = dict.fromkeys(HOSTILE_TEXTS, text) | {"rpc.method": text}
        span["resource"] = {text: text, "service.name": text}
        span["events"] = [{"name": text, "at": span["start"] + 900, "attributes": {text: text}}]
        span["links"] = [{"trace": text, "span": text, "attributes": {text: text}}]
        draft.log(span, at * 4 + 1, "ERROR", text, **{text: text})
        draft.logs[-1]["level"] = text if at % 3 == 0 else "ERROR"


def _answer(draft: Draft) -> Json:
    spans = _tree_order(draft.spans)
    root = spans[0]
    critical = [{"id": root["id"], "from": root["start"], "to": root["start"] + 200}]
    critical += [
        {"id": span["id"], "from": span["start"], "to": span["start"] + round(span["duration"] * 1000)}
        for span in spans if span["kind"] == "INTERNAL" or span["name"].startswith("receive")]
    end = max(span["start"] + span["duration"] * 1000 for span in spans)
    return {
        "id": draft.trace_id, "start": root["start"], "duration": (end - root["start"]) / 1000,
        "spans": spans, "critical": critical[:400], "why": root["why"], "logs": len(draft.logs)}


def _tree_order(spans: list[Json]) -> list[Json]:
    children: dict[str, list[Json]] = {}
    for span in spans:
        children.setdefault(span["parent"], []).append(span)
    for family in children.values():
        family.sort(key=lambda span: span["start"])
    ordered, stack = [], list(reversed(children[""]))
    while stack:
        span = stack.pop()
        ordered.append(span)
        stack.extend(reversed(children.get(span["id"], [])))
    return ordered


def _summary(trace: Json) -> Json:
    spans, root = trace["spans"], trace["spans"][0]
    services: dict[str, list[int]] = {}
    for span in spans:
        share = services.setdefault(span["service"], [0, 0])
        share[0] += 1
        share[1] += span["error"]
    is_timeout = root["attributes"].get("error.type") == "MessagingTimeout"
    return {
        "id": trace["id"], "start": trace["start"], "duration": trace["duration"],
        "root": {"service": root["service"], "name": root["name"]}, "spans": len(spans),
        "errors": sum(span["error"] for span in spans), "why": root["why"],
        "services": [{"name": name, "spans": n, "errors": bad} for name, (n, bad) in services.items()],
        "outcome": "timeout" if is_timeout else "error" if root["error"] else "ok"}
