"""What a server goes through, from any thread and in any order."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

from tracedrpc.exceptions import TaskTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracedrpc._deadline import Deadline


class State(Enum):
    """Where a server stands; in those that end in "ing" one thread is at work on it."""

    NEW = "new"
    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """It receives nothing more; requests may still be running."""
    CLOSING = "closing"
    CLOSED = "closed"


SETTLED: Final = frozenset({State.NEW, State.SERVING, State.STOPPED, State.CLOSED})
ENDED: Final = frozenset({State.STOPPED, State.CLOSED})


class Lifecycle:
    """A state that one thread at a time changes, while the others wait."""

    def __init__(self) -> None:
        # Reentrant: a signal handler may stop a server in the thread that is about to wait for it.
        self._changed = threading.Condition(threading.RLock())
        self.state = State.NEW

    @contextmanager
    def step(
        self,
        steps: Mapping[State, State],
        through: State,
        deadline: Deadline,
        *,
        await_states: frozenset[State] = SETTLED,
        failed: State = State.STOPPED,
    ) -> Iterator[bool]:
        """Wait for one of some states, then change it around the block.

        Args:
            steps: from which state to which; in any other there is nothing to do.
            through: the state while the block runs.
            deadline: the longest wait for other threads.
            await_states: what to wait for.
            failed: the state after a block that raised.

        Yields:
            whether the block has something to do.

        Raises:
            TaskTimeout: the state was not reached in time.
        """
        after = self._enter(steps, through, deadline, await_states)
        if after is None:
            yield False
            return
        try:
            yield True
        except BaseException:
            self._settle(failed)
            raise
        self._settle(after)

    def _enter(
        self,
        steps: Mapping[State, State],
        through: State,
        deadline: Deadline,
        await_states: frozenset[State],
    ) -> State | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self.state in await_states, deadline.limit_s()):
                raise TaskTimeout(f"gave up waiting: the server is {self.state.value}")
            after = steps.get(self.state)
            if after is not None:
                self.state = through
            return after

    def _settle(self, state: State) -> None:
        with self._changed:
            self.state = state
            self._changed.notify_all()
