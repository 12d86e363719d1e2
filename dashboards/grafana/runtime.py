"""Dashboard 5, Python runtime: CPU, memory, threads and garbage collection of the processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana.links import Look, events
from grafana.lists import words
from grafana.page import laid_out, page, services
from grafana.panels import graph, number, row
from grafana.telling import AMBER, RED, Query

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

UID: Final = "tracedrpc-runtime"
OURS: Final = '{service_name=~"$service"}'
PROCESS: Final = "{{service_name}} {{instance}}"
BY: Final = "sum by (service_name, instance)"
ANY: Final = Look()
SLOW: Final = events("call_finished", "request_finished", slower_than="1s")
NEXT: Final = """\
* **One whole CPU used**: the interpreter's lock is the limit; start more processes, not more threads.
* **Requests in hand as many as workers, little CPU**: the methods wait for others; look at their traces, or \
add workers (`executor_thread_pool_size`).
* **Memory or descriptors only grow**: a leak; compare with *tracedrpc: connections and broker* before \
blaming the pool.
* **Nothing here**: these come from OpenTelemetry's own instrumentation: `pip install 'tracedrpc[runtime]'`, \
as the example services do.
"""


def dashboard() -> Dashboard:
    """Return it."""
    made = page(UID, "tracedrpc: Python runtime",
                "CPU, memory, threads, descriptors and garbage collection of each process.")
    for variable in services("process_cpu_time_seconds_total"):
        made.with_variable(variable)
    return laid_out(made, [*_numbers(), words(NEXT, look=ANY), *_work(), *_memory()])


def _rate(metric: str, *by: str) -> str:
    return f"sum by ({', '.join(('service_name', 'instance', *by))}) (rate({metric}{OURS}[$__rate_interval]))"


def _numbers() -> list[object]:
    return [
        number("Busiest process", "percentunit", "CPU time per second; 1 is a whole processor.",
               f"max({_rate('process_cpu_time_seconds_total')})", look=SLOW,
               steps=((0.7, AMBER), (0.9, RED))),
        number("Largest process", "bytes", "Resident memory.",
               f"max({BY} (process_memory_usage_bytes{OURS}))", look=ANY),
        number("Most threads", "short", "Threads of one process.", f"max({BY} (process_thread_count{OURS}))",
               look=ANY,
               steps=((200, AMBER), (500, RED))),
        number("Most descriptors", "short", "Open files and sockets of one process.",
               f"max({BY} (process_open_file_descriptor_count{OURS}))", look=ANY,
               steps=((800, AMBER), (1000, RED))),
        number("Requests in hand", "short", "Requests that workers have in hand now.",
               f"sum(tracedrpc_server_active_requests{OURS})", look=SLOW),
        number("Full collections", "cps", "Of the oldest generation, which look at every object, per second.",
               'sum(rate(cpython_gc_collections_total{service_name=~"$service", '
               'cpython_gc_generation="2"}[$__rate_interval]))',
               look=SLOW, steps=((1, AMBER),)),
    ]


def _work() -> list[object]:
    return [
        row("Work"),
        graph("CPU", "percentunit", "CPU time per second, user and system; 1 is a whole processor.",
              Query(_rate("process_cpu_time_seconds_total", "type"), PROCESS + " {{type}}"), look=SLOW,
              steps=((0.9, RED),)),
        graph("Requests in hand", "short",
              "Requests that workers have in hand: as many as there are workers is all they can do.",
              Query(f"{BY} (tracedrpc_server_active_requests{OURS})", PROCESS), look=SLOW),
        graph("Context switches", "cps",
              "Involuntary ones grow when threads or processes fight for a processor.",
              Query(_rate("process_context_switches_total", "type"), PROCESS + " {{type}}"), look=SLOW),
        graph("Threads", "short", "Of each process.", Query(f"{BY} (process_thread_count{OURS})", PROCESS),
              look=ANY),
    ]


def _memory() -> list[object]:
    return [
        row("Memory"),
        graph("Resident memory", "bytes", "What the process has in memory.",
              Query(f"{BY} (process_memory_usage_bytes{OURS})", PROCESS), look=ANY),
        graph("Virtual memory", "bytes", "What the process has asked for.",
              Query(f"{BY} (process_memory_virtual_bytes{OURS})", PROCESS), look=ANY),
        graph("Open descriptors", "short", "Files and sockets, connections among them.",
              Query(f"{BY} (process_open_file_descriptor_count{OURS})", PROCESS), look=ANY),
        graph("Garbage collections", "cps", "By generation; 2 looks at every object.",
              Query(_rate("cpython_gc_collections_total", "cpython_gc_generation"),
                    PROCESS + " gen {{cpython_gc_generation}}"), look=SLOW),
        graph("Objects collected", "cps", "Objects that only the collector could free: cycles.",
              Query(_rate("cpython_gc_collected_objects_total"), PROCESS), look=ANY),
        graph("Objects that cannot be collected", "cps", "Always 0 in sound programs.",
              Query(_rate("cpython_gc_uncollectable_objects_total"), PROCESS), look=ANY,
              steps=((0.01, AMBER),)),
    ]
