"""Settings from code, environment, configuration object and URL."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc import _settings, options
from tracedrpc.exceptions import InvalidOption
from tracedrpc.options import ACCEPTED, Options, load, set_default_control_exchange
from tracedrpc.wire.body import COMPRESSIONS


def test_nothing_set_means_the_defaults():
    assert load(None, {}, {}) == Options()


def test_the_environment_sets_options():
    loaded = load(None, {}, {"TRACEDRPC_SSL": "yes", "TRACEDRPC_CONN_POOL_TTL": " 2.5 "})
    assert (loaded.ssl, loaded.conn_pool_ttl) == (True, 2.5)


def test_the_process_s_own_environment_is_read(monkeypatch):
    monkeypatch.setenv("TRACEDRPC_RPC_RESPONSE_TIMEOUT", "7")
    assert load(None, {}).rpc_response_timeout == 7.0


def test_an_empty_variable_sets_nothing():
    assert load(None, {}, {"TRACEDRPC_SSL": ""}) == Options()


def test_other_variables_are_not_our_business():
    assert load(None, {}, {"TRACEDRPC_TRACING": "full", "SSL": "yes"}) == Options()


def test_the_url_overrides_the_environment():
    environ = {"TRACEDRPC_RPC_CONN_POOL_SIZE": "5"}
    assert load(None, {"rpc_conn_pool_size": "3"}, environ).rpc_conn_pool_size == 3


def test_the_url_overrides_an_options_object():
    loaded = load(Options(ssl=True, heartbeat_rate=9), {"ssl": "false"}, {})
    assert (loaded.ssl, loaded.heartbeat_rate) == (False, 9)


def test_an_options_object_is_not_overridden_by_the_environment():
    assert load(Options(), {}, {"TRACEDRPC_SSL": "yes"}).ssl is False


def test_any_object_with_attributes_will_do():
    conf = SimpleNamespace(rpc_response_timeout=5, control_exchange="nova", unrelated=object())
    loaded = load(conf, {}, {})
    assert (loaded.rpc_response_timeout, loaded.control_exchange) == (5, "nova")


def test_the_rabbit_group_of_a_configuration_is_read():
    conf = SimpleNamespace(oslo_messaging_rabbit=SimpleNamespace(heartbeat_rate=2))
    assert load(conf, {}, {}).heartbeat_rate == 2


def test_none_in_a_configuration_is_no_setting():
    assert load(SimpleNamespace(kombu_compression=None), {}, {}).kombu_compression == ""


def test_a_misspelt_name_gets_a_suggestion():
    with pytest.raises(InvalidOption, match="did you mean rpc_conn_pool_size") as caught:
        load(None, {"rpc_con_pool_size": "3"}, {})
    assert caught.value.name == "rpc_con_pool_size"


def test_an_unheard_of_name_gets_a_place_to_look():
    with pytest.raises(InvalidOption, match="there is no option zzz"):
        load(None, {"zzz": "3"}, {})


def test_a_url_cannot_set_the_url():
    with pytest.raises(InvalidOption):
        load(None, {"transport_url": "rabbit://h"}, {})


@pytest.mark.parametrize("name", sorted(ACCEPTED))
@pytest.mark.parametrize("text", ["true", "false"])
def test_oslo_s_switches_that_change_nothing_are_accepted_in_a_url(name, text):
    assert load(None, {name: text}, {}) == Options()


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_a_switch_that_changes_nothing_is_still_on_or_off(name):
    with pytest.raises(InvalidOption, match=rf"{name}='perhaps' \(in the URL\) is not true or false"):
        load(None, {name: "perhaps"}, {})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("rpc_conn_pool_size", "x", "a whole number, 1 or more"),
        ("rpc_conn_pool_size", "0", "a whole number, 1 or more"),
        ("rpc_conn_pool_size", "1.5", "a whole number"),
        ("rabbit_qos_prefetch_count", "70000", "from 0 to 65535"),
        ("rpc_response_timeout", "nan", "a number"),
        ("rpc_response_timeout", "inf", "a number"),
        ("rpc_response_timeout", "-1", "0 or more"),
        ("ssl", "perhaps", "true or false"),
        ("kombu_compression", "zip", "one of '', 'gzip', 'zlib', 'bz2'"),
        ("kombu_failover_strategy", "random", "'round-robin', 'shuffle'"),
        ("rabbit_login_method", "plain", "'PLAIN'"),
        ("rabbit_login_method", "RABBIT-CR-DEMO", "the AMQP library knows no other"),
        ("ssl_version", "TLSv1", "older protocols are not safe"),
        ("rabbit_interval_max", "0", "0.001 or more"),
    ],
)
def test_a_bad_value_is_told_what_would_be_right(name, text, expected):
    with pytest.raises(InvalidOption, match=expected) as caught:
        load(None, {name: text}, {})
    assert caught.value.name == name


def test_an_error_says_which_variable_is_wrong():
    with pytest.raises(InvalidOption, match="TRACEDRPC_HEARTBEAT_RATE"):
        load(None, {}, {"TRACEDRPC_HEARTBEAT_RATE": "often"})


@pytest.mark.parametrize(
    "bad",
    [{"ssl": 1}, {"heartbeat_rate": True}, {"heartbeat_rate": "3"}, {"transport_url": None}],
)
def test_options_made_in_code_are_checked_too(bad):
    with pytest.raises(InvalidOption):
        Options(**bad)


def test_a_whole_number_is_a_number():
    assert Options(conn_pool_ttl=3).conn_pool_ttl == 3


def test_the_pool_s_minimum_cannot_exceed_its_size():
    with pytest.raises(InvalidOption, match="conn_pool_min_size=9 is above"):
        load(None, {"conn_pool_min_size": "9", "rpc_conn_pool_size": "8"}, {})


def test_a_pool_whose_size_nobody_has_chosen_is_as_large_as_its_minimum():
    assert load(None, {"conn_pool_min_size": "9"}, {}).rpc_conn_pool_size == 9
    assert load(None, {"conn_pool_min_size": "2"}, {}).rpc_conn_pool_size == 8


# ---- options that exclude each other -------------------------------------------------------------


@pytest.mark.parametrize("quorum", ["rabbit_quorum_queue", "rabbit_transient_quorum_queue"])
def test_a_queue_is_mirrored_or_a_quorum_queue(quorum):
    with pytest.raises(InvalidOption, match="not both; turn it off") as caught:
        load(None, {"rabbit_ha_queues": "true", quorum: "true"}, {})
    assert caught.value.name == "rabbit_ha_queues"


def test_a_quorum_queue_cannot_delete_itself():
    with pytest.raises(InvalidOption, match="no quorum queues that delete themselves") as caught:
        load(None, {"rabbit_quorum_queue": "true", "amqp_auto_delete": "true"}, {})
    assert caught.value.name == "amqp_auto_delete"


def test_a_fanout_stream_needs_no_other_option():
    assert load(None, {"rabbit_stream_fanout": "true"}, {}).rabbit_stream_fanout


def test_what_the_wire_can_compress_may_be_chosen():
    assert set(options.SPECS["kombu_compression"].rule.choices) == {"", *COMPRESSIONS}


def test_the_default_exchange_can_be_set_once_for_all(monkeypatch):
    monkeypatch.setattr(_settings, "application_defaults", {})
    set_default_control_exchange("neutron")
    assert load(None, {}, {}).control_exchange == "neutron"
    assert load(SimpleNamespace(), {}, {}).control_exchange == "neutron"
    assert load(SimpleNamespace(control_exchange="x"), {}, {}).control_exchange == "x"


def outcome(conf):
    try:
        return load(conf, {}, {})
    except InvalidOption as error:
        return error


scalars = st.one_of(st.booleans(), st.integers(), st.floats(), st.text(), st.none())


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([field.name for field in fields(Options)]), scalars)
def test_whatever_is_set_it_is_taken_or_refused_by_name(name, value):
    told = outcome(SimpleNamespace(**{name: value}))
    if isinstance(told, InvalidOption):
        assert told.name in {name, "conn_pool_min_size"}
    else:
        assert isinstance(told, Options)
