"""How many operations are under way, without a lock on their way."""

from __future__ import annotations


class InHand:
    """Counts what has begun and not ended; any thread.

    By `id`, so that nothing is kept alive. What an interrupt kept from ending counts until the next
    operation at its address ends.

    Attributes:
        begin: counts the operation with this id from now on.
        end: counts it no more; harmless when it was not counted.
    """

    __slots__ = ("_begun", "begin", "end")

    def __init__(self) -> None:
        self._begun: set[int] = set()
        # Of every call: the set's own methods save two of ours.
        self.begin = self._begun.add
        self.end = self._begun.discard

    def forget(self) -> None:
        """Start from nothing, in a child process."""
        self._begun.clear()

    def __len__(self) -> int:
        return len(self._begun)
