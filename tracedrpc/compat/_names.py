"""Which module an import of `oslo_messaging` or of one of its submodules gives."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Final

from tracedrpc.compat import _stock
from tracedrpc.compat._stock import FACADE, OLD, STOCK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

PASSED: Final = frozenset({"notify", "_drivers", "_metrics", "_tracing", "_utils"})
"""Parts of oslo.messaging that are not ours: its notification half, and what that stands on."""


class _AliasLoader(Loader):
    """Gives a module that has another name already."""

    def __init__(self, real_name: str) -> None:
        self._real_name = real_name

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002 - the interface
        module = importlib.import_module(self._real_name)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It has been executed under its real name; importlib has just overwritten its spec.
        module.__spec__ = self._own_spec


class _OldNames(MetaPathFinder):
    """Answers for `oslo_messaging` and everything below it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname == OLD or fullname.startswith(f"{OLD}."):
            return _alias(fullname, FACADE + fullname.removeprefix(OLD))
        return None


class _OtherHalf(MetaPathFinder):
    """Answers for the parts of the facade that are oslo.messaging's own."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname == STOCK or fullname.startswith(f"{STOCK}."):
            shared = _stock.shared_with(fullname)
            return _alias(fullname, shared) if shared else _stock.find_spec(fullname, path, target)
        part = fullname.removeprefix(f"{FACADE}.")
        if part == fullname or part.partition(".")[0] not in PASSED:
            return None
        _stock.require()
        return _alias(fullname, f"{STOCK if is_installed() else OLD}.{part}")


def _alias(fullname: str, real_name: str) -> ModuleSpec | None:
    """Return the spec of another name for a module, or None when there is no such module."""
    try:
        real = importlib.util.find_spec(real_name)
    except ModuleNotFoundError as error:
        if error.name == OLD:
            raise
        return None  # its parent is not there either
    if real is None:
        return None
    is_package = real.submodule_search_locations is not None
    return ModuleSpec(fullname, _AliasLoader(real_name), is_package=is_package)


_old_names: Final = _OldNames()
sys.meta_path.insert(0, _OtherHalf())


def is_installed() -> bool:
    """Tell whether `import oslo_messaging` gives tracedrpc in this process."""
    facade = sys.modules.get(FACADE)
    return _old_names in sys.meta_path or (facade is not None and sys.modules.get(OLD) is facade)


def install() -> None:
    """Make `import oslo_messaging` give tracedrpc from now on, in this process. Idempotent.

    Raises:
        RuntimeError: oslo.messaging has been imported already; who has, goes on using it.
    """
    if is_installed():
        return
    if OLD in sys.modules:
        raise RuntimeError(
            "oslo_messaging has been imported already, so some modules would use it and others "
            "tracedrpc: call tracedrpc.compat.install() before anything imports it",
        )
    sys.meta_path.insert(0, _old_names)
