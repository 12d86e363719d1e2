"""Where a message goes to, or what a server listens for."""

from __future__ import annotations

from typing import Any, Final

_FIELDS: Final = ("exchange", "topic", "namespace", "version", "server", "fanout")


class Target:
    """Says where a message goes to, or what a server or endpoint answers to.

    The same class serves both sides, as in oslo.messaging: a client names topic (and server, or
    fanout), a server names topic and server, an endpoint names namespace and version.

    Args:
        exchange: the scope of the topic; None means the transport's control exchange.
        topic: what servers listen for; several servers may share one.
        namespace: a group of methods of one server; None is the default group.
        version: "major.minor" of the interface, e.g. "1.4".
        server: one server of those that share the topic.
        fanout: True to reach every server of the topic (casts only).
        legacy_namespaces: further namespaces that an endpoint still answers to.
    """

    __slots__ = ("accepted_namespaces", *_FIELDS)

    def __init__(
        self,
        exchange: str | None = None,
        topic: str | None = None,
        namespace: str | None = None,
        version: str | None = None,
        server: str | None = None,
        fanout: bool | None = None,
        legacy_namespaces: list[str] | None = None,
    ) -> None:
        self.exchange = exchange
        self.topic = topic
        self.namespace = namespace
        self.version = version
        self.server = server
        self.fanout = fanout
        self.accepted_namespaces: list[str | None] = [namespace, *(legacy_namespaces or [])]

    def __call__(self, **overrides: Any) -> Target:
        """Return a copy with some fields replaced.

        Raises:
            TypeError: an override is not a field of a target.
        """
        fields = {name: getattr(self, name) for name in _FIELDS}
        legacy = overrides.pop("legacy_namespaces", self.accepted_namespaces[1:])
        unknown = sorted(set(overrides) - set(_FIELDS))
        if unknown:
            raise TypeError(f"a Target has no field {', '.join(unknown)}; it has {', '.join(_FIELDS)}")
        return Target(**(fields | overrides), legacy_namespaces=legacy)

    def _key(self) -> tuple[Any, ...]:
        return (*(getattr(self, name) for name in _FIELDS), tuple(self.accepted_namespaces))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Target):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in _FIELDS)
        return "<Target " + ", ".join(f"{name}={value}" for name, value in shown if value) + ">"
