"""`tracedrpc ping`: calls to a server's ping endpoint, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import tracedrpc as messaging
from tracedrpc.anatomy import anatomy_of
from tracedrpc_console.waterfall import milliseconds

if TYPE_CHECKING:
    from rich.console import Console

    from tracedrpc.message import Invocation

METHOD: Final = "oslo_rpc_server_ping"
_UNKNOWN: Final = ("NoSuchMethod", "UnsupportedVersion")
_NO_ENDPOINT: Final = (
    "a server answered, so it lives, but its ping endpoint is off: set rpc_ping_enabled = true "
    "(TRACEDRPC_RPC_PING_ENABLED=true) there"
)


class _Stopwatch(messaging.Telemetry):
    """Keeps the record of the last call."""

    def __init__(self) -> None:
        self.invocation: Invocation | None = None

    def call_finished(self, invocation: Invocation, error: BaseException | None) -> None:
        super().call_finished(invocation, error)
        self.invocation = invocation


def ping(console: Console, url: str, target: messaging.Target, timeout_s: float) -> int:
    """Ping a server, print how long it took, and return the exit status."""
    stopwatch = _Stopwatch()
    try:
        with messaging.get_rpc_transport(None, url, telemetry=stopwatch) as transport:
            client = messaging.get_rpc_client(transport, target, timeout=timeout_s)
            client.call({}, METHOD)  # connects
            first_ms = _took_ms(stopwatch.invocation)
            answer = client.call({}, METHOD)
    except messaging.RemoteError as error:
        return _failed(console, _NO_ENDPOINT if error.exc_type in _UNKNOWN else str(error))
    except (messaging.MessagingException, messaging.MessageUndeliverable) as error:
        return _failed(console, str(error))
    _show(console, f"{answer} from {_words(target)}", stopwatch.invocation, first_ms)
    return 0


def _show(console: Console, answer: str, invocation: Invocation | None, first_ms: float) -> None:
    took_ms = _took_ms(invocation)
    first = f"the first took {milliseconds(first_ms)}, with connecting"
    console.print(f"{answer} in {milliseconds(took_ms)} ({first})", markup=False)
    if invocation is None:
        return
    anatomy = anatomy_of(invocation)
    for phase in anatomy.phases:
        console.print(f"  {phase:<10}{milliseconds(anatomy.ms(phase)):>10}", markup=False)


def _took_ms(invocation: Invocation | None) -> float:
    return 0.0 if invocation is None else (invocation.ended_ns - invocation.started_ns) / 1e6


def _words(target: messaging.Target) -> str:
    return f"{target.topic} on {target.server}" if target.server else str(target.topic)


def _failed(console: Console, text: str) -> int:
    console.print(text, style="bold red", markup=False)
    return 1
