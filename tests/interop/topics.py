"""Where the peers of a pairing meet: the same exchange and topic names with different transports."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True)
class Variant:
    """A topic of its own, on an exchange of its own, under settings that both sides share.

    Attributes:
        name: what is added to the names.
        servers: server names that listen there.
        both: query of the URL on both sides.
        server: query on the server's side only.
        client: query on the client's side only.
    """

    name: str
    servers: tuple[str, ...] = ("one",)
    both: tuple[tuple[str, str], ...] = ()
    server: tuple[tuple[str, str], ...] = ()
    client: tuple[tuple[str, str], ...] = ()

    def exchange(self, topic: str) -> str:
        return f"{topic}.{self.name}-exchange"

    def topic(self, topic: str) -> str:
        return f"{topic}.{self.name}"

    def url(self, url: str, side: str) -> str:
        query = dict(self.both) | dict(getattr(self, side))
        return f"{url}?{urlencode(query)}" if query else url


GZIP = (("kombu_compression", "gzip"),)
QUORUM = (("rabbit_quorum_queue", "true"),)

PLAIN = Variant("plain", ("one", "two"))
GZIP_ASKED = Variant("gzip-asked", client=GZIP)
GZIP_ANSWERED = Variant("gzip-answered", server=GZIP)
GZIP_BOTH = Variant("gzip-both", both=GZIP)
QUORUM_SERVED = Variant("quorum", ("one", "two"), both=QUORUM)
VARIANTS = (PLAIN, GZIP_ASKED, GZIP_ANSWERED, GZIP_BOTH, QUORUM_SERVED)
"""The server declares these first."""

PLAIN_FIRST = Variant("client-first")
QUORUM_FIRST = Variant("client-first-quorum", both=QUORUM)
FIRST = (PLAIN_FIRST, QUORUM_FIRST)
"""The client declares the exchanges of these first."""

TRANSIENT_QUORUM = (*QUORUM, ("rabbit_transient_quorum_queue", "true"))
STREAM = (*TRANSIENT_QUORUM, ("rabbit_stream_fanout", "true"), ("rabbit_qos_prefetch_count", "10"))
FLEET = tuple(
    Variant(name, ("ours", "stock"), both=query)
    for name, query in (
        ("plain", ()),
        ("quorum", QUORUM),
        ("transient-quorum", TRANSIENT_QUORUM),
        ("durable", (("amqp_durable_queues", "true"),)),
        ("auto-delete", (("amqp_auto_delete", "true"),)),
        ("stream", STREAM),
    )
)
"""Served by two kinds of peer at once, whichever comes first."""
