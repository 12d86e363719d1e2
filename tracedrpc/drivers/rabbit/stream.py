"""Where one server stands in a fanout stream."""

from __future__ import annotations

from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, Final

from tracedrpc._deadline import FOREVER_S, Deadline
from tracedrpc.drivers.rabbit.topology import OFFSET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracedrpc.drivers.rabbit.link import Delivery, Link

PATIENCE_S: Final = 10.0
"""How long the message that was seen last may take to come again after a lost connection."""
SLACK_S: Final = 60.0
"""How far before a noticed loss to begin in a new stream; what comes twice is known by its id."""


class StreamPosition:
    """Begins to consume a stream where this server left off. Belongs to the listener's thread.

    A stream keeps its messages, and each consumer says where to begin: at first with the next
    message, as a new fanout queue would; after a loss with the last message seen, to see that it is
    still the same stream. If it was deleted and made anew meanwhile, RabbitMQ would not deliver
    anything before the new one has grown as long; so then the server begins by time.
    """

    def __init__(self, queue: str, clock: Callable[[], float] = time) -> None:
        self._queue = queue
        self._clock = clock
        self._since_s = 0.0
        self._lost_s = 0.0
        self._offset: int | None = None
        self._body = b""
        self._expected: Deadline | None = None
        self._known: Delivery | None = None

    def begin(self) -> dict[str, Any]:
        """Return the arguments of the consumer that begins now."""
        if not self._since_s:
            self._since_s = self._clock()
            return {OFFSET: "next"}
        if self._offset is None:
            return self._by_time()
        self._lost_s = self._lost_s or self._clock()
        self._expected = Deadline.after(PATIENCE_S)
        return {OFFSET: self._offset}

    def _by_time(self) -> dict[str, Any]:
        return {OFFSET: datetime.fromtimestamp(self._since_s, UTC)}

    def lost(self) -> None:
        """Note that the connection is gone."""
        self._lost_s = self._clock()

    def passed(self, started: Sequence[Delivery]) -> None:
        """Note what has been acknowledged, in order; it need not come again."""
        for delivery in reversed(started):
            if delivery.consumer == self._queue:
                self._offset, self._body = delivery.stream_offset(), delivery.body
                return

    def rest_s(self) -> float:
        """Return after how long `sift` wants to be called though nothing has come."""
        return FOREVER_S if self._expected is None else self._expected.left_s()

    def is_known(self, delivery: Delivery) -> bool:
        """Tell whether it was delivered only to see that the stream is the same; any thread."""
        return delivery is self._known

    def sift(self, deliveries: list[Delivery], link: Link) -> list[Delivery]:
        """Return the deliveries; in another stream without its messages, and begin elsewhere there."""
        if self._expected is None:
            return deliveries
        first = next((each for each in deliveries if each.consumer == self._queue), None)
        if first is None:
            if self._expected.is_expired():
                self._begin_anew(link)
            return deliveries
        self._expected = None
        self._lost_s = 0.0
        if first.stream_offset() != self._offset:
            return deliveries  # the message seen last has grown too old to be kept
        if first.body == self._body:
            self._known = first
            return deliveries
        self._begin_anew(link)
        return [each for each in deliveries if each.consumer != self._queue]

    def _begin_anew(self, link: Link) -> None:
        self._since_s = max(self._since_s, (self._lost_s or self._clock()) - SLACK_S)
        self._expected = self._offset = None
        self._lost_s = 0.0
        link.cancel(self._queue)
        link.consume(self._queue, self._by_time())
