"""A client of a pairing, and the list of what clients do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from topics import FIRST, PLAIN

if TYPE_CHECKING:
    from peer import Peer
    from topics import Variant

SOON_S = 20.0

Operation = Callable[["Client"], Any]
QUICK: list[Operation] = []
"""Run one after the other."""
SLOW: list[Operation] = []
"""They wait most of their time; run beside the others."""


class Client:
    """A client of one pairing.

    Attributes:
        messaging: the library.
        topic: what all names begin with.
    """

    def __init__(self, peer: Peer, url: str, topic: str) -> None:
        self.messaging = peer.messaging
        self.topic = topic
        self._peer = peer
        self._url = url
        self._transports: dict[tuple[str, tuple[str, ...]], Any] = {}

    def of(self, variant: Variant = PLAIN, allowed: tuple[str, ...] = (), **settings: Any) -> Any:
        """Return a client of a variant's topic; its transport is shared."""
        key = (variant.name, allowed)
        if key not in self._transports:
            self._transports[key] = self._peer.transport(variant.url(self._url, "client"), list(allowed))
        target = self.messaging.Target(
            exchange=variant.exchange(self.topic), topic=variant.topic(self.topic), version="1.0",
        )
        return self.messaging.get_rpc_client(self._transports[key], target, **{"timeout": SOON_S} | settings)


def quick(operation: Operation) -> Operation:
    QUICK.append(operation)
    return operation


def slow(operation: Operation) -> Operation:
    SLOW.append(operation)
    return operation


def declare_first(client: Client) -> None:
    """Make the client's exchanges before there is a server."""
    for variant in FIRST:
        client.of(variant).cast({}, "early")
        client.of(variant).prepare(fanout=True).cast({}, "early")


def noted(asked: Any, text: str, count: int = 1) -> int:
    """Return how often a server has noted a text, once it has done so often enough."""
    give_up = time.monotonic() + SOON_S
    while (found := asked.call({}, "noted", text=text)) < count and time.monotonic() < give_up:
        time.sleep(0.02)
    return found


def timed(act: Callable[[], Any], least_s: float, most_s: float) -> Any:
    """Raise what comes of it, if it comes in time."""
    began_s = time.monotonic()
    try:
        return act()
    finally:
        took_s = time.monotonic() - began_s
        assert least_s <= took_s <= most_s, f"it took {took_s:.2f} s"
