"""Fuzz each target with atheris, guided by coverage: `make fuzz`, `make fuzz ARGS="--seconds 5 request"`.

What makes a target raise is kept in tests/fuzz/crashes, and from then on is a test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MOST_RSS_MB = 1024
CHILD = """
import sys
import atheris
with atheris.instrument_imports(include=["tracedrpc", "tracedrpc_otel", "json"]):
    from tests.fuzz.targets import TARGETS
target = TARGETS[sys.argv.pop(1)]
atheris.Setup(sys.argv, lambda data: target(data))
atheris.Fuzz()
"""


def fuzz(target: str, seconds: int) -> bool:
    """Fuzz one target; tell whether it held."""
    crashes, seeds = HERE / "crashes" / target, HERE / "seeds" / target
    crashes.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        run = subprocess.run(
            [sys.executable, "-c", CHILD, target, corpus, str(seeds), f"-max_total_time={seconds}",
             f"-artifact_prefix={crashes}/", f"-rss_limit_mb={MOST_RSS_MB}", "-timeout=10",
             "-max_len=65536", "-print_final_stats=1"],
            cwd=HERE.parent.parent, capture_output=True, text=True, check=False, timeout=seconds + 120,
        )
    told = dict(line[6:].split(":", 1) for line in run.stderr.splitlines() if line.startswith("stat::"))
    inputs = told.get(":number_of_executed_units", told.get("number_of_executed_units", "?")).strip()
    print(f"{target:16} {inputs:>10} inputs  {'held' if run.returncode == 0 else 'BROKEN'}", flush=True)
    if run.returncode:
        print(run.stdout[-3000:] + run.stderr[-3000:])
    if not any(crashes.iterdir()):
        crashes.rmdir()
    return run.returncode == 0


def main() -> None:
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    chosen = parser.parse_args()
    held = [fuzz(target, chosen.seconds) for target in chosen.targets or TARGETS]
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
