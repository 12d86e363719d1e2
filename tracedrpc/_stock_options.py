"""The options that services on oslo.messaging 18.3.1 set, and what each does here. Data only.

Names, types, defaults, ranges and former names are facts of that version, so that both libraries may
register them on one configuration object; `tests/unit/test_stock_options.py` compares. Where our
own default is another one (see `Options`), the default here only means that nobody has chosen.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class StockOption:
    """One option as a configuration file has it.

    Attributes:
        former: its name in older releases, still read.
        removal: why it does nothing any more; empty for those that do.
        sample: what a sample file shows in place of a default that depends on the machine.
    """

    name: str
    kind: type
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    former: str = ""
    removal: str = ""
    secret: bool = False
    sample: str = ""


DEFAULT: Final = (
    StockOption(
        "transport_url", str, "rabbit://",
        "Which driver and brokers to use: driver://user:password@host:port[,user:password@host:port...]"
        "/virtual_host?option=value. The query part sets options of this transport alone.", secret=True,
    ),
    StockOption(
        "control_exchange", str, "openstack", "The exchange of targets that name none.",
    ),
    StockOption(
        "rpc_response_timeout", int, 60,
        "Seconds that a call may take in all: waiting for a connection, connecting, publishing, reply.",
    ),
    StockOption(
        "executor_thread_pool_size", int, 64, "How many requests a server works on at once.",
        former="rpc_thread_pool_size",
    ),
    StockOption(
        "rpc_ping_enabled", bool, False, "Let servers answer the method oslo_rpc_server_ping.",
    ),
)
"""Options of the group [DEFAULT]."""

_LOGIN: Final = ("PLAIN", "AMQPLAIN", "EXTERNAL", "RABBIT-CR-DEMO")

RABBIT: Final = (
    # ---- connections
    StockOption(
        "rpc_conn_pool_size", int, 30,
        "Most connections to send on at once. When nobody has chosen: 8, which many threads share.", low=1,
    ),
    StockOption(
        "conn_pool_min_size", int, 2, "How many idle connections are kept. When nobody has chosen: 1.",
    ),
    StockOption("conn_pool_ttl", int, 1200, "Seconds after which an idle connection is closed."),
    StockOption(
        "heartbeat_timeout_threshold", int, 60,
        "Seconds of silence after which a connection counts as lost; 0 turns AMQP heartbeats off. "
        "When nobody has chosen: 15.",
    ),
    StockOption("heartbeat_rate", int, 3, "How many heartbeats are sent in that time."),
    StockOption(
        "rabbit_login_method", str, "AMQPLAIN",
        "How to log in. RABBIT-CR-DEMO is refused: the AMQP library does not know it.", choices=_LOGIN,
    ),
    # ---- TLS
    StockOption("ssl", bool, False, "Connect with TLS; the broker's certificate is always verified."),
    StockOption(
        "ssl_version", str, "",
        "Empty or SSLv23: the best that both sides know, from TLS 1.2 on. TLSv1_2 or TLSv1_3: that one "
        "only. Older ones are refused.",
    ),
    StockOption("ssl_key_file", str, "", "The private key of ssl_cert_file, PEM."),
    StockOption("ssl_cert_file", str, "", "The certificate that this side shows, PEM."),
    StockOption(
        "ssl_ca_file", str, "",
        "Certificates of the authorities to trust, PEM; empty for those that the system trusts.",
    ),
    StockOption(
        "ssl_enforce_hostname_verification", bool, True, "Accepted; the host's name is always verified.",
        removal="The host's name in the certificate is always verified",
    ),
    StockOption(
        "ssl_enforce_fips_mode", bool, False, "Refuse to use TLS unless OpenSSL runs in FIPS mode.",
        removal="OpenSSL 3 is put into FIPS mode by its own configuration; this only checks it",
    ),
    # ---- trying again
    StockOption(
        "kombu_reconnect_delay", float, 1.0,
        "Seconds between the first attempts to reconnect; the very first is made at once. When nobody "
        "has chosen: 0.1.", low=0, high=4.5,
    ),
    StockOption(
        "kombu_reconnect_splay", float, 0.0,
        "Up to so many seconds more, at random, before each attempt, the first included.", low=0,
    ),
    StockOption(
        "rabbit_retry_interval", int, 1, "Seconds added to kombu_reconnect_delay. When nobody has chosen: 0.",
        low=1,
    ),
    StockOption(
        "rabbit_retry_backoff", int, 2,
        "Seconds that each pause is longer than the one before, besides growing by a factor of 1.6. "
        "When nobody has chosen: 0.", low=0,
    ),
    StockOption(
        "rabbit_interval_max", int, 30,
        "Longest pause between attempts, in seconds. When nobody has chosen: 5.", low=1,
    ),
    StockOption(
        "kombu_failover_strategy", str, "round-robin",
        "Which broker of the URL is tried after a failure: the next one, or any other.",
        choices=("round-robin", "shuffle"),
    ),
    StockOption(
        "kombu_missing_consumer_retry_timeout", int, 60,
        "Seconds for which a reply is kept whose queue does not exist.", former="kombu_reconnect_timeout",
    ),
    StockOption(
        "direct_mandatory_flag", bool, True, "Accepted; the broker always says when a reply has no queue.",
        removal="Replies are always published as mandatory",
    ),
    # ---- messages
    StockOption("kombu_compression", str, None, "Compress messages: gzip or bz2; empty for not."),
    StockOption(
        "rabbit_qos_prefetch_count", int, 0,
        "Most requests that a server has been sent and not begun; 0 for a tenth more than its workers.",
    ),
    # ---- queues
    StockOption(
        "amqp_durable_queues", bool, False,
        "Topic queues and their exchange outlive a restart of the broker.",
    ),
    StockOption(
        "amqp_auto_delete", bool, False, "Topic queues and their exchange go with their last user.",
    ),
    StockOption(
        "rabbit_ha_queues", bool, False,
        "Declare queues with x-ha-policy, which RabbitMQ ignores from 3.0 on: use quorum queues.",
    ),
    StockOption(
        "rabbit_quorum_queue", bool, False, "Topic queues are replicated: quorum queues, always durable.",
    ),
    StockOption(
        "rabbit_transient_quorum_queue", bool, False,
        "Reply and fanout queues are quorum queues; use_queue_manager spares the broker ever new names.",
    ),
    StockOption(
        "rabbit_quorum_delivery_limit", int, 0,
        "How often a quorum queue delivers a message again before it drops it; 0 for the broker's limit.",
    ),
    StockOption(
        "rabbit_quorum_max_memory_length", int, 0,
        "Most messages of a quorum queue kept in memory; 0 for no limit.",
    ),
    StockOption(
        "rabbit_quorum_max_memory_bytes", int, 0,
        "Most bytes of a quorum queue kept in memory; 0 for no limit.",
    ),
    StockOption(
        "rabbit_transient_queues_ttl", int, 1800,
        "Seconds after which an unused reply or fanout queue goes, or a message in a fanout stream; 0 for "
        "never.", low=0,
    ),
    StockOption(
        "rabbit_stream_fanout", bool, False,
        "One stream for each topic in place of a fanout queue for each server; for all its clients and "
        "servers alike.",
    ),
    StockOption(
        "enable_cancel_on_failover", bool, False,
        "The broker ends the consumers of a mirrored queue that fails over; they begin anew.",
    ),
    StockOption(
        "use_queue_manager", bool, False,
        "Name reply and fanout queues after host and process, so that they are used again after a restart.",
    ),
    StockOption(
        "hostname", str, socket.gethostname(), "The host in those names.", sample="node1.example.com",
    ),
    StockOption(
        "processname", str, os.path.basename(sys.argv[0]), "The process in those names.",  # noqa: PTH119
        sample="compute",
    ),
)
"""Options of the group [oslo_messaging_rabbit]."""

OWN: Final = (
    StockOption(
        "connect_timeout", float, 5.0,
        "Most seconds that one attempt to connect may take, with name look-up, TLS and log-in.", low=0.001,
    ),
    StockOption(
        "dedup_window", float, 600.0,
        "Seconds for which a server remembers requests, to run each once; 0 turns that off.", low=0,
    ),
    StockOption("dedup_most", int, 100_000, "Most requests that are remembered.", low=0),
    StockOption(
        "max_message_size", int, 16 * 1024 * 1024, "Largest message sent or accepted, in bytes.", low=1024,
    ),
    StockOption(
        "context_carrier", bool, True,
        "Send the trace's identity in the context, too, for peers that look for it there.",
    ),
    StockOption(
        "slow_call_threshold", float, 1.0,
        "Seconds from which on a call counts as slow and is told with a warning; 0 for never.", low=0,
    ),
)
"""Options that oslo.messaging does not have, of the group [tracedrpc]."""

GROUPS: Final = ((None, DEFAULT), ("oslo_messaging_rabbit", RABBIT), ("tracedrpc", OWN))
