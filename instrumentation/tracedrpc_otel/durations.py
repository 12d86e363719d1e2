"""The histograms: how long calls, requests and connections took, each value with the trace it is of."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc.message import Mode
from tracedrpc_otel import instruments as table
from tracedrpc_otel.cardinality import ERROR_LIMIT, PEER_LIMIT, TEMPLATE_LIMIT, Bounded, Series
from tracedrpc_otel.destinations import address_attributes

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc.telemetry import ConnectionInfo
    from tracedrpc_otel.meters import Meters
    from tracedrpc_otel.records import Attributes

NONE: Final = SafeText("")
"""Stands in a series' key for an attribute that it does not have."""


class Durations:
    """Records durations, in seconds.

    `context` is that of the operation's span: by it the SDK's exemplars find the trace, though
    the span may have ended, or never have been the current one.

    Args:
        meters: makes the histograms.
        more_buckets: bounds to put after the advice for calls.
    """

    def __init__(self, meters: Meters, more_buckets: tuple[float, ...] = ()) -> None:
        self._errors = Bounded(ERROR_LIMIT)
        self._peers = Bounded(PEER_LIMIT, NONE)
        self._templates = Bounded(TEMPLATE_LIMIT)
        self._called = meters.histogram(table.CLIENT_DURATION, more_buckets)
        self._served = meters.histogram(table.SERVER_DURATION, more_buckets)
        self._sent = meters.histogram(table.SEND_DURATION, more_buckets)
        self._processed = meters.histogram(table.PROCESS_DURATION, more_buckets)
        self._queued = meters.histogram(table.QUEUE_DURATION)
        self._waited = meters.histogram(table.WAIT_TIME)
        self._created = meters.histogram(table.CREATE_TIME)
        self._calls = Series(table.CLIENT_DURATION, _call)
        self._requests = Series(table.SERVER_DURATION, _request)
        self._sends = Series(table.SEND_DURATION, _send)
        self._processes = Series(table.PROCESS_DURATION, _process)
        self._queues = Series(table.QUEUE_DURATION, _queue)
        self._waits = Series(table.WAIT_TIME, _wait)
        self._creations = Series(table.CREATE_TIME, _creation)

    def called(
        self, invocation: Invocation, method: SafeText, error_type: SafeText, status: SafeText,
        context: Context | None,
    ) -> None:
        """Record a call that ended; `NONE` is no error and no status."""
        error_type, peer = self._bounded(error_type), self._peers.of(safe(invocation.peer))
        attributes = self._calls.of(method, error_type, status, peer)
        self._called.record(_elapsed_s(invocation), attributes, context)

    def sent(
        self, invocation: Invocation, method: SafeText, error_type: SafeText, template: SafeText,
        context: Context | None,
    ) -> None:
        """Record a cast or fanout that ended."""
        error_type, peer = self._bounded(error_type), self._peers.of(safe(invocation.peer))
        mode, system = invocation.request.mode, invocation.system
        attributes = self._sends.of(system, mode, self._templates.of(template), method, error_type, peer)
        self._sent.record(_elapsed_s(invocation), attributes, context)

    def served(
        self, incoming: Incoming, method: SafeText, error_type: SafeText, template: SafeText,
        context: Context | None,
    ) -> None:
        """Record a request that was worked on."""
        timeline = incoming.timeline
        elapsed_s = ((timeline.replied_ns or monotonic_ns()) - timeline.delivered_ns) / 1e9
        error_type = self._bounded(error_type)
        if incoming.received.mode is Mode.CALL:
            self._served.record(elapsed_s, self._requests.of(method, error_type), context)
        else:
            template = self._templates.of(template)
            attributes = self._processes.of(incoming.system, template, method, error_type)
            self._processed.record(elapsed_s, attributes, context)

    def queued(self, queued_ns: int, template: SafeText, quality: SafeText, context: Context | None) -> None:
        """Record how long a request was in its queue."""
        self._queued.record(queued_ns / 1e9, self._queues.of(self._templates.of(template), quality), context)

    def waited(self, pool: str, result: str, waited_ns: int) -> None:
        """Record how long a thread waited for a connection, in its own context."""
        self._waited.record(waited_ns / 1e9, self._waits.of(pool, result))

    def created(self, connection: ConnectionInfo) -> None:
        """Record how long a connection took to make, in the context of whoever made it."""
        attributes = self._creations.of(connection.purpose, self._peers.of(safe(connection.peer)))
        self._created.record(connection.connect_ns / 1e9, attributes)

    def _bounded(self, error_type: SafeText) -> SafeText:
        return error_type and self._errors.of(error_type)


def _elapsed_s(invocation: Invocation) -> float:
    return ((invocation.ended_ns or monotonic_ns()) - invocation.started_ns) / 1e9


# ---- what series are told apart by ------------------------------------------------------------


def _call(method: SafeText, error_type: SafeText, status: SafeText, peer: SafeText) -> Attributes:
    attributes = _request(method, error_type) | address_attributes(peer)
    if status:
        attributes[names.RPC_STATUS] = status
    return attributes


def _request(method: SafeText, error_type: SafeText) -> Attributes:
    attributes: Attributes = {names.RPC_SYSTEM: safe(names.SYSTEM_VALUE), names.RPC_METHOD: method}
    if error_type:
        attributes[names.ERROR_TYPE] = error_type
    return attributes


def _send(
    system: str, mode: Mode, template: SafeText, method: SafeText, error_type: SafeText, peer: SafeText,
) -> Attributes:
    attributes = _message(system, template, method, error_type) | address_attributes(peer)
    attributes[names.OPERATION_NAME] = safe(mode.value)
    attributes[names.OPERATION_TYPE] = safe("send")
    return attributes


def _process(system: str, template: SafeText, method: SafeText, error_type: SafeText) -> Attributes:
    attributes = _message(system, template, method, error_type)
    attributes[names.OPERATION_NAME] = attributes[names.OPERATION_TYPE] = safe("process")
    return attributes


def _message(system: str, template: SafeText, method: SafeText, error_type: SafeText) -> Attributes:
    attributes = _request(method, error_type)
    attributes[names.MESSAGING_SYSTEM] = safe(system)
    if template:
        attributes[names.DESTINATION_TEMPLATE] = template
    return attributes


def _queue(template: SafeText, quality: SafeText) -> Attributes:
    return {names.DESTINATION_TEMPLATE: template, names.QUEUE_QUALITY: quality}


def _wait(pool: str, result: str) -> Attributes:
    return {names.POOL_NAME: safe(pool), names.POOL_RESULT: safe(result)}


def _creation(purpose: str, peer: SafeText) -> Attributes:
    return {names.PURPOSE: safe(purpose)} | address_attributes(peer)
