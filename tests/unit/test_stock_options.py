"""The options of oslo.messaging 18.3.1: each is here, in the code and in the table for those who migrate."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tracedrpc._stock_options import DEFAULT, GROUPS, OWN, RABBIT
from tracedrpc.options import ACCEPTED, DEFAULTS, SPECS

GUIDE = Path(__file__).parents[2] / "docs" / "migration.md"

STOCK_DEFAULT = {
    "control_exchange": "openstack",
    "executor_thread_pool_size": 64,
    "rpc_ping_enabled": False,
    "rpc_response_timeout": 60,
    "transport_url": "rabbit://",
}
STOCK_RABBIT = {
    "amqp_auto_delete": False,
    "amqp_durable_queues": False,
    "conn_pool_min_size": 2,
    "conn_pool_ttl": 1200,
    "direct_mandatory_flag": True,
    "enable_cancel_on_failover": False,
    "heartbeat_rate": 3,
    "heartbeat_timeout_threshold": 60,
    "hostname": socket.gethostname(),
    "kombu_compression": None,
    "kombu_failover_strategy": "round-robin",
    "kombu_missing_consumer_retry_timeout": 60,
    "kombu_reconnect_delay": 1.0,
    "kombu_reconnect_splay": 0.0,
    "processname": os.path.basename(sys.argv[0]),  # noqa: PTH119 - as it is defined
    "rabbit_ha_queues": False,
    "rabbit_interval_max": 30,
    "rabbit_login_method": "AMQPLAIN",
    "rabbit_qos_prefetch_count": 0,
    "rabbit_quorum_delivery_limit": 0,
    "rabbit_quorum_max_memory_bytes": 0,
    "rabbit_quorum_max_memory_length": 0,
    "rabbit_quorum_queue": False,
    "rabbit_retry_backoff": 2,
    "rabbit_retry_interval": 1,
    "rabbit_stream_fanout": False,
    "rabbit_transient_queues_ttl": 1800,
    "rabbit_transient_quorum_queue": False,
    "rpc_conn_pool_size": 30,
    "ssl": False,
    "ssl_ca_file": "",
    "ssl_cert_file": "",
    "ssl_enforce_fips_mode": False,
    "ssl_enforce_hostname_verification": True,
    "ssl_key_file": "",
    "ssl_version": "",
    "use_queue_manager": False,
}
"""Names and defaults as oslo.messaging 18.3.1 registers them, written down by hand."""

READ_STOCK = """
import json, sys
sys.argv[0] = "program"
from oslo_messaging import opts
print(json.dumps([
    [group, option.name, type(option.type).__name__, option.default,
     getattr(option.type, "min", None), getattr(option.type, "max", None),
     list(getattr(option.type, "choices", None) or []),
     [old.name for old in option.deprecated_opts], option.deprecated_for_removal, option.secret]
    for group, options in opts.list_opts() if group in (None, "oslo_messaging_rabbit")
    for option in options
]))
"""
TYPES = {bool: "Boolean", int: "Integer", float: "Float", str: "String"}


def defaults(options):
    return {option.name: option.default for option in options}


def test_every_option_has_its_name_and_default():
    assert defaults(DEFAULT) == STOCK_DEFAULT
    assert defaults(RABBIT) == STOCK_RABBIT


@pytest.mark.skipif(not importlib.util.find_spec("oslo_messaging"), reason="oslo.messaging is not installed")
def test_every_option_is_defined_as_the_installed_original_defines_it():
    script = [sys.executable, "-W", "ignore", "-c", READ_STOCK]
    done = subprocess.run(script, capture_output=True, text=True, check=True, timeout=60)
    theirs = {(group, name): rest for group, name, *rest in json.loads(done.stdout.splitlines()[-1])}
    ours = {
        (group, option.name): [
            TYPES[option.kind], "program" if option.name == "processname" else option.default,
            option.low, option.high, list(option.choices), [option.former] if option.former else [],
            bool(option.removal), option.secret,
        ]
        for group, options in GROUPS if group != "tracedrpc"
        for option in options
    }
    assert ours == theirs


@pytest.mark.parametrize("name", [*STOCK_DEFAULT, *STOCK_RABBIT])
def test_every_option_is_honoured_or_accepted_by_name(name):
    assert (name in SPECS) != (name in ACCEPTED)


def test_options_of_our_own_are_those_that_the_original_does_not_have():
    assert {option.name for option in OWN} == SPECS.keys() - STOCK_DEFAULT.keys() - STOCK_RABBIT.keys()


@pytest.mark.parametrize("option", OWN, ids=lambda option: option.name)
def test_an_option_of_our_own_has_one_type_range_and_default(option):
    spec = SPECS[option.name]
    assert option.default == getattr(DEFAULTS, option.name)
    assert option.kind is spec.kind
    assert option.low == (spec.rule.low if spec.rule else None)


# ---- the table -----------------------------------------------------------------------------------


def options_of_the_guide():
    """Return the section on options; the one on the API has tables of the same kind."""
    return GUIDE.read_text("utf-8").partition("\n## Options\n")[2]


def section():
    """Return what the guide says of options."""
    return GUIDE.read_text("utf-8").partition("\n## Options\n")[2].partition("\n## ")[0]


def rows():
    """Return what the guide's table says of each option: its verdict."""
    row = re.compile(r"^\| `(\w+)` \| (same|better|not there) \| .*\|$", re.MULTILINE)
    found = row.findall(section())
    assert len(found) == len(dict(found)), "an option has two rows"
    return dict(found)


def test_the_guide_for_those_who_migrate_has_a_row_for_every_option():
    assert rows().keys() == {*STOCK_DEFAULT, *STOCK_RABBIT}


def test_the_guide_counts_its_rows():
    verdicts = list(rows().values())
    counts = [verdicts.count(verdict) for verdict in ("same", "better", "not there")]
    text = "{} options: {} the same, {} better, {} not there".format(len(verdicts), *counts)
    assert text in " ".join(section().split())


def test_the_guide_names_every_option_of_our_own():
    text = section()
    assert [option.name for option in OWN if f"`{option.name}`" not in text] == []
