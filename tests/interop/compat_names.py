"""Compares tracedrpc's names with those of the oslo.messaging that is installed; prints JSON.

    .venv-conformance/bin/python tests/interop/compat_names.py

For each of its modules: public names, members of its classes and parameters that
`tracedrpc.compat.oslo_messaging` lacks; and the names that `tracedrpc` itself lacks.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import types
import warnings

MODULES = (
    "", ".conffixture", ".dispatcher", ".exceptions", ".opts", ".rpc", ".rpc.client", ".rpc.dispatcher",
    ".rpc.server", ".rpc.transport", ".serializer", ".server", ".target", ".transport", ".version",
)
PACKAGE = "oslo_messaging"
FACADE = "tracedrpc.compat.oslo_messaging"
DIRECT = ("", ".exceptions", ".rpc", ".serializer", ".target")


def public_names(module):
    """Yield what a module offers: its `__all__`, what it defines, its submodules.

    The package itself has no `__all__`; it offers all that it has imported from its modules.
    """
    for name, value in vars(module).items():
        is_module = isinstance(value, types.ModuleType)
        home = value.__name__ if is_module else getattr(value, "__module__", None) or ""
        is_below = home == f"{module.__name__}.{name}" if is_module else home.startswith(PACKAGE)
        is_defined = is_below if is_module or module.__name__ == PACKAGE else home == module.__name__
        if not name.startswith("_") and (is_defined or name in getattr(module, "__all__", ())):
            yield name


def differences(theirs, ours, where):
    """Yield what ours lack, of a class or a function."""
    if inspect.isclass(theirs):
        for name, member in vars(theirs).items():
            if name.startswith("_") and name != "__init__":
                continue
            if not hasattr(ours, name):
                yield f"{where} lacks {name}"
            elif callable(member):
                yield from parameters(member, getattr(ours, name), f"{where}.{name}")
    elif callable(theirs):
        yield from parameters(theirs, ours, where)


def parameters(theirs, ours, where):
    """Yield where ours cannot be called as theirs can."""
    named = [each for each in signature(theirs) if each.kind is each.POSITIONAL_OR_KEYWORD]
    own = signature(ours)
    for position, each in enumerate(named):
        found = own[position] if position < len(own) else None
        if found is None or found.name != each.name:
            yield f"{where}: parameter {position} is not {each.name}"
        elif each.default is not each.empty and found.default is found.empty:
            yield f"{where}: {each.name} has no default"


def signature(function):
    return list(inspect.signature(function).parameters.values())


def main():
    warnings.simplefilter("ignore")
    lacking, told = {}, []
    notifications = {*importlib.import_module(FACADE).NOTIFICATIONS, "notify"}
    for part in MODULES:
        stock = importlib.import_module(f"{PACKAGE}{part}")
        facade = importlib.import_module(f"{FACADE}{part}")
        names = sorted(public_names(stock))
        lacking[part] = [name for name in names if not hasattr(facade, name)]
        for name in sorted(set(names) - set(lacking[part]) - notifications):
            told += differences(getattr(stock, name), getattr(facade, name), f"{part}:{name}")
    direct = {part: absent(part) for part in DIRECT}
    sys.stdout.write(json.dumps({"lacking": lacking, "differences": told, "direct": direct}) + "\n")


def absent(part):
    """Return what `import tracedrpc as messaging` does not give under the same path."""
    stock, ours = importlib.import_module(f"{PACKAGE}{part}"), importlib.import_module(f"tracedrpc{part}")
    return sorted(name for name in public_names(stock) if not hasattr(ours, name))


if __name__ == "__main__":
    main()
