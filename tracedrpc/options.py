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
    heartbeat_timeout_threshold: Annotated[float, Between(0)] = 15.0
    heartbeat_rate: Annotated[int, Between(1)] = 3
    connect_timeout: Annotated[float, Between(0.001)] = 5.0
    rabbit_login_method: Annotated[
        str, OneOf(("PLAIN", "AMQPLAIN", "EXTERNAL"), "the AMQP library knows no other"),
    ] = "AMQPLAIN"
    ssl: bool = False
    ssl_version: Annotated[
        str, OneOf(("", "SSLv23", "TLSv1_2", "TLSv1_3"), "older protocols are not safe", any_case=True),
    ] = ""
    ssl_key_file: str = ""
    ssl_cert_file: str = ""
    ssl_ca_file: str = ""
    ssl_enforce_fips_mode: bool = False
    kombu_reconnect_delay: Annotated[float, Between(0)] = 0.1
    kombu_reconnect_splay: Annotated[float, Between(0)] = 0.0
    rabbit_retry_interval: Annotated[float, Between(0)] = 0.0
    rabbit_retry_backoff: Annotated[float, Between(0)] = 0.0
    rabbit_interval_max: Annotated[float, Between(0.001)] = 5.0
    kombu_failover_strategy: Annotated[str, OneOf(("round-robin", "shuffle"))] = "round-robin"
    kombu_missing_consumer_retry_timeout: Annotated[float, Between(0)] = 60.0
    kombu_compression: Annotated[
        str, OneOf(("", "gzip", "zlib", "bz2", "bzip", "bzip2", "lzma", "xz")),
    ] = ""
    rabbit_qos_prefetch_count: Annotated[int, Between(0, 65535)] = 0
    amqp_durable_queues: bool = False
    amqp_auto_delete: bool = False
    rabbit_ha_queues: bool = False
    rabbit_quorum_queue: bool = False
    rabbit_transient_quorum_queue: bool = False
    rabbit_quorum_delivery_limit: Annotated[int, Between(0)] = 0
    rabbit_quorum_max_memory_length: Annotated[int, Between(0)] = 0
    rabbit_quorum_max_memory_bytes: Annotated[int, Between(0)] = 0
    rabbit_transient_queues_ttl: Annotated[int, Between(0)] = 1800
    rabbit_stream_fanout: bool = False
    enable_cancel_on_failover: bool = False
    use_queue_manager: bool = False
    hostname: str = ""
    processname: str = ""
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
        self._check_queue_types()

    def _check_queue_types(self) -> None:
        """Refuse what no queue can be; oslo.messaging or the broker would, when something is declared."""
        if self.rabbit_ha_queues and (self.rabbit_quorum_queue or self.rabbit_transient_quorum_queue):
            raise InvalidOption(
                "rabbit_ha_queues",
                "rabbit_ha_queues=True: a queue is mirrored or a quorum queue, not both; turn it off, since "
                "rabbit_quorum_queue and rabbit_transient_quorum_queue replicate as well",
            )
        if self.rabbit_quorum_queue and self.amqp_auto_delete:
            raise InvalidOption(
                "amqp_auto_delete",
                "amqp_auto_delete=True: RabbitMQ has no quorum queues that delete themselves; turn it off, "
                "or rabbit_quorum_queue",
            )


SPECS: Final = _settings.specs_of(Options)
DEFAULTS: Final = Options()

ACCEPTED: Final = frozenset({
    "direct_mandatory_flag", "heartbeat_in_pthread", "ssl_enforce_hostname_verification",
})
"""Switches of oslo.messaging that are read and change nothing: what they offer is always so here."""

_OWN_URL: Final = {name: spec for name, spec in SPECS.items() if name != "transport_url"}
"""What a URL may set: all but the URL."""


def set_default_control_exchange(control_exchange: str) -> None:
    """Set the exchange of targets that name none, for transports made from now on.

    An environment variable, a configuration object or an `Options` that sets it wins.
    """
    _settings.application_defaults["control_exchange"] = control_exchange


def load(
    conf: Any, query: Mapping[str, str], environ: Mapping[str, str] | None = None,
) -> Options:
    """Return the settings of a transport.

    Args:
        conf: None for the environment's, an `Options`, an oslo.config `ConfigOpts` (on which all
            options get registered), or any object whose attributes are options.
        query: the query part of the transport's URL; it overrides the others.
        environ: the environment; None for the process's own.

    Raises:
        InvalidOption: an unknown name or a bad value; the text says what would be right.
    """
    overrides = _settings.from_query(_OWN_URL, query, ACCEPTED)
    return Options(**_with_room(_base(conf, environ) | overrides))


def _base(conf: Any, environ: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the settings before the URL has its say."""
    if isinstance(conf, Options):
        return asdict(conf)
    return _settings.application_defaults | _chosen(conf, environ)


def _chosen(conf: Any, environ: Mapping[str, str] | None) -> dict[str, Any]:
    if conf is None:
        return _settings.from_environment(SPECS, os.environ if environ is None else environ)
    if not _settings.is_oslo_config(conf):
        return _settings.from_object(SPECS, conf)
    from tracedrpc import oslo_options  # noqa: PLC0415 - oslo.config is an extra

    oslo_options.register(conf)
    return {name: value for name, value in oslo_options.chosen(conf).items() if name in SPECS}


def _with_room(settings: dict[str, Any]) -> dict[str, Any]:
    """Let the pool hold its least number of connections when only that was chosen.

    The original's default size is larger than ours, so there the least number alone is enough.
    """
    least = settings.get("conn_pool_min_size")
    if "rpc_conn_pool_size" in settings or not isinstance(least, int):
        return settings
    return settings | {"rpc_conn_pool_size": max(least, DEFAULTS.rpc_conn_pool_size)}
