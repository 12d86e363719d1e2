"""A client with those troubles that the example services do not have, in a process of its own until SIGTERM.

Run as `python -m tests.dashboards.troubled URL`.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading

import tracedrpc as messaging
import tracedrpc_otel

NOBODY = messaging.Target(topic="nobody")
HASTY_S = 0.3
PATIENT_S = 3.0


def a_message_for_nobody(url: str) -> None:
    """It is dropped when the transport is closed: no server has ever listened there."""
    with messaging.get_rpc_transport(None, url) as transport:
        messaging.get_rpc_client(transport, NOBODY, timeout=PATIENT_S).cast({}, "ask")


def a_broker_that_never_answers() -> None:
    """One thread connects for ever, with the pool's only connection; another waits for that in vain."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rabbit://127.0.0.1:{silent.getsockname()[1]}/?rpc_conn_pool_size=1"
        with messaging.get_rpc_transport(None, url) as transport:
            patient = threading.Thread(target=_cast, args=(transport, PATIENT_S))
            patient.start()
            connected, _ = silent.accept()  # the one connection is being made
            with connected:
                _cast(transport, HASTY_S)
            patient.join()


def a_broker_that_is_away() -> None:
    """A publish is tried again, until its time is over."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with messaging.get_rpc_transport(None, f"rabbit://127.0.0.1:{port}/") as transport:
        _cast(transport, HASTY_S)


def _cast(transport: messaging.Transport, timeout_s: float) -> None:
    with contextlib.suppress(messaging.MessageDeliveryFailure):
        messaging.get_rpc_client(transport, NOBODY, timeout=timeout_s).cast({}, "ask")


def main() -> None:
    """Have every trouble once, and let it be told until told to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    configured = tracedrpc_otel.configure(service_name="troubled")
    a_broker_that_is_away()
    a_message_for_nobody(sys.argv[1])
    a_broker_that_never_answers()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    configured.shutdown()


if __name__ == "__main__":
    main()
