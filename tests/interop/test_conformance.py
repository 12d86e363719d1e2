"""oslo.messaging's own tests of its RPC half, from its wheel, pass on tracedrpc."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop.compat_runs import HERE, environment, run

AT_ONCE = 2
"""Most of their time the tests on a broker wait, so two processes keep two cores no busier than one."""
CALLS = "functional.test_functional:CallTestCase"
PUBLIC = {
    "test_target": 178,
    "rpc.test_client:TestCallFanout,TestCanSendVersion,TestTransportWarning": 26,
    "rpc.test_dispatcher": 21,
    "test_urls": 20,
    "test_transport:TestSetDefaults,TestTransportUrlCustomisation,TestTransportHostCustomisation": 7,
    "test_expected_exceptions": 4,
    "rpc.test_server:TestRPCExposeDecorator": 2,
}
"""The tests that need public names only, and how many they are; those with scenarios count each."""
FUNCTIONAL = {
    f"{CALLS}.test_timeout_with_concurrently_queues,CallTestCase.test_mandatory_call": 2,
    f"{CALLS}.test_different_exchanges,CallTestCase.test_timeout,CallTestCase.test_bad_endpoint": 3,
    "functional.test_functional:CastTestCase": 3,
    f"{CALLS}.test_monitor_long_call,CallTestCase.test_endpoint_version_namespace": 2,
    f"{CALLS}.test_specific_server,CallTestCase.test_server_in_group,CallTestCase.test_exception": 3,
}
"""The tests of calls and casts on a real broker, in shares of about the same length."""


def run_unit(unit, given):
    """Run some tests of the wheel in a process of their own."""
    done = run(str(HERE / "conformance.py"), unit, env=given)
    lines = done.stdout.splitlines()
    assert lines, f"{unit} did not run:\n{done.stderr[-3000:]}"
    return json.loads(lines[-1])


def outcomes(units, url=""):
    given = environment() | {"RPC_TRANSPORT_URL": url, "NOTIFY_TRANSPORT_URL": url}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(units, pool.map(lambda unit: run_unit(unit, given), units), strict=True))


def check(units, found):
    failed = {test: why for outcome in found.values() for test, why in outcome["failed"].items()}
    assert not failed
    assert {outcome["subject"] for outcome in found.values()} == {"tracedrpc.compat.oslo_messaging"}
    assert {unit: outcome["run"] for unit, outcome in found.items()} == units
    assert not [unit for unit, outcome in found.items() if outcome["skipped"]]


@pytest.mark.timeout(300)
def test_the_258_tests_of_public_names_pass(peers):
    assert sum(PUBLIC.values()) == 258
    check(PUBLIC, outcomes(PUBLIC))


@pytest.mark.timeout(300)
def test_the_13_tests_of_calls_and_casts_on_a_real_broker_pass(peers, rabbit_url):
    assert sum(FUNCTIONAL.values()) == 13
    check(FUNCTIONAL, outcomes(FUNCTIONAL, rabbit_url))
