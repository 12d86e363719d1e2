"""How many operations are under way, without a lock on their way."""

from __future__ import annotations


class InHand:
    """Counts what has begun and not ended; any thread.

    By address, so that nothing is kept alive. What an interrupt kept from ending counts until the
    next operation at its address ends.
    """

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun: set[int] = set()

    def begin(self, operation: object) -> None:
        """Count it from now on."""
        self._begun.add(id(operation))

    def end(self, operation: object) -> None:
        """Count it no more; harmless when it was not counted."""
        self._begun.discard(id(operation))

    def forget(self) -> None:
        """Start from nothing, in a child process."""
        self._begun = set()

    def __len__(self) -> int:
        return len(self._begun)
