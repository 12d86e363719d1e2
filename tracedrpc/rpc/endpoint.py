"""Looks up the methods of an endpoint without evaluating anything of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT: Final = object()
_METHOD_KINDS: Final = (staticmethod, classmethod, functools.partialmethod, functools.singledispatchmethod)


def find_static(endpoint: object, name: str) -> Any:
    """Return what the endpoint's class holds under a name, unevaluated, or `ABSENT`.

    Unlike `inspect.getattr_static` it sees no metaclass, so nobody can call `mro`.
    """
    owner = endpoint if isinstance(endpoint, type) else type(endpoint)
    for base in owner.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return ABSENT


def is_dynamic(endpoint: object) -> bool:
    """Tell whether an endpoint makes its attributes up, as proxies and mocks do."""
    return find_static(endpoint, "__getattr__") is not ABSENT


def may_have_method(endpoint: object, name: str) -> bool:
    """Tell, without evaluating an attribute, whether a name can be a method that peers may call.

    Properties, nested classes, `target` and names with two underscores on both sides never are.
    Callables that an instance merely holds (a client, a session factory) are none either, except
    where the class says by `__getattr__` that its instances have more than meets the eye.
    """
    if name == "target" or (name.startswith("__") and name.endswith("__")):
        return False
    found = find_static(endpoint, name)
    if found is ABSENT:
        return is_dynamic(endpoint)
    return isinstance(found, _METHOD_KINDS) or (callable(found) and not isinstance(found, type))


def get_method(endpoint: object, name: str) -> Callable[..., Any] | None:
    """Evaluate the method; ask `may_have_method` and the access policy before.

    Returns:
        the bound method, or None when a dynamic endpoint has no such method after all.
    """
    method = getattr(endpoint, name, None)
    return method if callable(method) else None
