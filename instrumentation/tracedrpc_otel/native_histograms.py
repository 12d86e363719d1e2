"""Histograms that we count ourselves, where only our own outlets read them.

A measurement of the SDK's costs a call more than its spans: objects for it, a hash of its attributes,
three locks. Bound to its series once, it is a bisection and a few additions.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from time import time_ns
from typing import TYPE_CHECKING, NamedTuple, Protocol

from opentelemetry.trace import get_current_span

from tracedrpc_otel.tallies import LOCK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.metrics.export import Metric
    from opentelemetry.trace import SpanContext

    from tracedrpc_otel.instrument import Instrument
    from tracedrpc_otel.meters import SdkSeries
    from tracedrpc_otel.records import Attributes, Value
    from tracedrpc_otel.sink import LiveSpan

    Example = tuple[float, int, SpanContext]
    """A value, when it was recorded (wall clock, ns since 1970), and the span it is of."""


class Window(NamedTuple):
    """What a series was given in some stretch of time.

    Attributes:
        counts: of each bucket.
        total, least, most: of the values.
        examples: by bucket, the latest value that is of a sampled span.
    """

    counts: list[int]
    total: float
    least: float
    most: float
    examples: Mapping[int, Example]

    def then(self, later: Window) -> Window:
        """Return this and what came later as one."""
        return Window(
            [one + other for one, other in zip(self.counts, later.counts, strict=True)],
            self.total + later.total,
            min(self.least, later.least),
            max(self.most, later.most),
            {**self.examples, **later.examples},
        )


class NativeSeries:
    """Takes the values of one series; any thread.

    Args:
        home: whose series it is.
        attributes: what it is told apart by.
        theirs: the same series of the SDK, for readers that are not ours.

    Attributes:
        home, attributes: as given.
        started_ns: wall clock, ns since 1970.
    """

    __slots__ = (
        "_bounds", "_counts", "_examples", "_family", "_least", "_most", "_theirs", "_total", "attributes",
        "home", "started_ns",
    )

    def __init__(self, home: NativeHistogram, attributes: Attributes, theirs: SdkSeries) -> None:
        self.home = home
        self._family = home.family
        self._bounds = home.bounds
        self._theirs = theirs
        self.attributes = attributes
        self.started_ns = time_ns()
        self._begin()

    def _begin(self) -> None:
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0
        self._least, self._most = math.inf, -math.inf
        self._examples: dict[int, Example] = {}

    def record(self, value: float, live: LiveSpan | None) -> None:
        """Take a value, in seconds and not below zero, of a span; None is the current one."""
        span = get_current_span().get_span_context() if live is None else live.span_context
        place = bisect_left(self._bounds, value)
        with LOCK:
            self._counts[place] += 1
            self._total += value
            if value < self._least:  # noqa: PLR1730 - `min` takes three times as long
                self._least = value
            if value > self._most:  # noqa: PLR1730
                self._most = value
            if span.trace_flags & 1:
                self._examples[place] = (value, time_ns(), span)
        if self._family.is_shared:
            self._theirs.record(value, live)

    def take(self) -> Window | None:
        """Return what has come since the last time, or None when nothing has."""
        with LOCK:
            if self._most == -math.inf:
                return None
            window = Window(self._counts, self._total, self._least, self._most, self._examples)
            self._begin()
        return window


class NativeHistogram:
    """The series of one histogram.

    Args:
        family: all histograms of its provider.
        row: what it is.
        bounds: of its buckets.
    """

    def __init__(self, family: NativeHistograms, row: Instrument, bounds: tuple[float, ...]) -> None:
        self.family = family
        self.row = row
        self.bounds = bounds
        self._series: dict[frozenset[tuple[str, Value]], NativeSeries] = {}

    def series(self, attributes: Attributes, theirs: SdkSeries) -> NativeSeries:
        """Return the one series with these attributes."""
        key = frozenset(attributes.items())
        with LOCK:
            found = self._series.get(key)
            if found is None:
                found = self._series[key] = NativeSeries(self, attributes, theirs)
            return found

    def take(self) -> list[tuple[NativeSeries, Window]]:
        """Return what each series was given since the last time."""
        with LOCK:
            every = list(self._series.values())
        taken = [(series, series.take()) for series in every]
        return [(series, window) for series, window in taken if window is not None]


class Reader(Protocol):
    """Who tells what histograms were given."""

    def keep(self, series: NativeSeries, window: Window) -> None:
        """Take what a series was given; it is told once, or from then on, as this reader does."""
        ...

    def metrics(self, histograms: list[NativeHistogram]) -> list[Metric]:
        """Return what there is to tell now of these."""
        ...

    def restart(self) -> None:
        """Forget what there is."""
        ...


class NativeHistograms:
    """The histograms of one provider of ours.

    Attributes:
        is_shared: there is a reader that is not ours: the SDK is told each value as well.
    """

    def __init__(self) -> None:
        self.is_shared = False
        self._by_name: dict[str, NativeHistogram] = {}
        self._readers: list[Reader] = []
        self._reading = threading.Lock()

    def series(
        self, row: Instrument, bounds: tuple[float, ...], attributes: Attributes, theirs: SdkSeries,
    ) -> NativeSeries:
        """Return the one series of a histogram with these attributes; its first maker chooses the bounds."""
        with LOCK:
            home = self._by_name.get(row.name)
            if home is None:
                home = self._by_name[row.name] = NativeHistogram(self, row, bounds)
            return home.series(attributes, theirs)

    def names(self) -> set[str]:
        """Return what those histograms are called that have been given anything."""
        with LOCK:
            return set(self._by_name)

    def read_by(self, reader: Reader) -> None:
        """Let a reader have all that comes from now on."""
        self._readers.append(reader)

    def read(self, reader: Reader) -> list[Metric]:
        """Return what one of the readers has to tell now; the others keep theirs."""
        with self._reading:
            with LOCK:
                histograms = list(self._by_name.values())
            for histogram in histograms:
                for series, window in histogram.take():
                    for each in self._readers:
                        each.keep(series, window)
            return reader.metrics(histograms)

    def restart(self) -> None:
        """Begin without series, in a child process; whoever keeps one must ask again."""
        self._reading = threading.Lock()
        self._by_name = {}
        for reader in self._readers:
            reader.restart()


def histograms_of(provider: object) -> NativeHistograms | None:
    """Return those of a provider of ours, None of any other."""
    found = getattr(provider, "histograms", None)
    return found if isinstance(found, NativeHistograms) else None
