"""Which methods of an endpoint a peer may call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from tracedrpc.rpc.endpoint import ABSENT, find_static, is_dynamic

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


class RPCAccessPolicyBase(ABC):
    """Decides which methods of an endpoint may be called; give the class to `get_rpc_server`."""

    @abstractmethod
    def is_allowed(self, endpoint: Any, method: str) -> bool:
        """Tell whether a peer may call this method; asked before the method is evaluated."""


class LegacyRPCAccessPolicy(RPCAccessPolicyBase):
    """Every method, private ones too."""

    def is_allowed(self, endpoint: Any, method: str) -> bool:  # noqa: ARG002 - the interface
        """Allow everything."""
        return True


class DefaultRPCAccessPolicy(RPCAccessPolicyBase):
    """Every method whose name does not begin with an underscore."""

    def is_allowed(self, endpoint: Any, method: str) -> bool:  # noqa: ARG002 - the interface
        """Allow public names."""
        return not method.startswith("_")


class ExplicitRPCAccessPolicy(RPCAccessPolicyBase):
    """Only methods that are marked with `expose`."""

    def is_allowed(self, endpoint: Any, method: str) -> bool:
        """Allow what is marked; looks at the class only, so that no property is evaluated."""
        found = find_static(endpoint, method)
        if found is ABSENT:
            return is_dynamic(endpoint) and _is_marked(getattr(endpoint, method, None))
        return _is_marked(found) or _is_marked(getattr(found, "__func__", None))


def _is_marked(method: object) -> bool:
    return bool(getattr(method, "exposed", False))


def expose(func: F) -> F:
    """Mark a method as callable by peers under `ExplicitRPCAccessPolicy`."""
    func.exposed = True  # type: ignore[attr-defined]  # oslo.messaging's own mark
    return func
