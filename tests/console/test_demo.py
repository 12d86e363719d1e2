from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.console.support import run
from tracedrpc_console.receiver import Receiver, SpanStore

DEMO = (sys.executable, "-m", "tracedrpc_console.main", "demo")
PARTS = (
    "A chain of three calls that ends in a cast",
    "process demo.scheduler/update_usage",
    "A slow call kept alive by heartbeats",
    "♥ heartbeat",
    "Calls by method",
    "fanout demo.compute/take_stock",
    "no server is listening on 'demo.compute.host-3'",
    "was working on it",
    "every expected span arrived",
    "Where to look next",
    "A call in which everything happens",
    "#/trace/",
)
SERVICES = 4
CONSOLE = 1


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_the_memory_driver_shows_all_there_is_to_see() -> None:
    began = time.monotonic()
    done = run("demo", "--driver", "memory", "--once", "--seconds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [part for part in PARTS if part not in squeezed(done.stdout)] == []
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert time.monotonic() - began < 60


def test_ascii_output_needs_no_unicode() -> None:
    plain = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = run("demo", "--driver", "memory", "--once", "--seconds", "0.5", **plain)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.isascii()


def test_real_processes_around_a_real_rabbitmq(rabbit_url: str) -> None:
    with Receiver(SpanStore()) as elsewhere:
        done = run("demo", "--url", rabbit_url, "--once", "--seconds", "1", "--otlp", elsewhere.url)
        services = {span.service for span in elsewhere.store.spans()}
    assert done.returncode == 0, done.stdout + done.stderr
    assert [part for part in PARTS if part not in squeezed(done.stdout)] == []
    assert "publish demo:demo.compute.{server}" in done.stdout
    assert services == {"traffic", "api", "scheduler", "compute"}


def test_ctrl_c_ends_everything_with_a_last_report(rabbit_url: str) -> None:
    command = [*DEMO, "--url", rabbit_url, "--seconds", "1"]
    unicode = os.environ | {"PYTHONUTF8": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unicode) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "traffic goes on" in line:
                break
        children = _children(demo.pid)
        assert len(children) == SERVICES + CONSOLE
        time.sleep(0.5)
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(40) == 0, rest
    assert "every expected span arrived" in rest
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_killed_it_takes_its_services_along(rabbit_url: str) -> None:
    with subprocess.Popen([*DEMO, "--url", rabbit_url, "--once"], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "ready after" in line:
                break
        children = _children(demo.pid)
        assert len(children) == SERVICES + CONSOLE
        demo.kill()
    give_up = time.monotonic() + 10
    while any(_is_alive(pid) for pid in children) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not any(_is_alive(pid) for pid in children)


def test_an_unsampled_environment_does_not_lose_spans() -> None:
    unkind = {"OTEL_TRACES_SAMPLER": "always_off", "OTEL_SDK_DISABLED": "true", "TRACEDRPC_TRACING": "off"}
    done = run("demo", "--driver", "memory", "--once", "--seconds", "0.5", **unkind)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broker_that_does_not_answer_is_told_at_once() -> None:
    done = run("demo", "--url", "rabbit://guest:s3cret@127.0.0.1:1/", "--once")
    assert done.returncode == 1
    assert done.stdout.strip() == "no RabbitMQ answers at 127.0.0.1:1: Connection refused"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("demo", "--otlp", "nonsense"), "no http://"),
        (("demo", "--driver", "memory", "--url", "rabbit://"), "needs no --url"),
        (("demo", "--driver", "carrier-pigeon"), "carrier-pigeon"),
    ],
)
def test_bad_options_are_named(args: tuple[str, ...], text: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert text in done.stderr


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.startswith("tracedrpc ")


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
