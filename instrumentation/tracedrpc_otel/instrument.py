"""What is said of one metric."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an instrument is, in the words of OpenTelemetry's API."""

    HISTOGRAM = "Histogram"
    COUNTER = "ObservableCounter"
    UP_DOWN_COUNTER = "ObservableUpDownCounter"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric.

    Attributes:
        name, kind, unit, description: as OpenTelemetry has them.
        recorded: when a value is recorded, or what is looked at.
        attributes: all that a series may be told apart by; nothing else passes.
        buckets: upper bounds of a histogram, advice that a view overrides.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    recorded: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
