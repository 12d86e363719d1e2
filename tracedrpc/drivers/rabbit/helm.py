"""Who reads a link: its own thread, or a caller that waits while that thread is parked."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING

from tracedrpc.exceptions import MessagingException

if TYPE_CHECKING:
    from collections.abc import Callable


class Helm:
    """A lock that the link's thread holds, but for the time it is parked.

    Its thread calls `hold` and `park`; any other thread `steer` and `wake`. Whoever steers does so
    in an empty context: what it reads may be other people's.
    """

    def __init__(self) -> None:
        # Reentrant, because `release` then tells whether this thread holds it. That matters when a
        # signal handler interrupts between taking it and noting so.
        self._lock = threading.RLock()
        self._resume = threading.Event()
        self._context = contextvars.Context()
        self.reader = 0
        """The identity of the caller that steers; 0 when none does."""
        self.is_parked = False
        self.trouble: Exception | None = None
        """What a caller met and the thread must deal with; until it has, nobody reads."""

    def hold(self) -> None:
        """Take the helm for good; the thread, once, at its start."""
        self._lock.acquire()

    def park(self, is_idle: Callable[[], bool], wait_s: Callable[[], float]) -> None:
        """Leave the helm to callers until something is due or wrong, and take it back.

        Raises:
            Exception: what a caller met while it read.
        """
        self.is_parked = True
        self._lock.release()
        try:
            # Asked again: who came before the release could not take the helm.
            if is_idle():
                self._resume.wait(wait_s())
        finally:
            self._lock.acquire()
            self.is_parked = False
            self._resume.clear()
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble

    def wake(self) -> None:
        """Let the parked thread take the helm back soon."""
        self._resume.set()

    def is_mine(self) -> bool:
        """Tell whether this very thread steers, further up its stack."""
        return self.reader == threading.get_ident()

    def steer(self, read: Callable[[], None], needs_thread: Callable[[], bool]) -> None:
        """Read in the calling thread if nobody is at the helm; else return at once.

        What goes wrong is the thread's to mend, and the caller waits on as if it had not read.

        Args:
            read: reads until the caller has what it wants, or something is up.
            needs_thread: whether the thread should go on, asked when the helm is free again.

        Raises:
            MessagingException: this thread steers already: a signal handler has interrupted it.
        """
        if self.is_mine():
            raise MessagingException(
                "a call from a signal handler, while this thread waits for another call's reply, "
                "would wait for itself; make it from another thread",
            )
        try:
            if self._lock.acquire(blocking=False):
                self.reader = threading.get_ident()
                self._context.run(read)
        except Exception as error:  # noqa: BLE001 - other people's messages are read here, too
            self.trouble = error
        except BaseException:
            if self.is_mine():
                self.trouble = ConnectionResetError("interrupted in the middle of reading")
            raise
        finally:
            self._leave(needs_thread)

    def _leave(self, needs_thread: Callable[[], bool]) -> None:
        if self.is_mine():
            self.reader = 0
        try:
            self._lock.release()
        except RuntimeError:
            return  # another thread is at the helm
        if self.trouble is not None or needs_thread():
            self._resume.set()
