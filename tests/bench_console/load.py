"""Exports as tracedrpc sends them, encoded once and sent again and again with new ids and times."""

from __future__ import annotations

import random
import struct
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

BATCH: Final = 512
SPANS_OF_TRACE: Final = 6
SERVICES: Final = ("nova-api", "nova-compute", "nova-scheduler", "neutron", "cinder")
METHODS: Final = tuple(
    f"{topic}/{verb}_{thing}"
    for topic in ("nova.compute", "nova.scheduler", "network.l3", "volume")
    for verb in ("reboot", "create", "attach", "list", "delete")
    for thing in ("instance", "port")
)
RARE: Final = "unobtainium"
"""A word that one trace in about two thousand has."""
_TIME: Final = 0xE7A1_0000_0000_0000
"""Stands for a time until a batch is sent; the low half numbers it."""
_ID: Final = b"\xe7\xa2\xe7\xa2"
_PHASES: Final = (
    "prepare", "acquire", "publish", "queue", "dispatch", "handler", "reply", "return", "wakeup", "finish",
)


class Batch:
    """One export; `fill` makes it a new one.

    Args:
        request: times are `_TIME` + n, ids begin with `_ID` and a number of four bytes.
        offsets: ns after the batch's begin, of each n.
        records: spans or log records in it.
    """

    def __init__(self, request: Any, offsets: list[int], records: int) -> None:
        self._body = bytearray(request.SerializeToString())
        self._times = [
            (self._body.index(struct.pack("<Q", _TIME + n)), offset) for n, offset in enumerate(offsets)
        ]
        self._ids = list(_places(self._body, _ID))
        self.records = records

    def fill(self, begin_ns: int, number: int) -> bytes:
        """Return the body with times from `begin_ns` on and ids that belong to `number`."""
        pack = struct.pack_into
        for place, offset in self._times:
            pack("<Q", self._body, place, begin_ns + offset)
        for place in self._ids:
            pack(">I", self._body, place, number)
        return bytes(self._body)


def span_batch(rng: random.Random) -> Batch:
    """Return a batch of traces of six spans each, of two services."""
    request = ExportTraceServiceRequest()
    scopes = [_scope(request.resource_spans, service).spans for service in SERVICES]
    offsets: list[int] = []
    records = 0
    while records + SPANS_OF_TRACE <= BATCH:
        _trace(rng, scopes, offsets, records // SPANS_OF_TRACE)
        records += SPANS_OF_TRACE
    return Batch(request, offsets, records)


def log_batch(rng: random.Random) -> Batch:
    """Return a batch of log records that belong to the traces of the span batch of the same number."""
    request = ExportLogsServiceRequest()
    scopes = [_scope(request.resource_logs, service, "scope_logs").log_records for service in SERVICES]
    offsets: list[int] = []
    for n in range(BATCH):
        trace = n // SPANS_OF_TRACE
        record = rng.choice(scopes).add()
        record.time_unix_nano = _time(offsets, n * 1_000_000 + rng.randrange(900_000))
        record.severity_number = rng.choice((5, 9, 9, 9, 9, 9, 13, 17))
        record.trace_id, record.span_id = _trace_id(trace), _span_id(trace, 0)
        record.body.string_value = (
            f"request {rng.randrange(10**6)} of tenant {rng.randrange(200)}: {rng.choice(METHODS)} took "
            f"{rng.randrange(900)} ms on host compute-{rng.randrange(40)}"
        )
        record.event_name = rng.choice(("call_finished", "request_finished", "connection_ready", ""))
        _put(record.attributes, "rpc.method", rng.choice(METHODS))
        _put(record.attributes, "tracedrpc.msg_id", f"{rng.getrandbits(128):032x}")
        _put(record.attributes, "tracedrpc.elapsed_ms", rng.random() * 100)
        _put(record.attributes, "code.function.name", "nova.compute.manager.reboot")
        if rng.randrange(2000) == 0:
            _put(record.attributes, "note", RARE)
    return Batch(request, offsets, BATCH)


def _scope(of_resources: Any, service: str, name: str = "scope_spans") -> Any:
    of_resource = of_resources.add()
    for key, value in (
        ("service.name", service), ("service.version", "29.0.1"), ("service.instance.id", f"{service}-1"),
        ("telemetry.sdk.language", "python"), ("telemetry.sdk.name", "opentelemetry"),
        ("host.name", "host-1"),
    ):
        _put(of_resource.resource.attributes, key, value)
    of_scope = getattr(of_resource, name).add()
    of_scope.scope.name, of_scope.scope.version = "tracedrpc", "0.1.0"
    return of_scope


def _trace(rng: random.Random, scopes: list[Any], offsets: list[int], trace: int) -> None:
    """Add a call: CLIENT with publish and receive, SERVER with handle and publish."""
    method = rng.choice(METHODS)
    at = trace * 6_000_000 + rng.randrange(5_000_000)
    took = int(rng.lognormvariate(16, 1))
    client, server = rng.sample(scopes, 2)
    is_error = rng.randrange(50) == 0
    root = _span(client, offsets, trace, 0, None, method, 3, at, took)
    _call_attributes(rng, root, method, took, is_error=is_error)
    _span(client, offsets, trace, 1, 0, "publish nova:compute.{server}", 3, at + 1000, took // 20)
    serving = _span(server, offsets, trace, 2, 0, method, 2, at + took // 4, took // 2)
    for key, value in (
        ("rpc.system.name", "oslo.messaging"), ("rpc.method", method), ("tracedrpc.mode", "call"),
        ("tracedrpc.queue", "nova.compute.host-1"), ("messaging.message.id", f"{rng.getrandbits(128):032x}"),
        ("tracedrpc.phase.dispatch_ms", rng.random()), ("tracedrpc.phase.handler_ms", took / 2e6),
    ):
        _put(serving.attributes, key, value)
    verb = method.partition("/")[2]
    _span(server, offsets, trace, 3, 2, f"handle {verb}", 1, at + took // 4 + 1000, took // 3)
    _span(server, offsets, trace, 4, 2, "publish reply_{id}", 4, at + took * 2 // 3, took // 50)
    _span(client, offsets, trace, 5, 0, "receive reply_{id}", 3, at + took * 9 // 10, took // 10)


def _call_attributes(rng: random.Random, root: Any, method: str, took: int, *, is_error: bool) -> None:
    for key, value in (
        ("rpc.system.name", "oslo.messaging"), ("rpc.method", method), ("tracedrpc.mode", "call"),
        ("tracedrpc.msg_id", f"{rng.getrandbits(128):032x}"), ("tracedrpc.timeout_ms", 60000),
        ("tracedrpc.server", f"compute-{rng.randrange(40)}"), ("server.address", "rabbit-1"),
        ("server.port", 5672),
        ("messaging.destination.template", "nova:compute.{server}"), ("tracedrpc.elapsed_ms", took / 1e6),
        ("tracedrpc.tenant", f"tenant-{rng.randrange(200)}"),
    ):
        _put(root.attributes, key, value)
    for phase in _PHASES:
        _put(root.attributes, f"tracedrpc.phase.{phase}_ms", rng.random() * 10)
    if is_error:
        root.status.code = 2
        root.status.message = "MessagingTimeout: no reply"
        _put(root.attributes, "error.type", "MessagingTimeout")
        _put(root.attributes, "tracedrpc.timeout.phase", "queue")
    if rng.randrange(2000) == 0:
        _put(root.attributes, "note", RARE)


def _span(
    spans: Any, offsets: list[int], trace: int, place: int, parent: int | None, name: str, kind: int,
    at: int, took: int,
) -> Any:
    span = spans.add()
    span.trace_id, span.span_id = _trace_id(trace), _span_id(trace, place)
    if parent is not None:
        span.parent_span_id = _span_id(trace, parent)
    span.name, span.kind, span.flags = name, kind, 257
    span.start_time_unix_nano = _time(offsets, at)
    span.end_time_unix_nano = _time(offsets, at + took)
    if place:
        _put(span.attributes, "messaging.system", "rabbitmq")
        _put(span.attributes, "messaging.destination.name", "nova.compute.host-1")
        _put(span.attributes, "tracedrpc.connection.id", f"c{trace % 20}")
    return span


def _time(offsets: list[int], offset: int) -> int:
    offsets.append(offset)
    return _TIME + len(offsets) - 1


def _trace_id(trace: int) -> bytes:
    return _ID + b"trace---" + trace.to_bytes(4)


def _span_id(trace: int, place: int) -> bytes:
    return _ID + (trace * 8 + place).to_bytes(4)


def _put(attributes: Any, key: str, value: object) -> None:
    pair = attributes.add()
    pair.key = key
    field = {str: "string_value", int: "int_value", float: "double_value", bool: "bool_value"}[type(value)]
    setattr(pair.value, field, value)


def _places(body: bytearray, pattern: bytes) -> Any:
    place = body.find(pattern)
    while place >= 0:
        yield place
        place = body.find(pattern, place + 1)
