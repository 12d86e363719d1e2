"""The switches: what the environment says about telemetry. Read once, when a listener is made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class Detail(StrEnum):
    """How many spans a call has: none; CLIENT and SERVER; four; every phase."""

    OFF = "off"
    COMPACT = "compact"
    STANDARD = "standard"
    FULL = "full"


class Events(StrEnum):
    """Where events go: onto spans, into OpenTelemetry's logs, or both."""

    SPAN = "span"
    LOGS = "logs"
    DUP = "dup"


class ReplyWait(StrEnum):
    """How the wait for a reply is drawn: its last leg, as one long span, or not at all."""

    LEG = "leg"
    FULL = "full"
    OFF = "off"


class Relation(StrEnum):
    """How the span of a cast's receiver belongs to its sender's: as its child, or by a link."""

    PARENT = "parent"
    LINK = "link"


PREFIX: Final = "TRACEDRPC_"
VARIABLE: Final = PREFIX + "TRACING"
_ON: Final = frozenset({"on", "true", "1", "yes"})
_OFF: Final = frozenset({"off", "false", "0", "no"})
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The switches of one listener; each has its variable, `TRACEDRPC_<NAME>`.

    Attributes:
        tracing: how many spans a call has.
        phase_min_ms: a phase that took as long has its span even at detail `standard`; of a call of
            five times that and more, each that took a hundredth of it, and a millisecond.
        events: where events go.
        semconv: "oslo" adds the attribute names that oslo.messaging's own tracing and the
            instrumentation on PyPI use; "" adds none.
        metrics: whether metrics are recorded.
        long_buckets: whether histograms of calls have bounds at 30, 60 and 120 s too.
        reply_wait: how the wait for a reply is drawn.
        cast_trace_mode: how a cast's receiver belongs to its sender.
        fanout_trace_mode: how a fanout's receivers belong to their sender.
        native: whether we write our spans and count our histograms ourselves where `configure` made
            the provider; elsewhere the SDK does, always.
        capture: what else may be told, field by field: "args.<name>", "context.<key>", "result",
            "exception.message", "remote.traceback".
        baggage: keys of OpenTelemetry's baggage that may travel.
    """

    tracing: Detail = Detail.STANDARD
    phase_min_ms: float = 10.0
    events: Events = Events.SPAN
    semconv: str = ""
    metrics: bool = True
    long_buckets: bool = False
    reply_wait: ReplyWait = ReplyWait.LEG
    cast_trace_mode: Relation = Relation.PARENT
    fanout_trace_mode: Relation = Relation.PARENT
    native: bool = True
    capture: frozenset[str] = frozenset()
    baggage: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Return what `TRACEDRPC_*` says; an unknown word means the default: tracing must not break."""
        source = os.environ if environ is None else environ
        said = {name: source.get(f"{PREFIX}{name.upper()}", "").strip() for name in cls.__slots__}
        return cls(
            tracing=_choice(Detail, said["tracing"], Detail.STANDARD),
            phase_min_ms=_number(said["phase_min_ms"], 10.0),
            events=_choice(Events, said["events"], Events.SPAN),
            semconv=said["semconv"].lower(),
            metrics=said["metrics"].lower() not in _OFF,
            long_buckets=said["long_buckets"].lower() in _ON,
            reply_wait=_choice(ReplyWait, said["reply_wait"], ReplyWait.LEG),
            cast_trace_mode=_choice(Relation, said["cast_trace_mode"], Relation.PARENT),
            fanout_trace_mode=_choice(Relation, said["fanout_trace_mode"], Relation.PARENT),
            native=said["native"].lower() not in _OFF,
            capture=_words(said["capture"]),
            baggage=_words(said["baggage"]),
        )


def _choice(kind: type[Choice], word: str, default: Choice) -> Choice:
    try:
        return kind(word.lower()) if word else default
    except ValueError:
        return default


def _number(word: str, default: float) -> float:
    try:
        value = float(word)
    except ValueError:
        return default
    return value if value >= 0 else default


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def detail() -> Detail:
    """Return the detail asked for."""
    return Settings.from_environment().tracing


def is_disabled() -> bool:
    """Tell whether any of the switches, ours or OpenTelemetry's, is off."""
    disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return (
        detail() is Detail.OFF
        or is_sdk_disabled()
        or any(name.strip().lower() in {"tracedrpc", "*"} for name in disabled)
    )


def is_sdk_disabled() -> bool:
    """Tell whether OpenTelemetry's SDK is switched off as a whole."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
