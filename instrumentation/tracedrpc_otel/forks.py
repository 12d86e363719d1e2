"""What objects do when their process forks."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, Self
from weakref import WeakMethod, ref

from tracedrpc._deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_S: Final = 1.0
"""Longest time that a fork waits at all gates together."""


def weakly(method: Callable[[], object]) -> Callable[[], None]:
    """Return a function for `os.register_at_fork` that does not keep the method's object alive.

    What is registered there can never be taken back.
    """
    reference = WeakMethod(method)

    def run() -> None:
        found = reference()
        if found is not None:
            found()

    return run


class Gate:
    """Inside `with gate`, a fork by another thread waits, for a second at the most.

    For work that takes locks which are not ours, of the SDK or of an import: a child made in the
    middle would have them locked for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_held = False
        _gates.append(ref(self))

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()

    def close(self, timeout_s: float) -> None:
        """Let nobody in while the process forks."""
        self._is_held = self._lock.acquire(timeout=timeout_s)

    def open(self) -> None:
        """Let others in again; in the parent."""
        if self._is_held:
            self._lock.release()

    def renew(self) -> None:
        """Begin anew, whoever was inside; in the child."""
        self._lock = threading.RLock()


_gates: Final[list[ref[Gate]]] = []


def _all_gates() -> list[Gate]:
    return [gate for reference in _gates[:] if (gate := reference()) is not None]


def _before_fork() -> None:
    deadline = Deadline.after(WAIT_S)
    for gate in _all_gates():
        gate.close(deadline.left_s())


def _in_parent() -> None:
    for gate in _all_gates():
        gate.open()


def _in_child() -> None:
    for gate in _all_gates():
        gate.renew()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
