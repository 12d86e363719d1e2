"""What a client of a pairing does, against the messaging API only.

Each function is one operation; it returns plain values, or raises what the library raised. A request
that no server gets is for the method `lost`, one that none need get for `early` or `oversleep`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from peer_errors import NoDisk
from topics import (
    FIRST,
    GZIP_ANSWERED,
    GZIP_ASKED,
    GZIP_BOTH,
    PLAIN,
    PLAIN_FIRST,
    QUORUM_FIRST,
    QUORUM_SERVED,
)

if TYPE_CHECKING:
    from peer import Peer
    from topics import Variant

SOON_S = 20.0
MEGABYTE = 1 << 20

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


# ---- versions ----------------------------------------------------------------------------------


@quick
def version_older_than_the_server_s(client: Client) -> Any:
    return client.of().prepare(version="1.2").call({}, "echo", value="1.2")


@quick
def version_newer_than_the_server_s(client: Client) -> Any:
    client.of().prepare(version="1.4").call({}, "echo")


@quick
def version_of_another_major(client: Client) -> Any:
    client.of().prepare(version="2.0").call({}, "echo")


@quick
def version_above_the_cap(client: Client) -> Any:
    capped = client.of(version_cap="1.1")
    told = [capped.can_send_version(version) for version in ("1.1", "1.2", "2.0")]
    assert told == [True, False, False], told
    capped.prepare(version="1.2").call({}, "lost")


@quick
def version_that_is_none(client: Client) -> Any:
    client.of().prepare(version="one")


@quick
def namespace_that_nobody_has(client: Client) -> Any:
    client.of().prepare(namespace="nobody").call({}, "who")


# ---- errors ------------------------------------------------------------------------------------


@quick
def error_no_such_method(client: Client) -> Any:
    client.of().call({}, "missing")


@quick
def error_no_such_method_of_a_library_allowed(client: Client) -> Any:
    client.of(allowed=("oslo_messaging.rpc.dispatcher",)).call({}, "missing")


@quick
def error_private_method(client: Client) -> Any:
    client.of().call({}, "_hidden")


@quick
def error_builtin(client: Client) -> Any:
    client.of().call({}, "fail_builtin", name="ValueError", args=["no", 5])


@quick
def error_builtin_key(client: Client) -> Any:
    client.of().call({}, "fail_builtin", name="KeyError", args=["k"])


@quick
def error_builtin_of_the_system(client: Client) -> Any:
    client.of().call({}, "fail_builtin", name="OSError", args=[2, "no such file"])


@quick
def error_of_an_allowed_module(client: Client) -> Any:
    client.of(allowed=("peer_errors",)).call({}, "fail_own", size=5, unit="TB")


@quick
def error_of_a_module_not_allowed(client: Client) -> Any:
    client.of().call({}, "fail_own", size=5, unit="TB")


@quick
def error_that_was_expected(client: Client) -> Any:
    client.of(allowed=("peer_errors",)).call({}, "fail_as_expected", size=6, unit="MB")


@quick
def error_that_cannot_be_rebuilt(client: Client) -> Any:
    client.of(allowed=("peer_errors",)).call({}, "fail_unbuildable")


@quick
def error_with_an_exception_as_argument(client: Client) -> Any:
    client.of().call({}, "fail_with_cause")


@quick
def error_that_came_through_two_servers(client: Client) -> Any:
    client.of(allowed=("peer_errors",)).call({}, "relay", to="fail_own", args={"size": 7, "unit": "KB"})


@quick
def error_in_a_cast_is_not_heard_of(client: Client) -> Any:
    one = client.of().prepare(server="one")
    one.cast({}, "fail_own", size=1, unit="GB")
    return one.call({}, "who")


@quick
def error_call_with_fanout(client: Client) -> Any:
    client.of().prepare(fanout=True).call({}, "lost")


@quick
def error_no_topic(client: Client) -> Any:
    client.of().prepare(topic=None).cast({}, "lost")


# ---- time ---------------------------------------------------------------------------------------


def timed(act: Callable[[], Any], least_s: float, most_s: float) -> Any:
    """Raise what comes of it, if it comes in time."""
    began_s = time.monotonic()
    try:
        return act()
    finally:
        took_s = time.monotonic() - began_s
        assert least_s <= took_s <= most_s, f"it took {took_s:.2f} s"


@slow
def time_out_of_a_slow_method(client: Client) -> Any:
    timed(lambda: client.of(timeout=0.5).call({}, "oversleep", seconds=1.2), 0.45, 5.0)


@slow
def time_out_of_the_configuration(client: Client) -> Any:
    timed(lambda: client.of(timeout=None).call({}, "oversleep", seconds=1.5), 0.9, 5.0)


@slow
def time_out_where_nobody_listens(client: Client) -> Any:
    to = client.of(timeout=0.5).prepare(topic=f"{client.topic}.nobody")
    timed(lambda: to.call({}, "lost"), 0.45, 5.0)


@slow
def time_out_then_a_call(client: Client) -> Any:
    to = client.of()
    try:
        to.prepare(timeout=0.3).call({}, "oversleep", seconds=0.6)
    except client.messaging.MessagingTimeout:
        time.sleep(0.5)  # its reply comes meanwhile
        return to.call({}, "echo", value="after it")


@slow
def monitor_of_a_method_that_takes_longer(client: Client) -> Any:
    """The limit is 2 s because stock sends no heartbeats for a smaller one."""
    return client.of(call_monitor_timeout=2).call({}, "sleep", seconds=3.2)


@slow
def monitor_where_nobody_listens(client: Client) -> Any:
    to = client.of(call_monitor_timeout=1).prepare(topic=f"{client.topic}.nobody")
    timed(lambda: to.call({}, "lost"), 0.9, 6.0)


@slow
def monitor_of_zero_is_none(client: Client) -> Any:
    return client.of(call_monitor_timeout=0).call({}, "sleep", seconds=0.3)


@slow
def monitor_of_hours(client: Client) -> Any:
    return client.of(call_monitor_timeout=7200).call({}, "sleep", seconds=0.3)


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


# ---- what is told of an error -------------------------------------------------------------------

_FIELDS = ("size", "unit", "kwargs", "exc_type", "value", "version", "version_cap", "exchange", "routing_key")


def outcome(operation: Operation, client: Client) -> Any:
    """Return what an operation returned, or what an application can see of what it raised."""
    try:
        return operation(client)
    except AssertionError as error:
        return {"wrong": str(error)}
    except Exception as error:  # noqa: BLE001 - it is what is tested
        return told(error, client.topic)


def told(error: Exception, topic: str) -> dict[str, Any]:
    """Return class, bases, fields, and what came from the server; the pairing's own topic is `T`."""
    kind = type(error)
    fields = {name: getattr(error, name) for name in _FIELDS if getattr(error, name, None) is not None}
    is_rebuilt = kind.__module__ == "builtins" or kind.__name__.endswith("_Remote")
    return {
        "raised": kind.__name__,
        "is": [cls.__name__ for cls in kind.__mro__[1:-3]],
        "fields": {name: str(value).replace(topic, "T") for name, value in fields.items()},
        "says": str(error.args[0]).split("\n")[0] if is_rebuilt else "",
        "is NoDisk": isinstance(error, NoDisk),
        "has traceback": "Traceback" in str(error),
    }
