from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tracedrpc_console import processes
from tracedrpc_console.processes import Child, ChildFailed, Children

READY = "print('ready', flush=True)\n"
UNTIL_EOF = "import sys; sys.stdin.read()\n"
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "time.sleep(60)\n"


def start(children: Children, code: str) -> Child:
    return children.start("test", [sys.executable, "-c", code], os.environ)


def is_gone(child: Child) -> bool:
    return not Path(f"/proc/{child.pid}").exists()


def test_children_are_ready_and_then_ended() -> None:
    with Children() as children:
        two = [start(children, READY + UNTIL_EOF) for _ in range(2)]
        children.wait_ready()
        assert not any(map(is_gone, two))
    assert all(map(is_gone, two))


def test_a_child_that_ends_early_tells_why() -> None:
    with Children() as children:
        child = start(children, "raise SystemExit('no broker there')")
        with pytest.raises(ChildFailed, match="ended before it was ready\nno broker there"):
            children.wait_ready()
    assert is_gone(child)


def test_a_child_that_is_never_ready_is_not_waited_for_long() -> None:
    with Children() as children:
        child = start(children, UNTIL_EOF)
        with pytest.raises(ChildFailed, match="was not ready after 0 s"):
            children.wait_ready(0.3)
    assert is_gone(child)


def test_a_child_that_does_not_want_to_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_LIMIT_S", 0.3)
    with Children() as children:
        child = start(children, STUBBORN)
        children.wait_ready()
        began = time.monotonic()
    assert is_gone(child)
    assert time.monotonic() - began < 3
