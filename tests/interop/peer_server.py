"""One server process of a pairing, on any kind of peer.

    python peer_server.py --kind KIND --service NAME --url URL --topic TOPIC [--fleet --names SERVER ...]

Says "ready" when the servers of TOPIC listen. On the next line of its input it serves what the client
has declared first, says "serving", and ends when its input does. With --fleet it is one of several
that serve the same topics under server names of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import time
from typing import Any

from peer import Peer, await_word, leave, open_peer, parsed, say
from peer_errors import NoDisk, Unbuildable
from topics import FIRST, FLEET, VARIANTS, Variant


class Endpoint:
    """What every server offers; `target` says that it is version 1.3."""

    def __init__(self, peer: Peer, name: str, client: Any) -> None:
        self.target = peer.messaging.Target(version="1.3")
        self._name = name
        self._client = client
        self._notes: dict[str, int] = {}
        self._lock = threading.Lock()

    def echo(self, ctxt: dict[str, Any], value: Any = None) -> Any:
        return value

    def who(self, ctxt: dict[str, Any]) -> str:
        return self._name

    def know(self, ctxt: dict[str, Any], keys: list[str]) -> dict[str, Any]:
        """Return these entries of the request context."""
        return {key: ctxt.get(key, "missing") for key in keys}

    def note(self, ctxt: dict[str, Any], text: str) -> None:
        with self._lock:
            self._notes[text] = self._notes.get(text, 0) + 1

    note_all = note

    def noted(self, ctxt: dict[str, Any], text: str) -> int:
        with self._lock:
            return self._notes.get(text, 0)

    def digest(self, ctxt: dict[str, Any], text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def fill(self, ctxt: dict[str, Any], size: int) -> str:
        return "é" + "x" * size

    def sleep(self, ctxt: dict[str, Any], seconds: float) -> str:
        time.sleep(seconds)
        return "slept"

    oversleep = sleep

    def fail_builtin(self, ctxt: dict[str, Any], name: str, args: list[Any]) -> None:
        raise {"ValueError": ValueError, "KeyError": KeyError, "OSError": OSError}[name](*args)

    def fail_own(self, ctxt: dict[str, Any], size: int, unit: str) -> None:
        raise NoDisk(size, unit=unit)

    def fail_unbuildable(self, ctxt: dict[str, Any]) -> None:
        raise Unbuildable("one", "two")

    def fail_with_cause(self, ctxt: dict[str, Any]) -> None:
        cause = LookupError("inner")
        raise RuntimeError(cause) from cause

    def relay(self, ctxt: dict[str, Any], to: str, args: dict[str, Any]) -> Any:
        """Ask this very server, from within a request."""
        return self._client.call(ctxt, to, **args)

    def _hidden(self, ctxt: dict[str, Any]) -> str:
        return "seen"


def endpoint_class(peer: Peer) -> type[Endpoint]:
    """Return the class with a method whose errors are expected, which takes the library to declare."""
    expected = peer.messaging.expected_exceptions(NoDisk)(Endpoint.fail_own)
    return type("Endpoint", (Endpoint,), {"fail_as_expected": expected})


class Admin:
    """In a namespace, and in an old one."""

    def __init__(self, peer: Peer) -> None:
        self.target = peer.messaging.Target(namespace="admin", legacy_namespaces=["old"])

    def who(self, ctxt: dict[str, Any]) -> str:
        return "admin"


def serve(peer: Peer, given: argparse.Namespace, variant: Variant) -> None:
    """Start the servers of one variant."""
    messaging = peer.messaging
    transport = peer.transport(variant.url(given.url, "server"), ["peer_errors"])
    to = messaging.Target(exchange=variant.exchange(given.topic), topic=variant.topic(given.topic))
    client = messaging.get_rpc_client(transport, to(version="1.0"), timeout=20)
    for name in given.names or variant.servers:
        endpoints = [endpoint_class(peer)(peer, name, client), Admin(peer)]
        messaging.get_rpc_server(transport, to(server=name), endpoints).start()


def main() -> None:
    given = parsed(__doc__)
    peer = open_peer(given.kind, given.service)
    for variant in FLEET if given.fleet else VARIANTS:
        serve(peer, given, variant)
    say("ready")
    await_word()
    for variant in () if given.fleet else FIRST:
        serve(peer, given, variant)
    say("serving")
    sys.stdin.read()
    leave(peer)


if __name__ == "__main__":
    main()
