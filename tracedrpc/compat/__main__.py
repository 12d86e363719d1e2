"""Runs a program, or with -m a module, with `oslo_messaging` meaning tracedrpc.

    python -m tracedrpc.compat PROGRAM [argument ...]
    python -m tracedrpc.compat -m MODULE [argument ...]

PROGRAM is a file, or the name of a Python script on PATH, such as a service's console script.
"""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

from tracedrpc import compat

USAGE = "usage: python -m tracedrpc.compat (PROGRAM | -m MODULE) [argument ...]"


def main(arguments: list[str]) -> None:
    """Run what the arguments name, as `python` itself would.

    Raises:
        SystemExit: nothing is named, or there is no such program.
    """
    if arguments[:1] == ["-m"]:
        arguments = arguments[1:]
        _need(bool(arguments), "-m needs the name of a module")
        compat.install()
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        return
    _need(bool(arguments) and not arguments[0].startswith("-"), "the program to run is missing")
    program = arguments[0] if Path(arguments[0]).exists() else shutil.which(arguments[0])
    if program is None:
        sys.exit(f"tracedrpc.compat: there is no program {arguments[0]}, here or on PATH")
    compat.install()
    sys.argv = [program, *arguments[1:]]
    if not sys.flags.safe_path:  # else the first entry is none of Python's own making
        sys.path[0] = str(Path(program).resolve().parent)
    runpy.run_path(program, run_name="__main__")


def _need(is_so: bool, otherwise: str) -> None:
    if not is_so:
        sys.exit(f"{USAGE}\ntracedrpc.compat: {otherwise}")


if __name__ == "__main__":
    main(sys.argv[1:])
