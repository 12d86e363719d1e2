"""What the store gives out and is asked for: values, without a trace of SQL or protobuf."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc_console.spans import Event, Kind

Item = TypeVar("Item")


class Outcome(StrEnum):
    """How a trace ended, for its root."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Link:
    """A reference of a span to another one, of the same trace or of another."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span with all that was exported of it.

    Attributes:
        trace_id: 32 hex digits.
        span_id, parent_id: 16 hex digits; a root's parent is "".
        service: `service.name`, "unknown_service" when it does not say.
        kind: OpenTelemetry's kind.
        start_ns, end_ns: ns since 1970, by the clock of its host.
        is_error: whether its status is ERROR.
        status_message: the status' description.
        scope_name, scope_version: of the instrumentation.
        resource: the process's attributes.
    """

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: Kind
    start_ns: int
    end_ns: int
    is_error: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    status_message: str = ""
    scope_name: str = ""
    scope_version: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict)
    trace_state: str = ""

    @property
    def duration_ms(self) -> float:
        """How long it took; 0 when its clock was set back meanwhile."""
        return max(0, self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True, slots=True)
class ServiceShare:
    """What one service has in a trace."""

    name: str
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One row of a search.

    Attributes:
        root_service, root_name: of the span without a parent, or else of the first one.
        root_duration_ns: of that span.
        why: `tracedrpc.why` of that span, or "".
        orphans: spans whose parent has not arrived.
    """

    trace_id: str
    start_ns: int
    end_ns: int
    spans: int
    errors: int
    root_service: str
    root_name: str
    root_duration_ns: int
    services: tuple[ServiceShare, ...] = ()
    outcome: Outcome = Outcome.OK
    why: str = ""
    orphans: int = 0


@dataclass(frozen=True, slots=True)
class LogRow:
    """One log record.

    Attributes:
        id: counts up in the order of arrival; by it the tail is followed.
        severity: OpenTelemetry's number, 1 to 24; 0 when not told.
        level: its name, "INFO" and so on.
        event: the event's name, or "".
        body: the text; a body that is no text is its JSON.
    """

    id: int
    at_ns: int
    severity: int
    level: str
    service: str
    trace_id: str
    span_id: str
    event: str
    body: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """A service that has sent spans."""

    name: str
    spans: int
    errors: int
    last_ns: int
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """A span name of a service, with its kind."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls from one service to another in a stretch of time."""

    parent: str
    child: str
    calls: int
    errors: int


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call or cast as its sender saw it: the CLIENT or PRODUCER span, as far as tables need it.

    Attributes:
        mode: "call", "cast" or "fanout".
        version: `service.version` of the sender, or "".
        timeout_phase: where it died of a time-out, or "".
        phases: milliseconds by phase, see `tracedrpc.anatomy.Phase`.
    """

    trace_id: str
    method: str
    mode: str
    service: str
    version: str
    start_ns: int
    duration_ns: int
    is_error: bool = False
    error_type: str = ""
    timeout_phase: str = ""
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timing:
    """When one span began and how long it took: as much as rates and quantiles need."""

    service: str
    name: str
    start_ns: int
    duration_ns: int
    is_error: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One data point of a metric.

    Attributes:
        value: of a sum or gauge; of a histogram the sum.
        count: of a histogram; 0 else.
        buckets: (upper bound, count) of a histogram, not cumulative; the last bound is infinity.
    """

    at_ns: int
    value: float
    count: int = 0
    buckets: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one metric with one set of attributes, of one process, oldest first."""

    name: str
    unit: str
    service: str
    instance: str
    attributes: Mapping[str, Any]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a search, newest first; `next` continues it, None when there is no more."""

    items: tuple[Item, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceQuery:
    """Which traces; all that is given must hold. Spans of any service are looked at.

    Attributes:
        service, operation, kind, method, attributes: of one and the same span of the trace.
        text: words in names, attribute values and status texts, of any span.
        least_ns, most_ns: bounds of that span's duration; of the root's without such a span.
        from_ns, to_ns: when the trace began.
        before: `Page.next` of the page before.
    """

    service: str | None = None
    operation: str | None = None
    kind: Kind | None = None
    method: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    least_ns: int | None = None
    most_ns: int | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    outcome: Outcome | None = None
    errors_only: bool = False
    limit: int = 20
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which log records; all that is given must hold.

    Attributes:
        text: words, found in body, event and attribute values.
        least_severity: OpenTelemetry's number.
        after_id: only what arrived after this one, oldest first: for tailing.
        before: `Page.next` of the page before.
    """

    text: str | None = None
    service: str | None = None
    least_severity: int | None = None
    event: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    from_ns: int | None = None
    to_ns: int | None = None
    limit: int = 100
    before: str | None = None
    after_id: int | None = None


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How much there is.

    Attributes:
        bytes: size of the file and its log.
        oldest_ns, newest_ns: of what is kept; 0 when there is nothing.
        dropped: by signal ("traces", "logs", "metrics") and reason, since the start.
    """

    spans: int
    traces: int
    logs: int
    points: int
    bytes: int
    oldest_ns: int
    newest_ns: int
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
