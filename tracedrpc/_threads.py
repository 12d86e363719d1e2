"""The only place where threads are born: named, daemonic, in an empty context."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def start(name: str, run: Callable[[], None]) -> threading.Thread:
    """Start a thread called `tracedrpc-<name>` and return it.

    It starts in an empty `contextvars` context: a thread that is started lazily inside somebody's
    request must not carry that request's trace for the rest of its life.
    """
    context = contextvars.Context()
    thread = threading.Thread(target=context.run, args=(run,), name=f"tracedrpc-{name}", daemon=True)
    thread.start()
    return thread
