"""One process that exports until it is told to stop: `sender.py replay|sdk URL RECORDS RATE SEED`.

"replay" sends batches that are encoded already over one connection that is kept, so that the console is
measured and not the sender. "sdk" makes spans with OpenTelemetry's SDK and sends them by its own exporter.
RATE is records a second, 0 for as fast as it goes. Prints the records that were accepted.
"""

from __future__ import annotations

import http.client
import random
import sys
import time
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.bench_console.load import Batch, log_batch, span_batch

TEMPLATES: Final = 8
HEADERS: Final = {"Content-Type": "application/x-protobuf"}
BACKOFF_S: Final = 0.05
ACCEPTED: Final = 200
BUSY: Final = 429


def replay(url: str, records: int, rate: float, seed: int) -> int:
    """Send span and log batches in turn; a batch that finds the queue full is sent again a little later."""
    rng = random.Random(seed)
    batches: list[tuple[str, Batch]] = []
    for _ in range(TEMPLATES):
        batches += [("/v1/traces", span_batch(rng)), ("/v1/logs", log_batch(rng))]
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    begin = time.monotonic()
    sent = number = 0
    while sent < records:
        path, batch = batches[number % len(batches)]
        _post(connection, path, batch.fill(time.time_ns(), seed << 24 | number // 2))
        sent += batch.records
        number += 1
        if rate:
            time.sleep(max(0.0, begin + sent / rate - time.monotonic()))
    return sent


def _post(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    while True:
        connection.request("POST", path, body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status == ACCEPTED:
            return
        if answer.status != BUSY:
            raise RuntimeError(f"{path} answered {answer.status}")
        time.sleep(BACKOFF_S)


def sdk(url: str, records: int, rate: float, seed: int) -> int:
    """Make spans, one CLIENT with five children, as fast as a processor that must not drop takes them."""
    provider = TracerProvider(resource=Resource({"service.name": f"sdk-{seed}"}))
    provider.add_span_processor(BatchSpanProcessor(
        OTLPSpanExporter(endpoint=f"{url}/v1/traces"), max_queue_size=records, schedule_delay_millis=100,
    ))
    tracer = provider.get_tracer("bench", "1")
    begin = time.monotonic()
    for n in range(0, records, 6):
        with tracer.start_as_current_span("outer", attributes={"rpc.method": "nova/list", "n": n}):
            for name in ("publish", "queue", "serve", "handle", "receive"):
                tracer.start_span(name, attributes={"messaging.system": "rabbitmq", "place": name}).end()
        if rate:
            time.sleep(max(0.0, begin + n / rate - time.monotonic()))
    provider.force_flush(120_000)
    provider.shutdown()
    return (records + 5) // 6 * 6


def main() -> None:
    how, url, records, rate, seed = sys.argv[1:]
    print({"replay": replay, "sdk": sdk}[how](url, int(records), float(rate), int(seed)), flush=True)


if __name__ == "__main__":
    main()
