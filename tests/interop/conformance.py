"""Runs oslo.messaging's own RPC tests against tracedrpc, in an interpreter that has both.

    .venv-conformance/bin/python tests/interop/conformance.py MODULE[:NAME,...]

MODULE is one of the wheel's, e.g. `rpc.test_client`; a NAME is a class, or a class and a method.
`oslo_messaging` is tracedrpc; only `oslo_messaging.tests` comes from the wheel. The last line printed is
JSON: how many tests ran and were skipped, the failures by test, and what was tested.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import unittest
import warnings
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

from tracedrpc import compat

TESTS = "oslo_messaging.tests"


class TestsOfTheWheel(MetaPathFinder):
    """Finds `oslo_messaging.tests` where oslo.messaging is installed."""

    def __init__(self):
        self._package = PathFinder.find_spec("oslo_messaging").submodule_search_locations

    def find_spec(self, fullname, path, target=None):
        return PathFinder.find_spec(fullname, self._package, target) if fullname == TESTS else None


def chosen(suite, names):
    """Yield the test cases of a suite whose class, or class and method, is named."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from chosen(test, names)
        else:
            kind, method = type(test).__name__, test.id().rpartition(".")[2].partition("(")[0]
            if not names or kind in names or f"{kind}.{method}" in names:
                yield test


def run(module, names):
    """Run the tests of a module of the wheel and return what came of them."""
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(chosen(loader.loadTestsFromName(f"{TESTS}.{module}"), names))
    if loader.errors:
        return {"run": 0, "skipped": 0, "failed": {module: last_line(loader.errors[0])}}
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no path of anybody's
        result = unittest.TextTestRunner(stream=nowhere).run(suite)
    failed = {test.id(): last_line(trace) for test, trace in [*result.failures, *result.errors]}
    return {"run": result.testsRun, "skipped": len(result.skipped), "failed": failed}


def last_line(trace):
    return trace.strip().splitlines()[-1][:200]


def main(unit):
    warnings.simplefilter("ignore")
    compat.install()
    sys.meta_path.insert(0, TestsOfTheWheel())
    module, _, names = unit.partition(":")
    with contextlib.redirect_stdout(sys.stderr):
        outcome = run(module, set(filter(None, names.split(","))))
    outcome["subject"] = sys.modules["oslo_messaging"].__name__
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()
    os._exit(0)  # some of the tests leave green threads behind


if __name__ == "__main__":
    main(sys.argv[1])
