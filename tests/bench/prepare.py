"""What a run needs first: the stock library's own environment, and facts on the machine."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from tests.bench.cells import BENCH_VENV, ROOT
from tests.bench.peer_echo import open_connection

HERE = Path(__file__).parent
PACKAGES = ("oslo.messaging", "kombu", "amqp", "opentelemetry-sdk", "protobuf")


def prepare_stock() -> None:
    """Make `.venv-bench` with the pinned oslo.messaging when it is missing or out of date."""
    wanted = (HERE / "requirements.txt").read_text() + (HERE / "constraints.txt").read_text()
    stamp = BENCH_VENV / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"making {BENCH_VENV.name} with stock oslo.messaging ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(BENCH_VENV)], check=True)
    pip = [str(BENCH_VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq"]
    files = ["-r", str(HERE / "requirements.txt"), "-c", str(HERE / "constraints.txt")]
    subprocess.run([*pip, "install", *files], check=True)
    stamp.write_text(wanted)


def machine_facts(url: str) -> dict[str, str]:
    """Say what was measured, on what and when."""
    connection = open_connection(url)
    properties = connection.server_properties
    connection.close()
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": f"{os.cpu_count()} cores, {cpu_model()}, {platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "broker": f"{properties.get('product')} {properties.get('version')}",
        "tracedrpc and echo with": versions(sys.executable),
        "stock with": versions(str(BENCH_VENV / "bin" / "python")),
    }


def versions(python: str) -> str:
    """Return the packages that matter, as that interpreter sees them."""
    code = (
        "import importlib.metadata as m, json, sys\n"
        "names = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        "print(json.dumps([f'{n} {names[n]}' for n in sys.argv[1:] if n in names]))"
    )
    out = subprocess.run([python, "-c", code, *PACKAGES], capture_output=True, check=True)
    return ", ".join(json.loads(out.stdout))


def cpu_model() -> str:
    """Return the processor's name as Linux has it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def commit() -> str:
    """Return the commit measured; "+" says that files differed from it."""
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, check=False)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, check=False)
    return (head.stdout.decode().strip() or "unknown") + ("+" if changed.stdout.strip() else "")
