"""Settings from code, environment, configuration object and URL."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc import options
from tracedrpc.exceptions import InvalidOption
from tracedrpc.options import IGNORED, Options, load, set_default_control_exchange


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


def test_a_default_that_oslo_config_only_repeats_does_not_replace_ours():
    def get_location(name, group):
        place = "user" if name == "heartbeat_rate" else "opt_default"
        return SimpleNamespace(location=SimpleNamespace(name=place))

    rabbit = SimpleNamespace(rpc_conn_pool_size=30, heartbeat_rate=4, conn_pool_min_size=3)
    conf = SimpleNamespace(oslo_messaging_rabbit=rabbit, get_location=get_location)
    loaded = load(conf, {}, {})
    assert (loaded.rpc_conn_pool_size, loaded.heartbeat_rate) == (8, 4)
    assert loaded.conn_pool_min_size == 3, "a changed default is somebody's choice"


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


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_oslo_s_other_options_are_accepted_in_a_url(name):
    assert load(None, {name: "anything"}, {}) == Options()


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
        ("kombu_compression", "zip", "one of '', 'gzip', 'bz2'"),
        ("kombu_failover_strategy", "random", "'round-robin', 'shuffle'"),
        ("rabbit_login_method", "plain", "'PLAIN'"),
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
        load(None, {"conn_pool_min_size": "9"}, {})


def test_the_default_exchange_can_be_set_once_for_all(monkeypatch):
    monkeypatch.setattr(options, "_transport_defaults", {})
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
