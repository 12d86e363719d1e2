"""Settings: read once, checked at the door, then trusted."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from tracedrpc import _settings
from tracedrpc._settings import Between, OneOf
from tracedrpc.exceptions import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every setting of a transport, under oslo.messaging's names where it has one.

    Give it as `conf`, or give None and set `TRACEDRPC_<NAME>` in the environment; the query part
    of the transport's URL overrides both. Times are in seconds, sizes in bytes.

    A call, on its client, and a request, on its server, that takes `slow_call_threshold` or longer
    is told in full, with a warning that says where its time went; 0 for never.

    Raises:
        InvalidOption: a value is not of its type or out of range.
    """

    transport_url: str = "rabbit://"
    control_exchange: str = "openstack"
    rpc_response_timeout: Annotated[float, Between(0)] = 60.0
    executor_thread_pool_size: Annotated[int, Between(1)] = 64
    rpc_ping_enabled: bool = False

    rpc_conn_pool_size: Annotated[int, Between(1)] = 8
    conn_pool_min_size: Annotated[int, Between(0)] = 1
    conn_pool_ttl: Annotated[float, Between(0)] = 1200.0
    ssl: bool = False
    ssl_version: str = ""
    ssl_key_file: str = ""
    ssl_cert_file: str = ""
    ssl_ca_file: str = ""
    heartbeat_timeout_threshold: Annotated[float, Between(0)] = 15.0
    heartbeat_rate: Annotated[int, Between(1)] = 3
    connect_timeout: Annotated[float, Between(0.001)] = 5.0
    kombu_reconnect_delay: Annotated[float, Between(0)] = 0.1
    kombu_reconnect_max_delay: Annotated[float, Between(0)] = 5.0
    kombu_compression: Annotated[str, OneOf(("", "gzip", "bz2"))] = ""
    kombu_missing_consumer_retry_timeout: Annotated[float, Between(0)] = 60.0
    kombu_failover_strategy: Annotated[str, OneOf(("round-robin", "shuffle"))] = "round-robin"
    rabbit_login_method: Annotated[
        str, OneOf(("PLAIN", "AMQPLAIN", "EXTERNAL", "RABBIT-CR-DEMO")),
    ] = "AMQPLAIN"
    rabbit_qos_prefetch_count: Annotated[int, Between(0, 65535)] = 0
    rabbit_quorum_queue: bool = False
    rabbit_transient_quorum_queue: bool = False
    rabbit_quorum_delivery_limit: Annotated[int, Between(0)] = 0
    rabbit_quorum_max_memory_length: Annotated[int, Between(0)] = 0
    rabbit_quorum_max_memory_bytes: Annotated[int, Between(0)] = 0
    rabbit_transient_queues_ttl: Annotated[int, Between(0)] = 1800
    amqp_durable_queues: bool = False
    amqp_auto_delete: bool = False
    dedup_window: Annotated[float, Between(0)] = 600.0
    dedup_most: Annotated[int, Between(0)] = 100_000
    max_message_size: Annotated[int, Between(1024)] = 16 * 1024 * 1024
    context_carrier: bool = True
    slow_call_threshold: Annotated[float, Between(0)] = 1.0

    def __post_init__(self) -> None:
        for name, spec in SPECS.items():
            spec.check(getattr(self, name))
        if self.conn_pool_min_size > self.rpc_conn_pool_size:
            raise InvalidOption(
                "conn_pool_min_size",
                f"conn_pool_min_size={self.conn_pool_min_size} is above "
                f"rpc_conn_pool_size={self.rpc_conn_pool_size}: lower it, or raise the other",
            )


SPECS: Final = _settings.specs_of(Options)

IGNORED: Final = frozenset({
    "direct_mandatory_flag", "enable_cancel_on_failover", "heartbeat_in_pthread", "hostname",
    "kombu_reconnect_splay", "processname", "rabbit_ha_queues", "rabbit_interval_max",
    "rabbit_retry_backoff", "rabbit_retry_interval", "rabbit_stream_fanout",
    "ssl_enforce_fips_mode", "ssl_enforce_hostname_verification", "use_queue_manager",
})
"""Options of oslo.messaging 18.3.1 that a URL may set and that change nothing here."""

_OWN_URL: Final = {name: spec for name, spec in SPECS.items() if name != "transport_url"}
"""What a URL may set: all but the URL."""

_transport_defaults: Final[dict[str, Any]] = {}


def set_default_control_exchange(control_exchange: str) -> None:
    """Set the exchange of targets that name none, for transports made from now on.

    An environment variable, a configuration object or an `Options` that sets it wins.
    """
    _transport_defaults["control_exchange"] = control_exchange


def load(
    conf: Any, query: Mapping[str, str], environ: Mapping[str, str] | None = None,
) -> Options:
    """Return the settings of a transport.

    Args:
        conf: None for the environment's, an `Options`, or any object whose attributes are
            options, such as oslo.config's `ConfigOpts`.
        query: the query part of the transport's URL; it overrides the others.
        environ: the environment; None for the process's own.

    Raises:
        InvalidOption: an unknown name or a bad value; the text says what would be right.
    """
    overrides = _settings.from_query(_OWN_URL, query, IGNORED)
    return Options(**(_base(conf, environ) | overrides))


def _base(conf: Any, environ: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the settings before the URL has its say."""
    if isinstance(conf, Options):
        return asdict(conf)
    if conf is None:
        source = os.environ if environ is None else environ
        return _transport_defaults | _settings.from_environment(SPECS, source)
    return _transport_defaults | _settings.from_object(SPECS, conf)
