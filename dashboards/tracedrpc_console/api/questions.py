"""Query parameters, read once at the edge: text in, values out, or a sentence that says what is wrong."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from tracedrpc_console.spans import Kind
from tracedrpc_console.store.model import LogQuery, Outcome, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Choice = TypeVar("Choice", bound=StrEnum)

TRACES_MOST: Final = 500
LOGS_MOST: Final = 1000
_LONGEST: Final = 2000
"""Characters of one parameter; more is no question of a person's."""
_LATEST_US: Final = 2**63 // 1000 - 1
LEVELS: Final[Mapping[str, int]] = {
    "TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "WARNING": 13, "ERROR": 17, "FATAL": 21, "CRITICAL": 21,
}
"""The least severity number of each level, from OpenTelemetry's log data model."""


class BadQuestion(Exception):
    """A parameter that cannot be understood; the text says which and what it should be."""


class Question:
    """The parameters of one request.

    Args:
        pairs: names and values in their order; a name may come again.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(name, value.strip()) for name, value in pairs]
        for name, value in self._pairs:
            if len(value) > _LONGEST:
                raise BadQuestion(f"{name} is longer than {_LONGEST} characters")

    def text(self, name: str) -> str | None:
        """Return a parameter, None when it is missing or empty."""
        return next((value for key, value in self._pairs if key == name and value), None)

    def is_set(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return (self.text(name) or "0").lower() not in {"0", "false", "no", "off"}

    def limit(self, default: int, most: int) -> int:
        """Return how many items are asked for, `most` at the most."""
        return min(most, self._whole("limit", 1, 2**31) or default)

    def time_ns(self, name: str) -> int | None:
        """Return a time that is given in microseconds."""
        at_us = self._whole(name, 0, _LATEST_US)
        return None if at_us is None else at_us * 1000

    def window_ns(self, now_ns: int, first: str = "from", last: str = "to") -> tuple[int, int]:
        """Return a stretch of time; without its parameters all there is until now."""
        from_ns, to_ns = self.time_ns(first) or 0, self.time_ns(last)
        to_ns = now_ns if to_ns is None else to_ns
        if from_ns > to_ns:
            raise BadQuestion(f"{first} is later than {last}")
        return from_ns, to_ns

    def duration_ns(self, name: str) -> int | None:
        """Return a duration that is given in milliseconds."""
        value = self.text(name)
        if value is None:
            return None
        try:
            ns = float(value) * 1e6
        except ValueError:
            ns = -1.0
        if not 0 <= ns < 2**63:  # "nan" is not either
            raise BadQuestion(f"{name}={value!r} is no number of milliseconds")
        return int(ns)

    def attributes(self) -> dict[str, str]:
        """Return what `attr=key=value` asks for."""
        found = {}
        for value in (value for name, value in self._pairs if name == "attr" and value):
            key, sign, wanted = value.partition("=")
            if not sign or not key:
                raise BadQuestion(f"attr={value!r} is no key=value")
            found[key] = wanted
        return found

    def severity(self) -> int | None:
        """Return the least severity number of `level`, a name or a number."""
        level = self.text("level")
        if level is None:
            return None
        if level.upper() in LEVELS:
            return LEVELS[level.upper()]
        return self._whole("level", 1, 24)

    def traces(self) -> TraceQuery:
        """Return which traces are meant."""
        return TraceQuery(
            service=self.text("service"), operation=self.text("operation"), kind=self._choice("kind", Kind),
            method=self.text("method"), attributes=self.attributes(), text=self.text("q"),
            least_ns=self.duration_ns("min"), most_ns=self.duration_ns("max"),
            from_ns=self.time_ns("from"), to_ns=self.time_ns("to"),
            outcome=self._choice("outcome", Outcome), errors_only=self.is_set("errors"),
            limit=self.limit(20, TRACES_MOST), before=self.text("before"),
        )

    def logs(self) -> LogQuery:
        """Return which log records are meant."""
        return LogQuery(
            text=self.text("q"), service=self.text("service"), least_severity=self.severity(),
            event=self.text("event"), trace_id=self.text("trace"), span_id=self.text("span"),
            attributes=self.attributes(), from_ns=self.time_ns("from"), to_ns=self.time_ns("to"),
            limit=self.limit(100, LOGS_MOST), before=self.text("before"),
            after_id=self._whole("after", 0, 2**63 - 1),
        )

    def _whole(self, name: str, least: int, most: int) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not value.isascii() or not value.isdecimal() or not least <= int(value) <= most:
            raise BadQuestion(f"{name}={value!r} is no whole number from {least} on")
        return int(value)

    def _choice(self, name: str, choices: type[Choice]) -> Choice | None:
        value = self.text(name)
        if value is None:
            return None
        for choice in choices:
            if choice.value.lower() == value.lower():
                return choice
        raise BadQuestion(f"{name}={value!r} is none of {', '.join(choices)}")
