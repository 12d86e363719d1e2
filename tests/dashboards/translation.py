"""OTLP points as the samples that Prometheus 3 makes of them (`UnderscoreEscapingWithSuffixes`)."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.telemetry.otlp_values import PointData

UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": "ratio"}
HISTOGRAM = ("_bucket", "_sum", "_count")


@dataclass(frozen=True, order=True)
class Series:
    name: str
    labels: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        inside = ",".join(f'{name}="{escaped(value)}"' for name, value in self.labels)
        return f"{self.name}{{{inside}}}"

    def has(self, **labels: str) -> bool:
        return labels.items() <= dict(self.labels).items()


@dataclass(frozen=True)
class Sample:
    series: Series
    value: float
    is_counter: bool


def metric_name(name: str, unit: str, *, is_counter: bool, is_gauge: bool = False) -> str:
    """The name of the family: for a histogram without `_bucket`, `_sum`, `_count`."""
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    words = [plain]
    suffix = UNITS.get(unit, "") if unit != "1" or is_gauge else ""
    if suffix and suffix not in plain.split("_"):
        words.append(suffix)
    if is_counter:
        words.append("total")
    return "_".join(words)


def samples(points: Iterable[PointData]) -> Iterator[Sample]:
    for point in points:
        labels = labels_of(point)
        if point.kind == "histogram":
            yield from histogram(point, labels)
            continue
        is_counter = point.is_monotonic
        name = metric_name(point.name, point.unit, is_counter=is_counter, is_gauge=point.kind == "gauge")
        yield Sample(series(name, labels), point.value, is_counter)


def histogram(point: PointData, labels: Mapping[str, str]) -> Iterator[Sample]:
    name = metric_name(point.name, point.unit, is_counter=False)
    bounds = [*map(text, point.bounds), "+Inf"]
    for bound, count in zip(bounds, itertools.accumulate(point.buckets), strict=True):
        yield Sample(series(f"{name}_bucket", {**labels, "le": bound}), count, is_counter=True)
    yield Sample(series(f"{name}_sum", labels), point.value, is_counter=True)
    yield Sample(series(f"{name}_count", labels), point.count, is_counter=True)


def labels_of(point: PointData) -> dict[str, str]:
    resource = point.origin.resource
    promoted = {key: resource[key] for key in ("service.name", "host.name") if key in resource}
    return {
        **{label(key): text(value) for key, value in (promoted | point.attributes).items()},
        "job": point.service,
        "instance": str(resource.get("service.instance.id", "")),
    }


def series(name: str, labels: Mapping[str, str]) -> Series:
    return Series(name, tuple(sorted((key, value) for key, value in labels.items() if value)))


def label(attribute: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


def text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


# ---- what others expose as text ------------------------------------------------------------------

LINE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
PAIR = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def exposed(page: str, **more: str) -> Iterator[Sample]:
    """The samples of a `/metrics` page, with the labels that a scrape adds."""
    counters = set(re.findall(r"^# TYPE (\S+) (?:counter|histogram)$", page, re.MULTILINE))
    for line in page.splitlines():
        found = LINE.fullmatch(line)
        if found is not None and not line.startswith("#"):
            name = found["name"]
            family = next((name.removesuffix(end) for end in HISTOGRAM if name.endswith(end)), name)
            labels = dict(PAIR.findall(found["labels"] or ""))
            yield Sample(series(name, labels | more), float(found["value"]), bool({name, family} & counters))
