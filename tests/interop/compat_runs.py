"""Runs Python in processes of their own: with stock oslo.messaging installed, and without it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from tests.interop.processes import PYTHON

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT_S = 150.0
SOURCES = (ROOT, ROOT / "instrumentation", ROOT / "dashboards")


def environment() -> dict[str, str]:
    """Return our environment less what would change what is tested."""
    of_others = ("OTEL_", "TRACEDRPC_")
    return {name: value for name, value in os.environ.items() if not name.startswith(of_others)}


def run(*arguments: str, **fields: Any) -> subprocess.CompletedProcess[str]:
    """Run Python with the environment that has stock as well; `fields` are for `subprocess.run`."""
    fields["env"] = environment() | fields.pop("env", {})
    return subprocess.run(
        [str(PYTHON), "-W", "ignore", *arguments],
        cwd=fields.pop("cwd", HERE), capture_output=True, text=True, timeout=LIMIT_S, check=False, **fields,
    )


def output(*arguments: str, **fields: Any) -> str:
    """Run Python and return what it printed; it must have ended well."""
    done = run(*arguments, **fields)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}\n{done.stderr[-3000:]}"
    return done.stdout


def hide_stock(folder: Path) -> dict[str, str]:
    """Fill a folder with links to all packages but oslo.messaging; return what makes Python use it.

    Python must be run with -S then, which keeps the real packages away.
    """
    packages = next((PYTHON.parents[1] / "lib").glob("python3*/site-packages"))
    for entry in packages.iterdir():
        if not entry.name.startswith("oslo_messaging"):
            (folder / entry.name).symlink_to(entry)
    return {"PYTHONPATH": os.pathsep.join(map(str, (*SOURCES, folder)))}
