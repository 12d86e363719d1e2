"""Where exports come in, over whatever transport: checked, counted, and handed to the writer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships none

from tracedrpc_console.ingest.limits import BODY_MOST, sift
from tracedrpc_console.ingest.otlp_json import JsonError, from_json
from tracedrpc_console.ingest.packing import PackingError, TooLargeError, unpack
from tracedrpc_console.store.signals import REQUESTS, Request, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc_console.store.writer import Writer

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


class Verdict(Enum):
    """What becomes of an export."""

    TAKEN = "taken"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNKNOWN_TYPE = "unknown_type"
    FULL = "queue_full"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to an export.

    Attributes:
        verdict: whether it was taken.
        kept: records that will be stored.
        refused: records of it that will not.
        reason: why not, in words; "" when there is nothing to say.
    """

    verdict: Verdict
    kept: int = 0
    refused: int = 0
    reason: str = ""


class Intake:
    """Takes exports for a writer. Thread-safe, never waits.

    Args:
        writer: stores them.
        forward: called with (path, content type, encoding, body) of what was taken, as it
            came; must be quick.
    """

    def __init__(self, writer: Writer, forward: Callable[[str, str, str, bytes], None] | None = None) -> None:
        self._writer = writer
        self._forward = forward

    def accept(self, signal: Signal, content_type: str, encoding: str, body: bytes) -> Receipt:
        """Take an export as it comes from the network.

        Args:
            signal: what it is of.
            content_type: "application/x-protobuf" or "application/json", parameters may follow.
            encoding: "gzip", "deflate", "identity" or "".
            body: as it came.
        """
        kind = content_type.partition(";")[0].strip().lower()
        try:
            whole = unpack(body, encoding.strip().lower(), BODY_MOST)
            if kind == PROTOBUF:
                request = REQUESTS[signal].FromString(whole)
            elif kind == JSON:
                request = from_json(signal, whole)
            else:
                return self._refuse(signal, Verdict.UNKNOWN_TYPE, f"send {PROTOBUF} or {JSON}, not {kind!r}")
        except TooLargeError as error:
            return self._refuse(signal, Verdict.TOO_LARGE, str(error))
        except (PackingError, JsonError, DecodeError) as error:
            return self._refuse(signal, Verdict.MALFORMED, str(error))
        receipt = self.take(signal, request, len(whole))
        if receipt.verdict is Verdict.TAKEN and self._forward is not None:
            self._forward(f"/v1/{signal}", content_type, encoding, body)
        return receipt

    def take(self, signal: Signal, request: Request, size: int | None = None) -> Receipt:
        """Take an export that is a message already, which belongs to the intake from now on."""
        kept, refused = sift(signal, request)
        if kept and not self._writer.put(signal, request, kept, request.ByteSize() if size is None else size):
            self._writer.count_dropped(signal, Verdict.FULL.value, kept)
            return Receipt(Verdict.FULL, 0, kept, "the queue is full; send it again later")
        for reason, n in refused.items():
            self._writer.count_dropped(signal, reason, n)
        said = ", ".join(f"{n} {reason}" for reason, n in sorted(refused.items()))
        return Receipt(Verdict.TAKEN, kept, refused.total(), said and f"refused: {said}")

    def refuse_too_large(self, signal: Signal) -> Receipt:
        """Count an export that was not even read to its end."""
        reason = f"an export may have {BODY_MOST} bytes; send smaller batches"
        return self._refuse(signal, Verdict.TOO_LARGE, reason)

    def _refuse(self, signal: Signal, verdict: Verdict, reason: str) -> Receipt:
        """Count a whole export that cannot be read: nobody knows how many records it has."""
        self._writer.count_dropped(signal, verdict.value, 1)
        return Receipt(verdict, reason=reason)
