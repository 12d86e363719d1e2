"""What programs do with their configuration: fixture, defaults, lists of options."""

from __future__ import annotations

import pytest

from tests.interop.compat_runs import hide_stock, output

pytestmark = pytest.mark.usefixtures("peers")

PREPARE = """
from oslo_config import cfg
from tracedrpc import compat
compat.install()
import oslo_messaging as messaging
conf = cfg.ConfigOpts()
conf([])
"""

FIXTURE = PREPARE + """
from oslo_messaging import conffixture
with conffixture.ConfFixture(conf, transport_url="fake:/") as fixture:
    assert (fixture.transport_url, conf.transport_url) == ("fake:/", "fake:/")
    fixture.transport_url = "fake://there/"
    fixture.response_timeout = 3
    assert (fixture.response_timeout, conf.rpc_response_timeout) == (3, 3)
    conf.set_override("heartbeat_timeout_threshold", 5, group="oslo_messaging_rabbit")
    with messaging.get_rpc_transport(conf) as transport:
        assert transport.options.rpc_response_timeout == 3
        assert transport.options.heartbeat_timeout_threshold == 5
        assert transport.driver.system == "memory"
    {here}
conf([])
assert (fixture.transport_url, fixture.response_timeout) == ("rabbit://", 60)
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return the environment of a Python without oslo.messaging; run it with -S."""
    return hide_stock(tmp_path_factory.mktemp("packages"))


def test_the_fixture_gives_a_test_its_options_and_takes_them_back():
    output("-c", FIXTURE.format(here="conf.set_override('driver', ['test'], 'oslo_messaging_notifications')"))


def test_the_fixture_needs_no_stock(bare):
    output("-S", "-c", FIXTURE.format(here="assert 'oslo_messaging_notifications' not in conf"), env=bare)


def test_the_default_exchange_of_a_program_holds_for_its_configuration():
    output("-c", PREPARE + """
messaging.set_transport_defaults(control_exchange="nova")
with messaging.get_rpc_transport(conf, url="fake://") as transport:
    assert conf.control_exchange == transport.options.control_exchange == "nova"
conf.set_override("control_exchange", "mine")
with messaging.get_rpc_transport(conf, url="fake://") as transport:
    assert transport.options.control_exchange == "mine"
assert "control_exchange" not in cfg.CONF
""")


def test_options_are_listed_by_group_with_those_of_notifications():
    output("-c", PREPARE + """
from oslo_messaging import opts
groups = dict(opts.list_opts())
assert groups.keys() == {
    None, "oslo_messaging_rabbit", "tracedrpc", "oslo_messaging_notifications", "oslo_messaging_kafka",
}
assert "control_exchange" in [opt.name for opt in groups[None]]
messaging.get_rpc_transport(conf, url="fake://").cleanup()
opts.set_defaults(conf, executor_thread_pool_size=5)
assert messaging.get_rpc_transport(conf, url="fake://").options.executor_thread_pool_size == 5
""")


def test_without_stock_only_our_own_options_are_listed(bare):
    output("-S", "-c", PREPARE + """
from oslo_messaging import opts
assert dict(opts.list_opts()).keys() == {None, "oslo_messaging_rabbit", "tracedrpc"}
""", env=bare)
