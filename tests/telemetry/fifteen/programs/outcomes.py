"""What came of a call, as JSON."""

from __future__ import annotations

import copy
import time

FIELDS = (
    "phase", "method", "msg_id", "reply_queue", "elapsed_s", "last_heartbeat_age_s", "queue_messages",
    "queue_consumers",
)


def outcome_of(send, ctxt, method, args):
    """Send, and return the result or what the exception says; times are `monotonic_ns`.

    `intact` tells whether context and arguments are afterwards what they were before.
    """
    before = copy.deepcopy((ctxt, args))
    began_ns = time.monotonic_ns()
    try:
        told = {"ok": True, "result": send(ctxt, method, **args)}
    except Exception as error:  # noqa: BLE001 - it is what is tested
        fields = {name: getattr(error, name) for name in FIELDS if hasattr(error, name)}
        told = {"ok": False, "error": type(error).__name__, "text": str(error), "fields": fields}
    ended_ns = time.monotonic_ns()
    intact = repr((ctxt, args)) == repr(before)
    return told | {"began_ns": began_ns, "ended_ns": ended_ns, "intact": intact}
