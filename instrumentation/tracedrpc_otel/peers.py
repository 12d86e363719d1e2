"""Notices who else traces the same calls: their spans and ours would tell each call twice.

oslo.messaging's own tracing (`[oslo_messaging_tracing] tracing_enabled`) and the instrumentation
for it on PyPI trace what goes through oslo.messaging's classes, so they add to ours only where a
program runs on both, or where that instrumentation has wrapped classes of ours that stand in for
oslo.messaging's. Instrumentations of pika, aio-pika, kombu or py-amqp cannot: the driver writes
its frames itself.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv as names
from tracedrpc._log import WARNING, line
from tracedrpc.rpc.dispatcher import RPCDispatcher
from tracedrpc.rpc.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

STOCK: Final = "oslo_messaging._tracing.client"
INSTRUMENTATION: Final = "opentelemetry.instrumentation.oslo_messaging"
_WRAPPED: Final = (Transport, "_send"), (Transport, "_send_notification"), (RPCDispatcher, "dispatch")
"""What that instrumentation wraps, where a program's `oslo_messaging` is us."""

_lock: Final = threading.Lock()
_told: Final[set[str]] = set()


def look(conf: Any = None) -> None:
    """Say once for each peer that it is there, and take its wrappers off our own classes.

    Args:
        conf: what a transport is made from: None, an `Options` or an oslo.config `ConfigOpts`.
    """
    for peer, advice in _found(conf):
        with _lock:
            is_news = peer not in _told
            _told.add(peer)
        if is_news:
            line(WARNING, "peer_detected", {names.WHERE: peer, names.REASON: advice})


def _found(conf: Any) -> Iterator[tuple[str, str]]:
    if _is_enabled(conf):
        yield "[oslo_messaging_tracing] tracing_enabled", (
            "it does not trace tracedrpc, which traces its calls itself: set it to false"
        )
    client = sys.modules.get(STOCK)
    if getattr(client, "_TRACER", None) is not None:
        yield STOCK, "oslo.messaging traces its own calls in this process: set tracing_enabled to false"
    if _is_instrumenting():
        yield INSTRUMENTATION, (
            "it traces oslo.messaging's calls in this process: "
            "set OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=oslo_messaging"
        )
    if _unwrap():
        yield f"{INSTRUMENTATION} on tracedrpc", "its spans would double ours, so its wrappers are off"


def _is_enabled(conf: Any) -> bool:
    try:
        return conf.oslo_messaging_tracing.tracing_enabled is True
    except Exception:  # noqa: BLE001 - it may be any object, with or without that option
        return False


def _is_instrumenting() -> bool:
    """Tell whether that package's instrumentor is on; `BaseInstrumentor` keeps one instance."""
    module = sys.modules.get(f"{INSTRUMENTATION}.instrument")
    instance = getattr(getattr(module, "OsloMessagingInstrumentor", None), "_instance", None)
    return getattr(instance, "is_instrumented_by_opentelemetry", False) is True


def _unwrap() -> bool:
    """Put our own methods back; tell whether there was anything to do."""
    found = False
    for owner, name in _WRAPPED:
        method: Any = vars(owner).get(name)
        if _is_theirs(method):
            setattr(owner, name, method.__wrapped__)
            found = True
    return found


def _is_theirs(method: Any) -> bool:
    """Tell whether a method is wrapped by them; `_self_wrapper` is what wrapt calls the wrapper."""
    wrapper = getattr(method, "_self_wrapper", None)
    return str(getattr(wrapper, "__module__", "")).startswith(INSTRUMENTATION)
