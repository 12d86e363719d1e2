"""Dashboard 3, connections and broker: pools, connections, heartbeats, messages, queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana.links import Look, events
from grafana.lists import log_lines, metric_table, words
from grafana.page import choice, laid_out, page, services
from grafana.panels import graph, number, row
from grafana.telling import AMBER, FULL, HALF, RED, Query

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

UID: Final = "tracedrpc-transport"
OURS: Final = '{service_name=~"$service"}'
PURPOSE, REASON = "tracedrpc_connection_purpose", "tracedrpc_reason"
EVERYWHERE: Final = '0 * sum by (service_name) (tracedrpc_client_connection_max{service_name=~"$service"})'
"""A zero for each service: counters with reasons begin to exist when something happens."""
CONNECTIONS: Final = events("connection_lost", "connect_failed", "connection_ready", "consumer_cancelled")
POOL: Final = events("acquire_failed", "call_finished", tags="tracedrpc.pool.name=send")
BEATS: Final = events("call_timed_out", tags="tracedrpc.timeout.phase=heartbeat_lost")
MESSAGES: Final = events("publish_retried", "message_returned", "message_dropped", "message_discarded")
BROKER: Final = events("connection_blocked", "connection_lost", "connect_failed")
NEXT: Final = """\
* **Threads wait for connections**: one thread may hold one for long (big messages); raise \
`rpc_conn_pool_size`, or give uploads a transport of their own.
* **Connections are lost by all services at once**: the broker or the network; by one: its host, or its \
threads are starved.
* **Messages and no consumer**: the server is down, or listens to another topic. **Consumers and a growing \
queue**: its workers are busy.
* **Heartbeats sent and not received**: the callers' reply queues are gone; look for `connection_lost` of \
purpose `replies`.
"""


def dashboard() -> Dashboard:
    """Return it."""
    made = page(UID, "tracedrpc: connections and broker",
                "Pools, connections, heartbeats, messages and RabbitMQ's queues.")
    for variable in services("tracedrpc_client_connection_max"):
        made.with_variable(variable)
    made.with_variable(choice("queue", "queue", "label_values(rabbitmq_detailed_queue_consumers, queue)"))
    return laid_out(made, [*_numbers(), words(NEXT, look=BROKER), *_pools(), *_connections(), *_heartbeats(),
                           *_messages(), *_broker()])


def _rate(metric: str, *by: str) -> str:
    return f"sum by ({', '.join(('service_name', *by))}) (rate({metric}{OURS}[$__rate_interval]))"


def _numbers() -> list[object]:
    orphaned = (
        'count((rabbitmq_detailed_queue_messages_ready{queue!~"reply_.*"} > 0) '
        "and on (instance, vhost, queue) (rabbitmq_detailed_queue_consumers == 0)) or vector(0)"
    )
    return [
        number("Fullest pool", "percentunit", "Connections in use, of those that the pool may have.",
               f"max(instance_pool:tracedrpc_client_connection:saturation{OURS})", look=POOL,
               steps=((0.7, AMBER), (0.9, RED))),
        number("Waiting threads", "short", "Threads that wait for a connection now.",
               f"sum(tracedrpc_client_connection_pending_requests{OURS})", look=POOL,
               steps=((1, AMBER), (10, RED))),
        number("Lost in 10 min", "short", "Connections that broke in the last ten minutes.",
               f"sum(increase(tracedrpc_connection_lost_total{OURS}[10m])) or vector(0)", look=CONNECTIONS,
               steps=((1, AMBER), (10, RED))),
        number("Blocked", "short", "Connections on which the broker takes no messages now.",
               f"sum(tracedrpc_connection_blocked{OURS})", look=BROKER, steps=((1, RED),)),
        number("Queues nobody reads", "short", "Queues with messages and without a consumer.", orphaned,
               look=MESSAGES, steps=((1, RED),)),
        number("Broker's memory left", "bytes", "Until RabbitMQ blocks publishers; the least of all nodes.",
               "min(rabbitmq_resident_memory_limit_bytes - rabbitmq_process_resident_memory_bytes)",
               look=BROKER),
    ]


def _pools() -> list[object]:
    waited = f"rate(tracedrpc_client_connection_wait_time_seconds_bucket{OURS}[$__rate_interval])"
    by_state = "sum by (service_name, tracedrpc_pool_name, tracedrpc_connection_state)"
    limit = f"sum by (service_name, tracedrpc_pool_name) (tracedrpc_client_connection_max{OURS})"
    kept = f"sum by (service_name, tracedrpc_pool_name) (tracedrpc_client_connection_idle_min{OURS})"
    ended = 'service_pool:tracedrpc_client_connection_timeouts:increase10m{service_name=~"$service"}'
    return [
        row("Pools"),
        graph("Connections of pools", "short",
              "Used and idle ones, the most there may be, and those that are kept.",
              Query(f"{by_state} (tracedrpc_client_connection_count{OURS})",
                    "{{service_name}} {{tracedrpc_connection_state}}"),
              Query(limit, "{{service_name}} most"), Query(kept, "{{service_name}} kept"), look=POOL),
        graph("Waiting threads", "short", "Threads that wait for a connection, by process.",
              Query(f"sum by (service_name, instance) (tracedrpc_client_connection_pending_requests{OURS})",
                    "{{service_name}} {{instance}}"),
              look=POOL, steps=((1, AMBER),)),
        graph("p95 of waiting", "s",
              "Of threads that had to wait for a connection, by how it ended; connecting included.",
              Query(f"histogram_quantile(0.95, sum by (service_name, tracedrpc_pool_result, le) ({waited}))",
                    "{{service_name}} {{tracedrpc_pool_result}}", exemplars=True), look=POOL),
        graph("Connections in use", "short",
              "Mean number in threads' hands: the rate of the time they were used.",
              Query(_rate("tracedrpc_client_connection_use_time_seconds_total", "tracedrpc_pool_name"),
                    "{{service_name}}"), look=POOL),
        graph("Handed to threads", "cps", "Connections that threads got from pools.",
              Query(_rate("tracedrpc_client_connection_acquired_total", "tracedrpc_pool_name"),
                    "{{service_name}}"), look=POOL),
        graph("Threads without a connection", "short",
              "In ten minutes, those whose time was over before they had one.",
              Query(f"{ended} or {EVERYWHERE}", "{{service_name}} {{tracedrpc_pool_name}}"), look=POOL,
              steps=((1, RED),)),
    ]


def _connections() -> list[object]:
    made = f"rate(tracedrpc_client_connection_create_time_seconds_bucket{OURS}[$__rate_interval])"
    purpose = "{{service_name}} {{tracedrpc_connection_purpose}}"
    return [
        row("Connections"),
        graph("Lost", "cps", "Connections that broke, by purpose and reason; 0 where none did.",
              Query(f"{_rate('tracedrpc_connection_lost_total', PURPOSE, REASON)} or {EVERYWHERE}",
                    purpose + " {{tracedrpc_reason}}"), look=CONNECTIONS),
        graph("Could not be made", "cps", "Failed attempts, by address and reason; 0 where none did.",
              Query(f"{_rate('tracedrpc_connect_failed_total', 'server_address', REASON)} or {EVERYWHERE}",
                    "{{service_name}} {{server_address}} {{tracedrpc_reason}}"), look=CONNECTIONS),
        graph("Made again", "cps", "Reconnects, by purpose.",
              Query(f"{_rate('tracedrpc_connection_reconnects_total', PURPOSE)} or {EVERYWHERE}", purpose),
              look=CONNECTIONS),
        graph("Closed", "cps", "Connections that are gone, by reason: idle, stale, error, pool_closed.",
              Query(f"{_rate('tracedrpc_connection_closed_total', 'tracedrpc_reason')} or {EVERYWHERE}",
                    "{{service_name}} {{tracedrpc_reason}}"), look=CONNECTIONS),
        graph("p95 of connecting", "s", "TCP, TLS, AMQP handshake and channel together.",
              Query(f"histogram_quantile(0.95, sum by (service_name, tracedrpc_connection_purpose, le) "
                    f"({made}))", purpose, exemplars=True),
              look=CONNECTIONS),
        graph("Blocked", "short",
              "Connections on which the broker takes no messages: an alarm for memory or disk.",
              Query(f"sum by (service_name) (tracedrpc_connection_blocked{OURS})", "{{service_name}}"),
              look=BROKER,
              steps=((1, RED),)),
    ]


def _heartbeats() -> list[object]:
    phases = 'service_phase:tracedrpc_client_timeouts:increase10m{service_name=~"$service"}'
    return [
        row("Heartbeats and time-outs"),
        graph("Heartbeats of monitored calls", "cps",
              "Signs of life that servers sent and callers received: both should be alike.",
              Query("sum(rate(tracedrpc_server_heartbeats_total[$__rate_interval]))", "sent"),
              Query("sum(rate(tracedrpc_client_heartbeats_total[$__rate_interval]))", "received"),
              look=BEATS),
        graph("Time-outs by phase", "short",
              "In ten minutes, by how far the calls had come; docs/runbooks.md explains each phase.",
              Query(f"{phases} or {EVERYWHERE}", "{{service_name}} {{tracedrpc_timeout_phase}}"),
              look=events("call_timed_out", tags="tracedrpc.sampling.keep_reason=timeout"),
              steps=((3, AMBER),)),
    ]


def _messages() -> list[object]:
    def line(metric: str, what: str, *by: str) -> Query:
        legend = " ".join((f"{what}: {{{{service_name}}}}", *(f"{{{{{label}}}}}" for label in by)))
        return Query(f"{_rate(metric, *by)} or {EVERYWHERE}", legend)

    return [
        row("Messages"),
        graph("Sent with trouble", "cps",
              "Publishes tried again, messages without a queue, messages given up.",
              line("tracedrpc_publish_retries_total", "retried", REASON),
              line("tracedrpc_message_returned_total", "no queue"),
              line("tracedrpc_message_dropped_total", "given up", REASON), look=MESSAGES),
        graph("Received with trouble", "cps",
              "Messages that were refused or had been seen, requests delivered again.",
              line("tracedrpc_message_discarded_total", "refused", REASON),
              line("tracedrpc_request_redelivered_total", "again"),
              look=events("message_discarded", "request_redelivered", tags="tracedrpc.redelivered=true")),
    ]


def _broker() -> list[object]:
    queue = '{queue=~"$queue"}'
    total = "sum(rate(rabbitmq_global_messages_{}_total[$__rate_interval]))"
    columns = [
        (f"sum by (vhost, queue) (rabbitmq_detailed_queue_{metric}{queue})", heading, "short")
        for metric, heading in (("messages_ready", "waiting"), ("messages_unacked", "in hand"),
                                ("consumers", "consumers"))
    ]
    return [
        row("RabbitMQ"),
        metric_table("Queues", "Messages that wait, messages that servers have in hand, and consumers.",
                     columns, look=BROKER, width=HALF),
        graph("Waiting in queues", "short", "The ten fullest queues.",
              Query(f"topk(10, sum by (queue) (rabbitmq_detailed_queue_messages_ready{queue}))",
                    "{{queue}}"), look=BROKER),
        graph("Messages through the broker", "cps",
              "Received from publishers, routed to queues, delivered, acknowledged.",
              *(Query(total.format(what), what.replace("_", " ")) for what in ("received", "routed",
                                                                               "delivered", "acknowledged",
                                                                               "redelivered")),
              look=BROKER),
        graph("Memory and disk left", "bytes", "Until RabbitMQ blocks publishers.",
              Query("rabbitmq_resident_memory_limit_bytes - rabbitmq_process_resident_memory_bytes",
                    "memory {{instance}}"),
              Query("rabbitmq_disk_space_available_bytes - rabbitmq_disk_space_available_limit_bytes",
                    "disk {{instance}}"), look=BROKER),
        graph("Connections and channels", "short", "On the broker, of all its clients.",
              Query("sum by (instance) (rabbitmq_connections)", "connections {{instance}}"),
              Query("sum by (instance) (rabbitmq_channels)", "channels {{instance}}"), look=BROKER),
        graph("Connections opened", "cps",
              "A broker with more than a few a second has clients that reconnect all the time.",
              Query("sum by (instance) (rate(rabbitmq_connections_opened_total[$__rate_interval]))",
                    "opened {{instance}}"),
              Query("sum by (instance) (rate(rabbitmq_connections_closed_total[$__rate_interval]))",
                    "closed {{instance}}"), look=BROKER),
        log_lines("Lines about connections and messages",
                  "Of five of a kind in ten seconds the rest is counted: tracedrpc.suppressed.",
                  look=Look(CONNECTIONS.logs.replace("(", "(message_[a-z]+|", 1)), width=FULL),
    ]
