"""Settings from an oslo.config object: any, unparsed or parsed, alone or beside oslo.messaging."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from oslo_config import cfg

import tracedrpc
from tracedrpc import _settings, oslo_options
from tracedrpc._stock_options import GROUPS
from tracedrpc.exceptions import InvalidOption
from tracedrpc.options import DEFAULTS, load, set_default_control_exchange
from tracedrpc.url import TransportURL

RABBIT = "oslo_messaging_rabbit"


@pytest.fixture
def conf():
    return cfg.ConfigOpts()


@pytest.fixture
def configured(tmp_path):
    """Give a function that returns a configuration object which has read a file."""

    def read(text, *, before=lambda conf: None):
        path = tmp_path / "service.conf"
        path.write_text(text)
        conf = cfg.ConfigOpts()
        before(conf)
        conf(["--config-file", str(path)])
        return conf

    return read


def theirs(conf, name="rpc_conn_pool_size", group=RABBIT, **changes):
    """Register an option as oslo.messaging does."""
    definition = {"default": 30, "min": 1, "help": "Size of RPC connection pool."} | changes
    conf.register_opt(cfg.IntOpt(name, **definition), group=group)


# ---- where options are ---------------------------------------------------------------------------


def test_a_configuration_in_which_nothing_is_chosen_means_our_defaults(conf):
    assert load(conf, {}) == DEFAULTS


def test_a_file_sets_options_of_all_three_groups(configured):
    loaded = load(configured("""
        [DEFAULT]
        transport_url = rabbit://h:1/
        control_exchange = nova
        rpc_response_timeout = 7
        executor_thread_pool_size = 5
        rpc_ping_enabled = true
        [oslo_messaging_rabbit]
        rpc_conn_pool_size = 4
        rabbit_quorum_queue = true
        kombu_reconnect_delay = 1.5
        [tracedrpc]
        dedup_window = 3.5
        context_carrier = false
    """.replace("        ", "")), {})
    assert (loaded.transport_url, loaded.control_exchange) == ("rabbit://h:1/", "nova")
    assert (loaded.rpc_response_timeout, loaded.executor_thread_pool_size) == (7, 5)
    assert loaded.rpc_ping_enabled
    assert (loaded.rpc_conn_pool_size, loaded.kombu_reconnect_delay) == (4, 1.5)
    assert loaded.rabbit_quorum_queue
    assert (loaded.dedup_window, loaded.context_carrier) == (3.5, False)


def test_options_of_an_application_that_are_called_the_same_are_not_ours(configured):
    def before(conf):
        conf.register_opts([cfg.StrOpt("hostname"), cfg.BoolOpt("ssl"), cfg.IntOpt("dedup_most")])

    loaded = load(configured("[DEFAULT]\nhostname = mine\nssl = true\ndedup_most = 1\n", before=before), {})
    assert loaded == DEFAULTS


@pytest.mark.parametrize(("text", "name", "value"), [
    ("[DEFAULT]\nrpc_thread_pool_size = 9", "executor_thread_pool_size", 9),
    ("[oslo_messaging_rabbit]\nkombu_reconnect_timeout = 9", "kombu_missing_consumer_retry_timeout", 9),
])
def test_former_names_are_read_still(configured, text, name, value):
    assert getattr(load(configured(text), {}), name) == value


def test_options_that_change_nothing_are_accepted(configured):
    text = f"[{RABBIT}]\ndirect_mandatory_flag = false\nssl_enforce_hostname_verification = false\n"
    assert load(configured(text), {}) == DEFAULTS


def test_the_url_overrides_the_configuration(configured):
    conf = configured(f"[{RABBIT}]\nrpc_conn_pool_size = 4\nheartbeat_rate = 5\n")
    loaded = load(conf, {"rpc_conn_pool_size": "3"})
    assert (loaded.rpc_conn_pool_size, loaded.heartbeat_rate) == (3, 5)


def test_the_environment_of_oslo_config_counts(monkeypatch, conf):
    monkeypatch.setenv("OS_OSLO_MESSAGING_RABBIT__HEARTBEAT_RATE", "7")
    conf([])
    assert load(conf, {}).heartbeat_rate == 7


# ---- what is chosen ------------------------------------------------------------------------------


def test_a_default_of_the_original_that_nobody_has_chosen_does_not_replace_ours(conf):
    theirs(conf)
    assert load(conf, {}).rpc_conn_pool_size == DEFAULTS.rpc_conn_pool_size


def test_the_same_value_in_a_file_is_a_choice(configured):
    assert load(configured(f"[{RABBIT}]\nrpc_conn_pool_size = 30\n"), {}).rpc_conn_pool_size == 30


def test_a_default_that_the_application_has_changed_is_a_choice(conf):
    theirs(conf, default=12)
    assert load(conf, {}).rpc_conn_pool_size == 12


@pytest.mark.parametrize("change", ["set_default", "set_override"])
def test_what_a_program_sets_is_a_choice(conf, change):
    load(conf, {})
    getattr(conf, change)("heartbeat_timeout_threshold", 60, group=RABBIT)
    assert load(conf, {}).heartbeat_timeout_threshold == 60


def test_a_least_pool_size_alone_makes_the_pool_large_enough(configured):
    loaded = load(configured(f"[{RABBIT}]\nconn_pool_min_size = 20\n"), {})
    assert (loaded.conn_pool_min_size, loaded.rpc_conn_pool_size) == (20, 20)


def test_host_and_process_in_names_of_queues_are_seen_as_the_original_shows_them(conf):
    load(conf, {})
    assert conf.oslo_messaging_rabbit.hostname
    assert conf.oslo_messaging_rabbit.processname == Path(sys.argv[0]).name


# ---- the exchange --------------------------------------------------------------------------------


@pytest.fixture
def no_defaults(monkeypatch):
    monkeypatch.setattr(_settings, "application_defaults", {})


@pytest.mark.usefixtures("no_defaults")
def test_the_application_s_default_exchange_shows_in_the_configuration(conf):
    set_default_control_exchange("neutron")
    assert load(conf, {}).control_exchange == "neutron"
    assert conf.control_exchange == "neutron"


@pytest.mark.usefixtures("no_defaults")
def test_a_file_wins_over_the_application_s_default_exchange(configured):
    set_default_control_exchange("neutron")
    assert load(configured("[DEFAULT]\ncontrol_exchange = openstack\n"), {}).control_exchange == "openstack"


def test_a_default_exchange_set_through_the_original_counts(conf):
    conf.register_opt(cfg.StrOpt("control_exchange", default="cinder"))
    assert load(conf, {}).control_exchange == "cinder"


# ---- registering ---------------------------------------------------------------------------------


def test_options_are_registered_on_the_object_that_is_passed_in_and_no_other(conf):
    tracedrpc.get_rpc_transport(conf, "memory://").cleanup()
    assert conf.oslo_messaging_rabbit.heartbeat_rate == 3
    assert conf.tracedrpc.dedup_most == 100_000
    assert conf.rpc_response_timeout == 60
    assert RABBIT not in cfg.CONF
    assert "rpc_response_timeout" not in cfg.CONF


def test_an_object_that_was_parsed_before_is_as_good(configured):
    conf = configured(f"[{RABBIT}]\nheartbeat_rate = 8\n")
    with tracedrpc.get_rpc_transport(conf, "memory://") as transport:
        assert transport.options.heartbeat_rate == 8
        assert transport.conf is conf


def test_two_transports_may_have_one_configuration(conf):
    for _ in range(2):
        tracedrpc.get_rpc_transport(conf, "memory://").cleanup()


def test_the_original_may_register_the_same_options_before_us(conf):
    theirs(conf)
    oslo_options.register(conf)
    theirs(conf)


def test_the_original_may_register_the_same_options_after_us(conf):
    oslo_options.register(conf)
    theirs(conf)
    assert conf.oslo_messaging_rabbit.rpc_conn_pool_size == 30


def test_an_option_of_another_type_under_our_name_is_used_as_it_is(configured):
    def before(conf):
        conf.register_opt(cfg.FloatOpt("rpc_response_timeout", default=60.0))

    conf = configured("[DEFAULT]\nrpc_response_timeout = 1.5\n", before=before)
    assert load(conf, {}).rpc_response_timeout == 1.5


def test_after_us_an_option_of_another_type_is_still_a_conflict(conf):
    oslo_options.register(conf)
    with pytest.raises(cfg.DuplicateOptError):
        conf.register_opt(cfg.StrOpt("rpc_conn_pool_size"), group=RABBIT)


def test_a_url_is_found_in_a_configuration_that_no_transport_was_made_from(configured):
    url = TransportURL.parse(configured("[DEFAULT]\ntransport_url = rabbit://other:1234/v\n"))
    assert (url.hosts[0].hostname, url.virtual_host) == ("other", "v")


# ---- bad values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "name", "value"), [
    (RABBIT, "rpc_conn_pool_size", "0"),
    (RABBIT, "rpc_conn_pool_size", "many"),
    (RABBIT, "kombu_failover_strategy", "random"),
    (RABBIT, "kombu_compression", "rar"),
    (RABBIT, "rabbit_login_method", "RABBIT-CR-DEMO"),
    (RABBIT, "ssl_version", "TLSv1"),
    (RABBIT, "rabbit_quorum_delivery_limit", "-1"),
    ("DEFAULT", "executor_thread_pool_size", "0"),
    ("tracedrpc", "max_message_size", "1"),
])
def test_a_bad_value_is_refused_by_name_when_the_transport_is_made(configured, group, name, value):
    conf = configured(f"[{group}]\n{name} = {value}\n")
    with pytest.raises(InvalidOption, match=name) as caught:
        tracedrpc.get_rpc_transport(conf, "memory://")
    assert caught.value.name == name


# ---- samples -------------------------------------------------------------------------------------


def test_all_options_are_listed_by_group():
    listed = dict(oslo_options.list_opts())
    assert {group: [opt.name for opt in opts] for group, opts in listed.items()} == {
        group: [option.name for option in options] for group, options in GROUPS
    }
    assert all(opt.help for opts in listed.values() for opt in opts)


def test_what_is_listed_is_a_copy():
    oslo_options.list_opts()[0][1][0].default = "changed"
    assert oslo_options.list_opts()[0][1][0].default != "changed"


def test_the_generator_of_sample_files_finds_the_options(tmp_path):
    (entry,) = importlib.metadata.entry_points(group="oslo.config.opts", name="tracedrpc")
    assert entry.load() is oslo_options.list_opts
    sample = tmp_path / "sample.conf"
    subprocess.run(
        [Path(sys.executable).with_name("oslo-config-generator"), "--namespace", "tracedrpc",
         "--output-file", str(sample)],
        check=True, capture_output=True, timeout=60,
    )
    text = sample.read_text()
    for heading in ("[DEFAULT]", "[oslo_messaging_rabbit]", "[tracedrpc]"):
        assert f"{heading}\n" in text
    for line in ("#rpc_conn_pool_size = 30", "#hostname = node1.example.com", "#dedup_window = 600.0"):
        assert f"\n{line}\n" in text
    assert "[oslo_messaging_rabbit]/kombu_reconnect_timeout" in text
