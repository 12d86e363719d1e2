"""One run of the example services for all tests of this suite, and a Prometheus that has seen it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards import prometheus_server, real_metrics
from tests.dashboards.span_metrics import span_metrics
from tests.dashboards.translation import exposed
from tracedrpc_console.broker import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.dashboards.prometheus_server import Prometheus
    from tests.dashboards.real_metrics import Told
    from tests.dashboards.translation import Sample

INSTALL = "scripts/install-prometheus.sh installs Debian's package"


@pytest.fixture(scope="session")
def told(pytestconfig: pytest.Config) -> Told:
    """What the example services and their broker said in some seconds."""
    try:
        return real_metrics.tell()
    except BrokerUnavailable as error:
        return missing(f"no RabbitMQ: {error}")


@pytest.fixture(scope="session")
def promtool() -> None:
    if not prometheus_server.are_installed():
        missing(f"no Prometheus: {INSTALL}")


@pytest.fixture(scope="session")
def prometheus(
    promtool: None, told: Told, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config,
) -> Iterator[Prometheus]:
    """A Prometheus with what was told behind it."""
    ticks = [[*tick, *more] for tick, more in zip(told.ticks, beside(told, pytestconfig.rootpath),
                                                  strict=True)]
    with prometheus_server.with_past(ticks, tmp_path_factory.mktemp("prometheus")) as server:
        yield server


def beside(told: Told, root: Path) -> Iterator[list[Sample]]:
    """What a collector between the services and Prometheus adds, for each tick."""
    page = (root / "tests" / "dashboards" / "otelcol.prom").read_text()
    own = list(exposed(page, job="otel-collector", instance="otel-collector"))
    for at in range(1, len(told.ticks) + 1):
        yield [*own, *span_metrics(told.spans[: at * len(told.spans) // len(told.ticks)])]


def missing(what: str) -> Any:
    if os.environ.get("CI"):
        pytest.fail(f"CI needs it: {what}", pytrace=False)
    pytest.skip(what)
