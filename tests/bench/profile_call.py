"""`python -m tests.bench.profile_call`: where the time of one tracedrpc call goes.

One caller, the server in its own process. cProfile sees the calling thread only; `--pyinstrument`
samples the same thread instead, if pyinstrument is installed.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.bench.cells import CACHE, OFF, STANDARD
from tests.bench.children import Stage, running_server, running_sink
from tests.bench.load import percentile, spin
from tracedrpc_console.broker import broker

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Run one client under the profiler."""
    options = parse()
    peer = STANDARD if options.tracing == "standard" else OFF
    topic = f"profile-{os.getpid()}"
    with broker(options.url) as running, running_sink() as sink:
        stage = Stage(peer, running.url, topic, sink)
        os.environ.update(stage.environment())
        from tests.bench.peer_tracedrpc import connect  # reads the environment

        rabbit_url = urlsplit(running.url)._replace(scheme=peer.scheme).geturl()
        with running_server(stage), connect(rabbit_url, topic) as service:
            work = service.cast if options.mode == "cast" else service.call
            spin(work, time.perf_counter() + 0.5)
            report = by_pyinstrument if options.pyinstrument else by_cprofile
            report(work, options)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile_call", description=__doc__)
    parser.add_argument(
        "--url", default=os.environ.get("TRACEDRPC_TEST_URL"), help="broker; default: a private node"
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--mode", choices=("call", "cast"), default="call")
    parser.add_argument("--tracing", choices=("off", "standard"), default="off")
    parser.add_argument("--sort", choices=("tottime", "cumulative"), default="tottime")
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--pyinstrument", action="store_true")
    return parser.parse_args()


def by_cprofile(work: Callable[[], None], options: argparse.Namespace) -> None:
    """Print the functions of the calling thread; the profile itself goes to `.cache/bench`."""
    profile = cProfile.Profile()
    profile.enable()
    latencies = spin(work, time.perf_counter() + options.seconds)
    profile.disable()
    say_latency(latencies)
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{options.mode}-{options.tracing}.prof"
    profile.dump_stats(path)
    pstats.Stats(profile).strip_dirs().sort_stats(options.sort).print_stats(options.lines)
    print(f"{path}  (times are of {len(latencies)} calls, the profiler's own cost included)")


def by_pyinstrument(work: Callable[[], None], options: argparse.Namespace) -> None:
    """Print pyinstrument's tree of the calling thread."""
    from pyinstrument import Profiler

    with Profiler(interval=0.0002) as profiler:
        latencies = spin(work, time.perf_counter() + options.seconds)
    say_latency(latencies)
    print(profiler.output_text(unicode=True, color=False, show_all=True))


def say_latency(latencies: list[float]) -> None:
    """Print what the profiled calls took."""
    ordered = sorted(latencies)
    middle, late = percentile(ordered, 0.5) * 1e3, percentile(ordered, 0.99) * 1e3
    print(f"{len(ordered)} under the profiler: p50 {middle:.2f} ms, p99 {late:.2f} ms")


if __name__ == "__main__":
    main()
