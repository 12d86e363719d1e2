"""What must hold of the moments of connections, whatever has happened to them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracedrpc.testing import Moment, RecordingTelemetry

REASONS: Final = {"idle", "stale", "error", "pool_closed"}
ASKED: Final = {"acquire_started": 1, "connection_acquired": -1, "acquire_failed": -1}


def check_pairs(telemetry: RecordingTelemetry) -> None:
    """Check that everything that was begun has ended, once; call it when all is closed."""
    moments = list(telemetry.moments)
    check_acquires(moments)
    check_connections(moments)


def check_acquires(moments: list[Moment]) -> None:
    """Each thread that asked for a connection got one or did not, before it asked again."""
    waiting: Counter[tuple[str, int]] = Counter()
    for moment in moments:
        if moment.name in ASKED:
            # Threads of two transports are called the same.
            who = (moment.thread, id(moment.fields["pool"]))
            waiting[who] += ASKED[moment.name]
            assert waiting[who] in {0, 1}, moment
    assert not +waiting, waiting


def check_connections(moments: list[Moment]) -> None:
    """Each connection was created, then ready or failed, and each that was ready was closed, once."""
    states: dict[int, str] = {}
    steps = {
        ("", "connection_created"): "created",
        ("created", "connection_ready"): "ready",
        ("created", "connect_failed"): "ended",
        ("ready", "connection_closed"): "ended",
    }
    names = {name for _, name in steps}
    for moment in moments:
        if moment.name in names:
            number = moment.fields["connection"].id
            step = (states.get(number, ""), moment.name)
            assert step in steps, (step, moment)
            states[number] = steps[step]
            assert moment.name != "connection_closed" or moment.fields["reason"] in REASONS
    assert set(states.values()) <= {"ended"}, states
