"""Changes seeds at random: a short run without instrumentation, for every day."""

from __future__ import annotations

from pathlib import Path
from random import Random

HERE = Path(__file__).parent
PIECES = (
    b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud800", b"null", b"NaN", b"-1", b"1e999", b"9" * 40, b"\0",
    b"\xff", b"\xed\xa0\x80", b"\n", b"\x1b", b":", b",", b"%", b"@", b"//", b'"oslo.version"',
    b'"oslo.message"', b'"_msg_id"', b'"_reply_q"', b'"reply_1"', b'"_timeout"', b'"failure"', b'"class"',
    b'"module"', b'"args"', b'"kwargs"', b'"tb"', b'"builtins"', b'"SystemExit"', b"[" * 120,
)


def inputs_of(kind: str, target: str) -> list[bytes]:
    """Return the contents of a target's files, of the kind "seeds" or "crashes"."""
    return [path.read_bytes() for path in sorted((HERE / kind / target).glob("*"))]


def mutated(random: Random, seeds: list[bytes]) -> bytes:
    """Return one of the seeds, changed in a few places."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 6)):
        at = random.randint(0, len(data))
        until = min(len(data), at + random.choice((0, 0, 1, 1, 4, 30)))
        data[at:until] = random.choice((
            random.choice(PIECES), random.randbytes(random.randint(0, 4)), bytes(data[until : until + 20]),
            random.choice(seeds)[at:until + 10],
        ))
    return bytes(data)
