"""How arguments, results and the request context become what JSON can hold, and back."""

from __future__ import annotations

import inspect
import io
import itertools
from abc import ABC, abstractmethod
from typing import Any, Final

from tracedrpc._primitive import NOT_SIMPLE, as_simple

_NATIVE: Final = (str, int, float, type(None))
_MOST_LEVELS: Final = 3
"""Objects inside objects that are opened; what lies deeper becomes None."""
_OPAQUE: Final = (
    inspect.ismodule, inspect.isclass, inspect.isroutine, inspect.isgenerator,
    inspect.istraceback, inspect.isframe, inspect.iscode,
)


class Serializer(ABC):
    """Turns what an application passes around into primitives and back.

    Clients and servers each have one. `ctxt` is the request context.
    """

    @abstractmethod
    def serialize_entity(self, ctxt: Any, entity: Any) -> Any:
        """Return an argument or a result as primitives."""

    @abstractmethod
    def deserialize_entity(self, ctxt: Any, entity: Any) -> Any:
        """Return the argument or result that primitives stand for."""

    @abstractmethod
    def serialize_context(self, ctxt: Any) -> Any:
        """Return the request context as a dict of primitives."""

    @abstractmethod
    def deserialize_context(self, ctxt: Any) -> Any:
        """Return the request context that a dict of primitives stands for."""


class NoOpSerializer(Serializer):
    """Passes everything on as it is."""

    def serialize_entity(self, ctxt: Any, entity: Any) -> Any:  # noqa: ARG002 - the interface
        """Return the entity."""
        return entity

    def deserialize_entity(self, ctxt: Any, entity: Any) -> Any:  # noqa: ARG002 - the interface
        """Return the entity."""
        return entity

    def serialize_context(self, ctxt: Any) -> Any:
        """Return the context."""
        return ctxt

    def deserialize_context(self, ctxt: Any) -> Any:
        """Return the context."""
        return ctxt


def changes_nothing(serializer: Serializer) -> bool:
    """Tell whether it passes everything on, so that it need not be asked; a mocked one does not."""
    return type(serializer) is NoOpSerializer and not serializer.__dict__


class JsonPayloadSerializer(NoOpSerializer):
    """Turns any object into primitives, losing what it must: objects become their attributes.

    As in oslo.messaging: exceptions become their `repr`, functions and classes their `str`, and
    the fourth object inside objects becomes None.
    """

    @staticmethod
    def serialize_entity(context: Any, entity: Any) -> Any:  # noqa: ARG004 - the interface
        """Return the entity as primitives; static, as oslo.messaging has it.

        Raises:
            ValueError: an object without attributes.
        """
        return _primitive(entity, 0)


def _primitive(value: Any, level: int) -> Any:
    if isinstance(value, _NATIVE):
        return value
    simple = as_simple(value)
    if simple is not NOT_SIMPLE:
        return simple
    if isinstance(value, Exception):
        return repr(value)
    if isinstance(value, itertools.count) or any(is_opaque(value) for is_opaque in _OPAQUE):
        return str(value)
    return _open_or_text(value, level)


def _open_or_text(value: Any, level: int) -> Any:
    if level > _MOST_LEVELS:
        return None
    try:
        return _open(value, level)
    except TypeError:
        return str(value)


def _open(value: Any, level: int) -> Any:
    """Return a container or an object as a dict or list of primitives."""
    if isinstance(value, dict):
        return {_primitive(k, level): _primitive(v, level) for k, v in value.items()}
    if hasattr(value, "items"):
        return _primitive(dict(value.items()), level + 1)
    if hasattr(value, "__iter__") and not isinstance(value, io.IOBase):
        return [_primitive(each, level) for each in value]
    if hasattr(value, "__dict__"):
        return _primitive(vars(value), level + 1)
    raise ValueError(f"cannot convert a {type(value).__qualname__} to primitives")
