"""`oslo_messaging.conffixture`. Needs the packages `fixtures` and `oslo.config`."""

from __future__ import annotations

import importlib
from typing import Any

import fixtures

from tracedrpc import oslo_options
from tracedrpc.compat import _stock

__all__ = ["ConfFixture"]


class ConfFixture(fixtures.Fixture):  # type: ignore[misc]  # it has no types
    """Gives a test's configuration object all options, and resets it when the test ends.

        fixture = self.useFixture(ConfFixture(conf, transport_url="fake:/"))

    With oslo.messaging installed, the options of notifications are there as well.

    Args:
        conf: an oslo.config `ConfigOpts`; the global one, if a test insists.
        transport_url: overrides the option of that name.
    """

    def __init__(self, conf: Any, transport_url: str | None = None) -> None:
        self.conf = conf
        oslo_options.register(conf)
        if _stock.is_there():
            notifier = importlib.import_module("tracedrpc.compat.oslo_messaging.notify.notifier")
            conf.register_opts(notifier._notifier_opts, group="oslo_messaging_notifications")  # noqa: SLF001
        if transport_url is not None:
            self.transport_url = transport_url

    def setUp(self) -> None:
        """Begin; called by whoever uses the fixture."""
        super().setUp()
        self.addCleanup(self.conf.reset)

    @property
    def transport_url(self) -> str:
        """The URL of transports that are given none."""
        url: str = self.conf.transport_url
        return url

    @transport_url.setter
    def transport_url(self, value: str) -> None:
        self.conf.set_override("transport_url", value)

    @property
    def response_timeout(self) -> float:
        """Seconds that a call may take if its client says nothing else."""
        timeout_s: float = self.conf.rpc_response_timeout
        return timeout_s

    @response_timeout.setter
    def response_timeout(self, value: float) -> None:
        self.conf.set_override("rpc_response_timeout", value)
