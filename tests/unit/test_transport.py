from __future__ import annotations

import subprocess
import sys
import threading
import types

import pytest
from stevedore import driver as stevedore_driver

from tracedrpc import (
    DriverLoadFailure,
    InvalidOption,
    InvalidTransportURL,
    Options,
    Telemetry,
    TransportOptions,
    TransportURL,
    _guard,
    _settings,
    get_rpc_transport,
    get_transport,
    install_telemetry,
    set_transport_defaults,
)
from tracedrpc.rpc.transport import RPCTransport
from tracedrpc.testing import RecordingTelemetry


class StubDriver:
    def __init__(self, url, options, telemetry, allowed_remote_exmods, default_exchange):
        self.url = url
        self.options = options
        self.telemetry = telemetry
        self.allowed = allowed_remote_exmods
        self.default_exchange = default_exchange
        self.cleanups = 0

    def cleanup(self):
        self.cleanups += 1


@pytest.fixture(autouse=True)
def drivers(monkeypatch):
    """Let stevedore find the stub driver whatever is installed; return the names asked for."""
    asked = []

    def manager(group, name, *, invoke_on_load, invoke_args, invoke_kwds):
        asked.append((group, name))
        if name == "absent":
            raise RuntimeError(f"No {group!r} driver found, looking for {name!r}")
        if name == "picky":
            raise InvalidOption("colour", "this driver does not like the colour")
        assert invoke_on_load
        return types.SimpleNamespace(driver=StubDriver(*invoke_args, **invoke_kwds))

    monkeypatch.setattr(stevedore_driver, "DriverManager", manager)
    return asked


def test_the_urls_scheme_chooses_the_driver(drivers):
    get_rpc_transport(url="memory://")
    get_rpc_transport(url="kombu+memory:////")
    get_rpc_transport(url=TransportURL(None, "rabbit"))
    assert drivers == [("tracedrpc.drivers", name) for name in ("memory", "kombu", "rabbit")]


def test_what_a_driver_says_of_its_arguments_reaches_the_caller():
    with pytest.raises(InvalidOption, match="colour"):
        get_rpc_transport(url="picky://")


def test_the_driver_gets_what_the_transport_was_made_from():
    transport = get_rpc_transport(
        None, "rabbit://u:p@h:1/v?rpc_response_timeout=3", ["mod"], telemetry=RecordingTelemetry(),
    )
    driver = transport.driver
    assert driver.url.hosts[0].hostname == "h"
    assert driver.options.rpc_response_timeout == 3
    assert driver.options is transport.options
    assert driver.telemetry is transport.telemetry
    assert driver.allowed == ["mod"]
    assert driver.default_exchange == "openstack"


def test_conf_is_what_was_given_or_else_the_settings():
    conf = Options(rpc_response_timeout=4)
    assert get_rpc_transport(conf, "memory://").conf is conf
    transport = get_rpc_transport(url="memory://")
    assert transport.conf is transport.options


def test_the_url_comes_from_the_settings_when_none_is_given(monkeypatch, drivers):
    get_rpc_transport(Options(transport_url="memory://here"))
    monkeypatch.setenv("TRACEDRPC_TRANSPORT_URL", "kombu+memory:///")
    get_rpc_transport()
    assert [name for _, name in drivers] == ["memory", "kombu"]


def test_a_driver_that_is_not_there_is_an_error_that_names_those_that_are():
    with pytest.raises(DriverLoadFailure, match="there are ") as caught:
        get_rpc_transport(url="absent://")
    assert caught.value.driver == "absent"


@pytest.mark.parametrize("url", ["no scheme", "rabbit://h:port"])
def test_a_url_that_makes_no_sense_is_refused(url):
    with pytest.raises(InvalidTransportURL):
        get_rpc_transport(url=url)


def test_a_setting_that_does_not_exist_is_refused_and_not_called_a_driver_problem():
    with pytest.raises(InvalidOption):
        get_rpc_transport(url="memory://?rpc_respnse_timeout=3")


def test_the_telemetry_is_the_one_given_guarded():
    telemetry = RecordingTelemetry()
    told = get_rpc_transport(url="memory://", telemetry=telemetry).telemetry
    assert isinstance(told, _guard.Guarded)
    assert told.inner is telemetry


def test_the_telemetry_is_the_installed_one_when_none_is_given():
    telemetry = Telemetry()
    before = install_telemetry(telemetry)
    try:
        assert get_rpc_transport(url="memory://").telemetry is telemetry
    finally:
        install_telemetry(before)


def test_a_transport_class_of_ones_own_gets_the_driver_alone():
    class Own(RPCTransport):
        def __init__(self, driver):
            super().__init__(driver)
            self.own = True

    transport = get_rpc_transport(url="memory://", transport_cls=Own)
    assert transport.own
    assert transport.options.control_exchange == "openstack"


def test_a_with_block_cleans_up():
    with get_rpc_transport(url="memory://") as transport:
        assert transport.driver.cleanups == 0
    assert transport.driver.cleanups == 1


def test_making_a_transport_starts_no_thread():
    before = threading.active_count()
    get_rpc_transport(url="memory://")
    assert threading.active_count() == before


def test_the_old_function_still_works_and_says_what_to_use():
    with pytest.warns(DeprecationWarning, match="use get_rpc_transport"):
        transport = get_transport(None, "memory://", ["mod"])
    assert isinstance(transport, RPCTransport)
    assert transport.driver.allowed == ["mod"]


def test_the_default_exchange_can_be_set_for_later_transports(monkeypatch):
    monkeypatch.setattr(_settings, "application_defaults", {})
    set_transport_defaults("mine")
    assert get_rpc_transport(url="memory://").driver.default_exchange == "mine"
    assert get_rpc_transport(url="memory://?control_exchange=x").driver.default_exchange == "x"
    assert get_rpc_transport(Options(), "memory://").driver.default_exchange == "openstack"


def test_transport_options_are_read_only():
    assert TransportOptions(at_least_once=True).at_least_once
    assert not TransportOptions().at_least_once
    with pytest.raises(AttributeError):
        TransportOptions().at_least_once = True
    assert repr(TransportOptions()) == "TransportOptions(at_least_once=False)"


def test_importing_the_package_loads_no_broker_library_and_no_opentelemetry():
    code = (
        "import sys, tracedrpc;"
        "heavy = {'kombu', 'amqp', 'opentelemetry', 'stevedore', 'oslo_config', 'tracedrpc_otel'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
