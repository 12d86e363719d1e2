"""What a client of a pairing does and gets an answer to, against the messaging API only.

Each function is one operation; it returns plain values, or raises what the library raised. A request
that no server gets is for the method `lost`, one that none need get for `early` or `oversleep`.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from client import Client, noted, quick, timed
from topics import GZIP_ANSWERED, GZIP_ASKED, GZIP_BOTH, PLAIN_FIRST, QUORUM_FIRST, QUORUM_SERVED

if TYPE_CHECKING:
    from topics import Variant

MEGABYTE = 1 << 20

# ---- calls and casts ---------------------------------------------------------------------------

VALUES = (
    None, True, 0, -1, 2**70, 1.5, 1e300, "", 'größe ☃ 𝄞 \x00 "\\', [], {}, [[], {"a": [None]}],
    {"": {"1": 2}}, "%s {0}", ["x"] * 50, {"oslo.message": "{", "oslo.version": "9"},
)


@quick
def call_echoes_values(client: Client) -> Any:
    to = client.of()
    return [to.call({}, "echo", value=value) == value for value in VALUES]


@quick
def call_without_arguments(client: Client) -> Any:
    return client.of().call({}, "echo")


@quick
def call_brings_the_context(client: Client) -> Any:
    ctxt = {"user": "ä", "roles": ["a", "b"], "is_admin": False, "nothing": None, "request_id": "req-1"}
    kept = dict(ctxt)
    found = client.of().call(ctxt, "know", keys=[*ctxt, "absent"])
    return {"told": found, "unchanged": {key: ctxt[key] for key in kept} == kept}


@quick
def call_in_a_namespace(client: Client) -> Any:
    return [client.of().prepare(namespace=name).call({}, "who") for name in ("admin", "old")]


@quick
def call_one_server(client: Client) -> Any:
    return [client.of().prepare(server=name).call({}, "who") for name in ("one", "two")]


@quick
def call_whoever_is_free(client: Client) -> Any:
    return {client.of().call({}, "who") for _ in range(4)} <= {"one", "two"}


@quick
def call_that_asks_its_own_server(client: Client) -> Any:
    return client.of().call({"user": "u"}, "relay", to="echo", args={"value": [1]})


@quick
def call_that_only_asks_whether_it_lives(client: Client) -> Any:
    return client.of().call({}, "oslo_rpc_server_ping")


@quick
def call_with_retries_allowed(client: Client) -> Any:
    return [client.of().prepare(retry=retry).call({}, "echo", value=retry) for retry in (None, 0, 3)]


@quick
def call_with_a_serializer(client: Client) -> Any:
    class Tagging(client.messaging.Serializer):
        def serialize_entity(self, ctxt, entity):
            return {"tagged": entity}

        def deserialize_entity(self, ctxt, entity):
            return ["untagged", entity]

        def serialize_context(self, ctxt):
            return {"user": ctxt.user}

        def deserialize_context(self, ctxt):
            return ctxt

    class Context:
        user = "made of an object"

    to = client.of(serializer=Tagging())
    return to.call(Context(), "echo", value=5), client.of().call({"user": "u"}, "know", keys=["user"])


@quick
def cast_arrives_once(client: Client) -> Any:
    one = client.of().prepare(server="one")
    one.cast({}, "note", text="cast")
    return noted(one, "cast")


@quick
def fanout_arrives_once_at_each_server(client: Client) -> Any:
    client.of().prepare(fanout=True).cast({}, "note_all", text="fanout")
    return [noted(client.of().prepare(server=name), "fanout") for name in ("one", "two")]


# ---- delivery -----------------------------------------------------------------------------------


def at_least_once(client: Client) -> Any:
    return client.of(transport_options=client.messaging.TransportOptions(at_least_once=True))


@quick
def at_least_once_where_somebody_listens(client: Client) -> Any:
    one = at_least_once(client).prepare(server="one")
    one.cast({}, "note", text="at least once")
    return one.call({}, "echo", value=1), noted(one, "at least once")


@quick
def at_least_once_call_where_nobody_listens(client: Client) -> Any:
    to = at_least_once(client)
    timed(lambda: to.prepare(server="nobody").call({}, "lost"), 0.0, 5.0)


@quick
def at_least_once_cast_where_nobody_listens(client: Client) -> Any:
    at_least_once(client).prepare(server="nobody").cast({}, "lost")


@quick
def large_bodies(client: Client) -> Any:
    text = "größe" + "x" * (4 * MEGABYTE)
    digest = client.of().call({}, "digest", text=text)
    answer = client.of().call({}, "fill", size=4 * MEGABYTE)
    return digest == hashlib.sha256(text.encode()).hexdigest(), answer == "é" + "x" * (4 * MEGABYTE)


@quick
def compressed_bodies(client: Client) -> Any:
    text = "x" * (MEGABYTE // 4)
    variants = (GZIP_ASKED, GZIP_ANSWERED, GZIP_BOTH)
    return [client.of(variant).call({}, "echo", value=text) == text for variant in variants]


@quick
def compressed_errors_and_casts(client: Client) -> Any:
    to = client.of(GZIP_BOTH)
    to.cast({}, "note", text="compressed")
    assert noted(to, "compressed") == 1
    to.call({}, "missing")


# ---- queues of other kinds ----------------------------------------------------------------------


def everything(client: Client, variant: Variant) -> Any:
    to, one = client.of(variant), client.of(variant).prepare(server="one")
    one.cast({}, "note", text="cast")
    to.prepare(fanout=True).cast({}, "note_all", text="fanout")
    heard = [noted(client.of(variant).prepare(server=name), "fanout") for name in variant.servers]
    return to.call({}, "echo", value="asked"), noted(one, "cast"), heard


@quick
def quorum_queues(client: Client) -> Any:
    return everything(client, QUORUM_SERVED)


@quick
def exchanges_that_the_client_declared_first(client: Client) -> Any:
    return everything(client, PLAIN_FIRST)


@quick
def quorum_queues_that_the_client_declared_first(client: Client) -> Any:
    return everything(client, QUORUM_FIRST)


def fleet(client: Client, variant: Variant) -> Any:
    """Reach every server of a variant by its name, all by fanout, and all by the topic in turn."""
    to = client.of(variant)
    text = f"fanout {time.monotonic_ns()}"
    to.prepare(fanout=True).cast({}, "note_all", text=text)
    named = [client.of(variant).prepare(server=name) for name in variant.servers]
    met = {to.call({}, "who") for _ in range(10)}
    return [each.call({}, "who") for each in named], [noted(each, text) for each in named], sorted(met)
