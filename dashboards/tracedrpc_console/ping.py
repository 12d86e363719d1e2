"""`tracedrpc ping`: one call to a server's ping endpoint, and where its time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import tracedrpc as messaging
from tracedrpc.semconv import PHASE_PREFIX
from tracedrpc_console.waterfall import milliseconds
from tracedrpc_otel.phases import client_phases

if TYPE_CHECKING:
    from rich.console import Console

    from tracedrpc.message import Invocation

METHOD: Final = "oslo_rpc_server_ping"
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
            answer = _warm_call(client)
    except messaging.NoSuchMethod:
        return _failed(console, _NO_ENDPOINT)
    except messaging.RemoteError as error:
        return _failed(console, _NO_ENDPOINT if error.exc_type == "NoSuchMethod" else str(error))
    except (messaging.MessagingException, messaging.MessageUndeliverable) as error:
        return _failed(console, str(error))
    where = f"{target.topic} on {target.server}" if target.server else target.topic
    invocation = stopwatch.invocation
    if invocation is None:
        return _failed(console, "the call left no record")
    took_ms = (invocation.ended_ns - invocation.started_ns) / 1e6
    console.print(f"{answer} from {where} in {milliseconds(took_ms)}", style="bold", markup=False)
    for name, value in client_phases(invocation, invocation.ended_ns).items():
        phase = name.removeprefix(PHASE_PREFIX).removesuffix("_ms")
        console.print(f"  {phase:<12}{milliseconds(float(str(value))):>10}", markup=False)
    return 0


def _warm_call(client: Any) -> Any:
    return client.call({}, METHOD)


def _failed(console: Console, text: str) -> int:
    console.print(text, style="bold red", markup=False)
    return 1
