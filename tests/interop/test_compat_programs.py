"""Unmodified programs run on us: RPC is ours, notifications are oslo.messaging's own."""

from __future__ import annotations

import json
import sys

import pytest

from tests.interop.compat_runs import HERE, hide_stock, output, run

pytestmark = pytest.mark.usefixtures("peers")

PROGRAM = str(HERE / "compat_program.py")
NOTIFICATIONS = str(HERE / "compat_notifications.py")
ON_US = ("-m", "tracedrpc.compat")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return the environment of a Python without oslo.messaging; run it with -S."""
    return hide_stock(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def compared():
    """Return how our names differ from stock's."""
    return last(output(str(HERE / "compat_names.py")))


def last(printed):
    return json.loads(printed.splitlines()[-1])


# ---- running -------------------------------------------------------------------------------------


def test_a_program_meets_the_same_on_us_as_on_stock(rabbit_url, topic):
    arguments = (PROGRAM, rabbit_url, topic, "--global")
    ours, stock = last(output(*ON_US, *arguments)), last(output(*arguments))
    assert ours["told"] == stock["told"]
    assert (ours["run"]["of"], stock["run"]["of"]) == ("tracedrpc.target", "oslo_messaging.target")


def test_a_program_has_its_own_arguments_and_is_the_main_one():
    told = last(output(*ON_US, PROGRAM, "fake://", "t", "--", "-m"))
    assert told["run"] == {"argv": ["fake://", "t", "--", "-m"], "name": "__main__", "of": "tracedrpc.target"}


def test_a_configuration_of_ones_own_is_enough_to_call(rabbit_url, topic):
    assert last(output(*ON_US, PROGRAM, rabbit_url, topic))["told"]["add"] == [3, "u"]
    stock = run(PROGRAM, rabbit_url, topic)
    assert "NoSuchOptError: no such option oslo_messaging_tracing" in stock.stderr


def test_a_module_runs_too():
    told = last(output(*ON_US, "-m", "compat_program", "fake://", "t"))
    assert told["told"]["add"] == [3, "u"]
    assert told["run"]["argv"] == ["fake://", "t"]


def test_a_script_on_the_path_runs_by_its_name_and_finds_its_neighbours(tmp_path):
    script = tmp_path / "my-service"
    script.write_text(
        f"#!{sys.executable}\n"
        "import neighbour, oslo_messaging\nprint(neighbour.X, oslo_messaging.__name__)\n",
    )
    script.chmod(0o755)
    (tmp_path / "neighbour.py").write_text("X = 7\n")
    printed = output(*ON_US, "my-service", env={"PATH": str(tmp_path)}, cwd="/")
    assert printed == "7 tracedrpc.compat.oslo_messaging\n"


def test_the_status_of_a_program_is_that_of_the_run():
    done = run(*ON_US, "-m", "this_module_does_not_exist")
    assert done.returncode == 1
    assert "this_module_does_not_exist" in done.stderr


@pytest.mark.parametrize(("arguments", "says"), [
    ((), "the program to run is missing"),
    (("-m",), "-m needs the name of a module"),
    (("--help",), "usage: python -m tracedrpc.compat"),
    (("no-such-program",), "there is no program no-such-program, here or on PATH"),
])
def test_a_wrong_command_says_what_is_wrong(arguments, says):
    done = run(*ON_US, *arguments)
    assert done.returncode == 1
    assert says in done.stderr


# ---- names ---------------------------------------------------------------------------------------


def test_install_twice_is_install_once_and_every_old_name_is_the_facades():
    output("-c", """
import importlib, sys
from tracedrpc import compat
assert not compat.is_installed()
compat.install(); compat.install()
assert compat.is_installed()
for part in ("", ".rpc", ".rpc.client", ".transport", ".conffixture", ".opts", ".version", ".dispatcher"):
    old = importlib.import_module("oslo_messaging" + part)
    assert old is importlib.import_module("tracedrpc.compat.oslo_messaging" + part)
    assert old.__spec__.name == "tracedrpc.compat.oslo_messaging" + part
import oslo_messaging.rpc.server, tracedrpc
assert oslo_messaging.rpc.server.RPCServer is tracedrpc.rpc.server.RPCServer
assert oslo_messaging.get_rpc_transport is tracedrpc.get_rpc_transport
""")


def test_a_module_that_never_was_is_not_found():
    output("-c", """
import importlib.util
from tracedrpc import compat
compat.install()
assert importlib.util.find_spec("oslo_messaging.nothing") is None
import oslo_messaging
try:
    import oslo_messaging.nothing.below
except ModuleNotFoundError as error:
    assert error.name == "oslo_messaging.nothing"
assert not hasattr(oslo_messaging, "nothing")
assert "Notifier" in dir(oslo_messaging) and "Target" in dir(oslo_messaging)
""")


def test_install_after_stock_was_imported_is_refused():
    done = run("-c", "import oslo_messaging; from tracedrpc import compat; compat.install()")
    assert "oslo_messaging has been imported already" in done.stderr
    assert "before anything imports it" in done.stderr


def test_nothing_of_stock_is_loaded_for_rpc():
    printed = output("-c", """
import sys
from tracedrpc import compat
compat.install()
import oslo_messaging, oslo_messaging.rpc.dispatcher, oslo_messaging.exceptions
with oslo_messaging.get_rpc_transport(url="fake://"):
    print([name for name in sys.modules if name.startswith(("tracedrpc.compat.stock", "oslo_service"))])
""")
    assert printed == "[]\n"


def test_the_public_names_and_their_signatures_are_those_of_stock(compared):
    assert {part: names for part, names in compared["lacking"].items() if names} == {".server": ["ordered"]}
    assert compared["differences"] == []


def test_import_tracedrpc_as_messaging_gives_the_rpc_half_and_its_modules_of_values(compared):
    direct = dict(compared["direct"])
    facade_only = {"conffixture", "dispatcher", "notify", "opts", "server", "transport", "version"}
    notifications = {name for name in direct[""] if "otif" in name or name == "PublishErrorsHandler"}
    assert set(direct.pop("")) == facade_only | notifications
    assert direct == {".exceptions": ["ConfigurationError"], ".rpc": [], ".serializer": [], ".target": []}


# ---- the other half ------------------------------------------------------------------------------


def test_both_halves_work_in_one_process_and_share_errors_targets_and_urls(rabbit_url, topic):
    told = last(output(*ON_US, NOTIFICATIONS, rabbit_url, topic))
    assert told == {
        "result": "vm is built",
        "notified": ["compute.one", "instance.built", {"name": "vm"}],
        "is_server": True,
        "is_notification_transport": True,
        "driver_error": True,
        "executor_error": True,
        "target_error": True,
        "module": "oslo_messaging.notify.notifier",
        "same": True,
        "pickled": True,
        "rpc": "tracedrpc.rpc.transport",
        "notifications": "oslo_messaging.transport",
    }


def test_the_facade_passes_notifications_on_without_install_too():
    output("-c", """
from tracedrpc.compat import oslo_messaging as messaging
import oslo_messaging as stock
assert stock.__name__ == "oslo_messaging" and stock is not messaging
assert messaging.Notifier is stock.Notifier
from tracedrpc.compat.oslo_messaging.notify import notifier
assert notifier.Notifier is stock.Notifier
""")


@pytest.mark.parametrize("order", ["tracedrpc, stock", "stock, tracedrpc"])
def test_both_libraries_beside_each_other_take_one_configuration(order):
    output("-c", f"""
import oslo_messaging as stock, tracedrpc
from oslo_config import cfg
conf = cfg.ConfigOpts()
conf([])
make = {{tracedrpc: tracedrpc.get_rpc_transport, stock: stock.get_notification_transport}}
for library in ({order}):
    make[library](conf, url="kombu+memory:////").cleanup()
conf.set_override("rpc_response_timeout", 7)
assert tracedrpc.get_rpc_transport(conf, url="fake://").options.rpc_response_timeout == 7
""")


@pytest.mark.parametrize("use", [
    "oslo_messaging.Notifier",
    "oslo_messaging.get_notification_transport(None)",
    "from oslo_messaging import NotificationFilter",
    "import oslo_messaging.notify.notifier",
    "from oslo_messaging import notify",
    "oslo_messaging.transport.NotificationTransport",
])
def test_without_stock_a_notification_name_says_what_to_install(bare, use):
    code = f"from tracedrpc import compat; compat.install(); import oslo_messaging; {use}"
    done = run("-S", "-c", code, env=bare)
    assert "ModuleNotFoundError: notifications are oslo.messaging's own half" in done.stderr
    assert "pip install oslo.messaging" in done.stderr


def test_without_stock_rpc_runs(bare):
    told = last(output("-S", *ON_US, PROGRAM, "fake://", "t", env=bare))
    assert told["told"]["add"] == [3, "u"]
