"""Endpoints that both sides of the differential tests dispatch to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EndpointSpec:
    """An endpoint to be made on either side; its methods answer with its number and their name.

    Attributes:
        number: which of the endpoints it is.
        methods: what it offers.
        target: the fields of its `target`, or None for an endpoint without one.
    """

    number: int
    methods: tuple[str, ...]
    target: dict[str, Any] | None

    def make(self, library: Any) -> object:
        """Return the endpoint, its target made of that library."""
        cls = type("Endpoint", (), {name: self._method(name) for name in self.methods})
        if self.target is not None:
            cls.target = library.Target(**self.target)
        return cls()

    def _method(self, name: str) -> Any:
        def method(_self: object, ctxt: Any, **args: Any) -> Any:
            return [self.number, name, args]

        return method
