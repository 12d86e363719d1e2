"""Loads oslo.messaging's own code under another name, so that its notification half stays usable.

While `oslo_messaging` means tracedrpc, `tracedrpc.compat.stock` is the package that is installed:
the same files, whose own imports of `oslo_messaging` lead to each other and not to us. Exceptions,
targets, serializers and URLs are shared, so that a program which uses both halves needs not care
which one made or raised them.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import resolve_name
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

OLD: Final = "oslo_messaging"
FACADE: Final = "tracedrpc.compat.oslo_messaging"
STOCK: Final = "tracedrpc.compat.stock"

_SHARED_MODULES: Final = frozenset({"exceptions", "serializer", "target"})
_SHARED_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "transport": (
        "DriverLoadFailure", "InvalidTransportURL", "TransportHost", "TransportOptions", "TransportURL",
    ),
    "server": ("ExecutorLoadFailure", "MessagingServerError", "ServerListenError", "TaskTimeout"),
}
"""What of these modules is ours, although their code is not."""
MISSING: Final = (
    "notifications are oslo.messaging's own half, which tracedrpc passes on to: install it beside "
    "tracedrpc (pip install oslo.messaging), or leave notifications out of this program"
)


def shared_with(fullname: str) -> str | None:
    """Return the name of our module that stands in for one of oslo.messaging's, or None."""
    part = fullname.removeprefix(f"{STOCK}.")
    return f"{FACADE}.{part}" if part in _SHARED_MODULES else None


def find_spec(fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    """Find oslo.messaging's own module for a name below `tracedrpc.compat.stock`.

    Raises:
        ModuleNotFoundError: oslo.messaging is not installed.
    """
    spec = require() if fullname == STOCK else PathFinder.find_spec(fullname, path, target)
    if spec is None or spec.origin is None:
        return None
    found = ModuleSpec(fullname, _StockLoader(fullname, spec.origin), origin=spec.origin)
    found.submodule_search_locations = spec.submodule_search_locations
    found.has_location = True
    return found


def is_there() -> bool:
    """Tell whether oslo.messaging is installed."""
    return PathFinder.find_spec(OLD) is not None


def require() -> ModuleSpec:
    """Return where the installed oslo.messaging is.

    Raises:
        ModuleNotFoundError: it is not installed; the text says what to do.
    """
    spec = PathFinder.find_spec(OLD)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(MISSING, name=OLD)
    return spec


class _StockLoader(SourceFileLoader):
    """Executes a file of oslo.messaging with imports that stay among its own."""

    def exec_module(self, module: ModuleType) -> None:
        part = self.name.removeprefix(STOCK)
        # Loggers, classes and pickles keep the names that people know.
        module.__name__ = OLD + part
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": _import}
        code: Any = self.get_code(self.name)
        exec(code, vars(module))  # noqa: S102 - as every loader of source does
        names = _SHARED_NAMES.get(part[1:], ())
        if names:
            ours = importlib.import_module(FACADE + part)
            vars(module).update({name: getattr(ours, name) for name in names})
        if part == ".server":
            ours.MessageHandlingServer.register(vars(module)["MessageHandlingServer"])


def _import(
    name: str, globals: Mapping[str, Any] | None = None, locals: Mapping[str, Any] | None = None,  # noqa: A002
    fromlist: Sequence[str] | None = (), level: int = 0,
) -> ModuleType:
    """Import as `__import__` does; what oslo.messaging imports of itself stays among its own."""
    absolute = resolve_name("." * level + name, (globals or {})["__package__"]) if level else name
    inside = _inside(absolute)
    if inside is None:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    module = importlib.import_module(inside)
    if not fromlist:
        return sys.modules[STOCK]
    for each in fromlist:
        if each != "*" and not hasattr(module, each):
            setattr(module, each, importlib.import_module(f"{inside}.{each}"))
    return module


def _inside(absolute: str) -> str | None:
    """Return where a module of oslo.messaging is below `tracedrpc.compat.stock`; None for others."""
    for prefix in (OLD, STOCK):
        if absolute == prefix or absolute.startswith(f"{prefix}."):
            return STOCK + absolute.removeprefix(prefix)
    return None
