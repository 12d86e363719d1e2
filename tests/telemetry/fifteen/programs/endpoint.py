"""What the servers of these tests offer."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict

import tracedrpc

_log = logging.getLogger("app")


class Endpoint:
    """Methods that return, sleep, wait to be released, raise or speak.

    Args:
        say: how to report what happens in a handler: `say(event=..., key=...)`.
    """

    def __init__(self, say):
        self._say = say
        self._lock = threading.Lock()
        self._gates = defaultdict(threading.Event)

    def _gate(self, key):
        with self._lock:
            return self._gates[key]

    def release(self, key):
        """Let the handlers that hold this key return."""
        self._gate(key).set()

    def release_all(self):
        """Let every handler return."""
        with self._lock:
            gates = list(self._gates.values())
        for gate in gates:
            gate.set()

    # ---- methods ------------------------------------------------------------------------------

    def echo(self, ctxt, value=None):
        return value

    def swallow(self, ctxt, value):
        return len(value)

    def answer(self, ctxt, value, other, with_):
        return with_[::-1]

    def nap(self, ctxt, ms):
        time.sleep(ms / 1e3)
        return ms

    def hold(self, ctxt, key):
        self._say(event="entered", key=key, at_ns=time.monotonic_ns())
        self._gate(key).wait(30)
        return key

    def note(self, ctxt, key):
        self._say(event="noted", key=key)

    def context(self, ctxt):
        return ctxt

    def speak(self, ctxt, text):
        _log.warning(text)

    def fail(self, ctxt, text="as asked"):
        raise ValueError(text)

    def leave(self, ctxt):
        raise SystemExit(3)

    @tracedrpc.expected_exceptions(LookupError)
    def miss(self, ctxt, text="nothing there"):
        raise LookupError(text)
