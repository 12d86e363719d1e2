"""Exceptions that both sides of the differential tests raise: same module, same frames, same text."""

from __future__ import annotations

import builtins
import sys
from dataclasses import dataclass, field
from typing import Any

HERE = __name__


class Plain(Exception):
    """Nothing of its own."""


class NoDisk(Exception):
    """It keeps its arguments, and tells keyword arguments the way that peers rebuild them."""

    def __init__(self, size=0, unit="GB", **more):
        super().__init__(size)
        self.size = size
        self.unit = unit
        self.kwargs = {"unit": unit, **more}


class NotFound(Exception):
    """Its text is made of keyword arguments."""

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        self.code = 404
        super().__init__(message or f"{kwargs.get('name', 'it')} is not there")


class Positional(Exception):
    """Its constructor takes what `args` does not have, so it cannot be rebuilt."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Spoken(Exception):
    """Its text is not made of its arguments."""

    def __str__(self):
        return "as it is"


@dataclass(frozen=True)
class Spec:
    """An exception to be made and raised on either side.

    Attributes:
        name: a class of this module, of the builtins or of the library.
        args: its positional arguments.
        kwargs: its keyword arguments.
        depth: frames between the raise and the except clause.
        has_cause: whether it is raised from another one.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    depth: int = 0
    has_cause: bool = False


def raise_it(error: BaseException, spec: Spec, left: int) -> None:
    if left:
        raise_it(error, spec, left - 1)
    if spec.has_cause:
        raise error from LookupError("the reason")
    raise error


def caught(cls: type[BaseException], spec: Spec) -> BaseException:
    """Return an exception that was raised as the spec says, with its traceback."""
    try:
        raise_it(cls(*spec.args, **spec.kwargs), spec, spec.depth)
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError


def find(spec: Spec, library: Any) -> type[BaseException]:
    """Return the class: the application's, a builtin, or the library's of that side."""
    own = getattr(sys.modules[HERE], spec.name, None)
    return own or getattr(library, spec.name, None) or getattr(builtins, spec.name)


def described(error: BaseException) -> dict[str, Any]:
    """Return everything of a rebuilt exception that an application can see, as plain values."""
    cls = type(error)
    return {
        "name": cls.__name__,
        "module": cls.__module__,
        "bases": [base.__name__ for base in cls.__mro__],
        "text": str(error),
        "args": list(error.args),
        "attributes": {key: value for key, value in vars(error).items() if not key.startswith("_")},
    }
