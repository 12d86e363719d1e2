"""Keeps the number of series small, whatever peers and applications put into names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracedrpc_otel.attributes import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tracedrpc._safe import SafeText
    from tracedrpc_otel.instrument import Instrument
    from tracedrpc_otel.records import Attributes

ERROR_LIMIT: Final = 100
"""Classes of exceptions that series tell apart, in this process; a peer can send any name."""
PEER_LIMIT: Final = 100
"""Broker nodes, as configured."""
TEMPLATE_LIMIT: Final = 1000
"""Destinations, without the names of servers."""
KEPT_LIMIT: Final = 4000
"""Attribute sets kept ready for one histogram; the SDK's own limit of series is 2000."""


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


class Series:
    """The attribute sets of one histogram, each built once: a set costs more than the look-up.

    Args:
        instrument: whose attributes they are; keys it does not list are left out.
        build: returns the attributes for a key, from the key alone.
    """

    __slots__ = ("_allowed", "_build", "_kept")

    def __init__(self, instrument: Instrument, build: Callable[..., Attributes]) -> None:
        self._allowed = frozenset(instrument.attributes)
        self._build = build
        self._kept: dict[tuple[Hashable, ...], Attributes] = {}

    def of(self, *key: Hashable) -> Attributes:
        """Return the attributes for a key; shared, and not to be changed."""
        attributes = self._kept.get(key)
        if attributes is None:
            built = self._build(*key)
            attributes = {name: value for name, value in built.items() if name in self._allowed}
            if len(self._kept) < KEPT_LIMIT:
                self._kept[key] = attributes
        return attributes
