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
from tracedrpc_otel.records import word

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc.clocks import Quality
    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc.telemetry import ConnectionInfo
    from tracedrpc_otel.instrument import Instrument
    from tracedrpc_otel.meters import Meters, SdkSeries
    from tracedrpc_otel.native_histograms import NativeSeries
    from tracedrpc_otel.queue_times import QueueTime
    from tracedrpc_otel.records import Attributes
    from tracedrpc_otel.sink import LiveSpan

NONE: Final = SafeText("")
"""Stands in a series' key for an attribute that it does not have."""


class Durations:
    """Records durations, in seconds.

    `live` is the operation's span, for exemplars; without one they are of the current span.

    Args:
        meters: makes the histograms.
        more_buckets: bounds to put after the advice for calls.
    """

    def __init__(self, meters: Meters, more_buckets: tuple[float, ...] = ()) -> None:
        self._errors = Bounded(ERROR_LIMIT)
        self._peers = Bounded(PEER_LIMIT, NONE)
        self._templates = Bounded(TEMPLATE_LIMIT)

        def series(
            row: Instrument, build: Callable[..., Attributes], more: tuple[float, ...] = (),
        ) -> Series[SdkSeries | NativeSeries]:
            return Series(row, build, meters.histogram(row, more))

        self._meters = meters
        self._calls = series(table.CLIENT_DURATION, self._call, more_buckets)
        self._requests = series(table.SERVER_DURATION, _request, more_buckets)
        self._sends = series(table.SEND_DURATION, self._send, more_buckets)
        self._processes = series(table.PROCESS_DURATION, _process, more_buckets)
        self._queues = series(table.QUEUE_DURATION, _queue)
        self._waits = series(table.WAIT_TIME, _wait)
        self._creations = series(table.CREATE_TIME, self._creation)

    def called(
        self, invocation: Invocation, method: SafeText, error_type: SafeText, status: SafeText,
        live: LiveSpan | None,
    ) -> None:
        """Record a call that ended; `NONE` is no error and no status."""
        if error_type:
            error_type = self._errors.of(error_type)
        elapsed_s = ((invocation.ended_ns or monotonic_ns()) - invocation.started_ns) / 1e9
        self._calls.of(method, error_type, status, invocation.peer).record(elapsed_s, live)

    def sent(
        self, invocation: Invocation, method: SafeText, error_type: SafeText, template: SafeText,
        live: LiveSpan | None,
    ) -> None:
        """Record a cast or fanout that ended."""
        if error_type:
            error_type = self._errors.of(error_type)
        elapsed_s = ((invocation.ended_ns or monotonic_ns()) - invocation.started_ns) / 1e9
        mode, template = invocation.request.mode, self._templates.of(template)
        series = self._sends.of(invocation.system, mode, template, method, error_type, invocation.peer)
        series.record(elapsed_s, live)

    def served(
        self, incoming: Incoming, method: SafeText, error_type: SafeText, template: SafeText,
        live: LiveSpan | None,
    ) -> None:
        """Record a request that was worked on."""
        if error_type:
            error_type = self._errors.of(error_type)
        timeline = incoming.timeline
        elapsed_s = ((timeline.replied_ns or monotonic_ns()) - timeline.delivered_ns) / 1e9
        if incoming.received.mode is Mode.CALL:
            self._requests.of(method, error_type).record(elapsed_s, live)
        else:
            series = self._processes.of(incoming.system, self._templates.of(template), method, error_type)
            series.record(elapsed_s, live)

    def queued(self, waited: QueueTime, template: SafeText, live: LiveSpan | None) -> None:
        """Record how long a request was in its queue."""
        self._queues.of(self._templates.of(template), waited.quality).record(waited.ns / 1e9, live)

    def waited(self, pool: str, result: str, waited_ns: int) -> None:
        """Record how long a thread waited for a connection, in its own context."""
        self._waits.of(pool, result).record(waited_ns / 1e9, None)

    def created(self, connection: ConnectionInfo) -> None:
        """Record how long a connection took to make, in the context of whoever made it."""
        self._creations.of(connection.purpose, connection.peer).record(connection.connect_ns / 1e9, None)

    def restart(self) -> None:
        """Begin from zero where we count ourselves."""
        self._meters.restart()
        for series in (
            self._calls, self._requests, self._sends, self._processes, self._queues, self._waits,
            self._creations,
        ):
            series.restart()

    # ---- series that name a broker ------------------------------------------------------------

    def _call(self, method: SafeText, error_type: SafeText, status: SafeText, peer: str) -> Attributes:
        return _call(method, error_type, status, self._peer(peer))

    def _send(
        self, system: str, mode: Mode, template: SafeText, method: SafeText, error_type: SafeText, peer: str,
    ) -> Attributes:
        return _send(system, mode, template, method, error_type, self._peer(peer))

    def _creation(self, purpose: str, peer: str) -> Attributes:
        return _creation(purpose, self._peer(peer))

    def _peer(self, peer: str) -> SafeText:
        return self._peers.of(safe(peer))


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


def _queue(template: SafeText, quality: Quality) -> Attributes:
    return {names.DESTINATION_TEMPLATE: template, names.QUEUE_QUALITY: word(quality)}


def _wait(pool: str, result: str) -> Attributes:
    return {names.POOL_NAME: safe(pool), names.POOL_RESULT: safe(result)}


def _creation(purpose: str, peer: SafeText) -> Attributes:
    return {names.PURPOSE: safe(purpose)} | address_attributes(peer)
