"""Settings: read once, checked at the door, then trusted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every setting of a transport, under oslo.messaging's names where it has one.

    Give it as `conf`, or give None and set `TRACEDRPC_<NAME>` in the environment; the query part
    of the transport's URL overrides both.
    """

    transport_url: str = "rabbit://"
    control_exchange: str = "openstack"
    rpc_response_timeout: float = 60.0
    executor_thread_pool_size: int = 64
    rpc_ping_enabled: bool = False

    rpc_conn_pool_size: int = 8
    conn_pool_min_size: int = 1
    conn_pool_ttl: float = 1200.0
    ssl: bool = False
    ssl_version: str = ""
    ssl_key_file: str = ""
    ssl_cert_file: str = ""
    ssl_ca_file: str = ""
    heartbeat_timeout_threshold: float = 15.0
    heartbeat_rate: int = 3
    connect_timeout: float = 5.0
    kombu_reconnect_delay: float = 0.1
    kombu_reconnect_max_delay: float = 5.0
    kombu_compression: str = ""
    kombu_missing_consumer_retry_timeout: float = 60.0
    kombu_failover_strategy: str = "round-robin"
    rabbit_login_method: str = "AMQPLAIN"
    rabbit_qos_prefetch_count: int = 0
    rabbit_quorum_queue: bool = False
    rabbit_transient_queues_ttl: int = 1800
    amqp_durable_queues: bool = False
    amqp_auto_delete: bool = False
    dedup_window: float = 600.0
    dedup_most: int = 100_000
    max_message_size: int = 16 * 1024 * 1024
    context_carrier: bool = True
