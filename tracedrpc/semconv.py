"""Every name that telemetry uses, once: span attributes and log fields share them.

From the OpenTelemetry semantic conventions 1.44 (RPC: release candidate, messaging: development)
where they have a name; ours begin with `tracedrpc.`.
"""

from __future__ import annotations

from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_METHOD_ORIGINAL: Final = "rpc.method_original"
RPC_STATUS: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
PEER_ADDRESS: Final = "network.peer.address"
PEER_PORT: Final = "network.peer.port"
CODE_FUNCTION: Final = "code.function.name"

MESSAGING_SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
DESTINATION_TEMPLATE: Final = "messaging.destination.template"
DESTINATION_TEMPORARY: Final = "messaging.destination.temporary"
ROUTING_KEY: Final = "messaging.rabbitmq.destination.routing_key"
MESSAGE_ID: Final = "messaging.message.id"
CONVERSATION_ID: Final = "messaging.message.conversation_id"
BODY_SIZE: Final = "messaging.message.body.size"

MODE: Final = "tracedrpc.mode"
MSG_ID: Final = "tracedrpc.msg_id"
UNIQUE_ID: Final = "tracedrpc.unique_id"
TARGET_SERVER: Final = "tracedrpc.target.server"
TIMEOUT_MS: Final = "tracedrpc.timeout_ms"
TIMEOUT_PHASE: Final = "tracedrpc.timeout.phase"
ELAPSED_MS: Final = "tracedrpc.elapsed_ms"
REPLY_QUEUE: Final = "tracedrpc.reply_queue"
QUEUE: Final = "tracedrpc.queue"
REDELIVERED: Final = "tracedrpc.redelivered"
ATTEMPTS: Final = "tracedrpc.publish.attempts"
CONFIRMED: Final = "tracedrpc.publish.confirmed"
WAKEUP_MS: Final = "tracedrpc.wakeup_ms"
HEARTBEAT_COUNT: Final = "tracedrpc.heartbeat.count"
HEARTBEAT_AGE_MS: Final = "tracedrpc.last_heartbeat_age_ms"
HEARTBEAT_GAP_MS: Final = "tracedrpc.heartbeat.max_gap_ms"
PHASE_PREFIX: Final = "tracedrpc.phase."
CONNECTION_ID: Final = "tracedrpc.connection.id"
PURPOSE: Final = "tracedrpc.connection.purpose"
POOL_IN_USE: Final = "tracedrpc.pool.in_use"
POOL_IDLE: Final = "tracedrpc.pool.idle"
REASON: Final = "tracedrpc.reason"
DELAY_MS: Final = "tracedrpc.delay_ms"
DURATION_MS: Final = "tracedrpc.duration_ms"
SIZE_BYTES: Final = "tracedrpc.size_bytes"
SHA256: Final = "tracedrpc.sha256"
WORKERS: Final = "tracedrpc.workers"
STACK: Final = "tracedrpc.stack"
DIFFERENCE: Final = "tracedrpc.difference"
WHERE: Final = "tracedrpc.where"

SYSTEM_VALUE: Final = "oslo.messaging"
"""`rpc.system.name` names the protocol, not the library: peers on oslo.messaging speak it too."""
OTHER: Final = "_OTHER"
"""What stands for a method nobody registered, so that bad input cannot make series or names."""


def rpc_method(topic: str | None, namespace: str | None, method: str) -> str:
    """Return the fully qualified method, "topic[.namespace]/method"."""
    service = f"{topic}.{namespace}" if namespace else topic
    return f"{service}/{method}"
