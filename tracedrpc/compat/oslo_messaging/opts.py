"""`oslo_messaging.opts`. Needs the package `oslo.config`."""

from __future__ import annotations

import importlib
from typing import Any

from tracedrpc import oslo_options
from tracedrpc.compat import _stock

__all__ = ["list_opts", "set_defaults"]


def list_opts() -> list[tuple[str | None, list[Any]]]:
    """Return every option by group: ours, and those of notifications where oslo.messaging is installed."""
    options: list[tuple[str | None, list[Any]]] = oslo_options.list_opts()
    if _stock.is_there():
        ours = {group for group, _ in options}
        stock = importlib.import_module(f"{_stock.STOCK}.opts").list_opts()
        options += [(group, theirs) for group, theirs in stock if group not in ours]
    return options


def set_defaults(conf: Any, executor_thread_pool_size: int | None = None) -> None:
    """Change the default of `executor_thread_pool_size` on a configuration object."""
    if executor_thread_pool_size is not None:
        conf.set_default("executor_thread_pool_size", executor_thread_pool_size)
