"""What a consumer hands messages to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.drivers.rabbit.link import Delivery, Link
    from tracedrpc.drivers.rabbit.topology import Queue


class Receiver(Protocol):
    """What a consumer hands messages to, on the consumer's thread."""

    def consuming(self, queue: Queue) -> Mapping[str, Any]:
        """Return the arguments to consume from a queue with, each time that it is begun."""
        ...

    def take(self, deliveries: list[Delivery], link: Link) -> None:
        """Take new deliveries and acknowledge what may be; called on each wake-up, also with none."""
        ...

    def rest_s(self) -> float:
        """Return after how long `take` wants to be called though nothing has come."""
        ...

    def is_idle(self) -> bool:
        """Tell whether nobody waits for anything now, so that nobody need read."""
        ...

    def unstarted(self, deliveries: list[Delivery]) -> int:
        """Give up what has not been acknowledged, these deliveries too; return the last tag or 0."""
        ...

    def lost(self) -> None:
        """The connection is gone, and with it what was not acknowledged."""
        ...
