"""Keeps the number of series small, whatever peers and applications put into names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tracedrpc import semconv as names
from tracedrpc_otel.attributes import OTHER, TABLE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tracedrpc._safe import SafeText
    from tracedrpc_otel.instrument import Instrument
    from tracedrpc_otel.records import Attributes, Value

ERROR_LIMIT: Final = 100
"""Classes of exceptions that series tell apart, in this process; a peer can send any name."""
PEER_LIMIT: Final = 100
"""Broker nodes, as configured."""
TEMPLATE_LIMIT: Final = 1000
"""Destinations, without the names of servers."""
NAMED_LIMIT: Final = TABLE_LIMIT
"""Series of one histogram that methods and destinations tell apart: as many as spans have names."""
OTHER_LIMIT: Final = 100
"""Series beside those, told under `_OTHER` and apart only by how it went and where. (The SDK's own
limit is 2000, and what comes then loses all its attributes.)"""
KEPT_LIMIT: Final = 4000
"""Keys of one histogram for which the series is kept ready; a series may have several."""

Bound = TypeVar("Bound")

_NAMES: Final = frozenset({names.RPC_METHOD, names.DESTINATION_TEMPLATE})
_NODE: Final = frozenset({names.SERVER_ADDRESS, names.SERVER_PORT})
_STEPS: Final = (
    (NAMED_LIMIT, _NAMES, frozenset[str]()),
    (NAMED_LIMIT + OTHER_LIMIT - 10, _NAMES | {names.ERROR_TYPE}, _NODE),
)
"""Of a histogram with so many series, a new one is told with these values as `_OTHER` and without those.
What is left then, modes and status codes, has fewer than ten values."""


class Bounded:
    """Lets the first `limit` values pass and gives all later ones one name.

    Threads may at worst let one more pass each.
    """

    __slots__ = ("_limit", "_other", "_passed")

    def __init__(self, limit: int, other: SafeText = OTHER) -> None:
        self._limit = limit
        self._other = other
        self._passed: set[SafeText] = set()

    def of(self, value: SafeText) -> SafeText:
        """Return the value, or the name that stands for all that came too late."""
        if value in self._passed:
            return value
        if len(self._passed) >= self._limit:
            return self._other
        self._passed.add(value)
        return value


class Series(Generic[Bound]):
    """The series of one histogram, each made once: that costs more than the look-up.

    Args:
        instrument: whose they are; attributes it does not list are left out.
        build: returns the attributes for a key, from the key alone.
        bind: makes a series of its attributes.
    """

    __slots__ = ("_allowed", "_bind", "_build", "_kept", "_series")

    def __init__(
        self, instrument: Instrument, build: Callable[..., Attributes], bind: Callable[[Attributes], Bound],
    ) -> None:
        self._allowed = frozenset(instrument.attributes)
        self._build = build
        self._bind = bind
        self._kept: dict[tuple[Hashable, ...], Bound] = {}
        self._series: set[frozenset[tuple[str, Value]]] = set()

    def of(self, *key: Hashable) -> Bound:
        """Return the series for a key."""
        return self._kept.get(key) or self._make(key)

    def restart(self) -> None:
        """Make every series anew."""
        self._kept.clear()

    def _make(self, key: tuple[Hashable, ...]) -> Bound:
        made = self._bind(self._within_limits(self._build(*key)))
        if len(self._kept) < KEPT_LIMIT:
            self._kept[key] = made
        return made

    def _within_limits(self, built: Attributes) -> Attributes:
        attributes = {name: value for name, value in built.items() if name in self._allowed}
        for limit, hidden, omitted in _STEPS:
            if len(self._series) < limit or frozenset(attributes.items()) in self._series:
                break
            attributes = {
                name: OTHER if name in hidden else value
                for name, value in attributes.items() if name not in omitted
            }
        self._series.add(frozenset(attributes.items()))
        return attributes
