"""What is begun is ended, on a real broker whose connections are killed under load."""

from __future__ import annotations

import pytest

from tests.faults.support import Executions
from tests.pairs import check_pairs
from tracedrpc.testing import RecordingTelemetry


class Pools(RecordingTelemetry):
    """Remembers the pools, too."""

    def __init__(self):
        super().__init__()
        self.pools = []

    def pool_opened(self, pool):
        super().pool_opened(pool)
        self.pools.append(pool)


@pytest.mark.parametrize("pool_size", [1, 4])
def test_every_connection_and_every_wait_for_one_is_told_to_its_end(far_site, proxy, pool_size):
    telemetry = Pools()
    options = {"rpc_conn_pool_size": pool_size, "conn_pool_min_size": 0, "conn_pool_ttl": 1}
    far_site.server(Executions(), far_site.transport(telemetry=telemetry, **options))
    client = far_site.client(far_site.transport(telemetry=telemetry, **options), timeout=10)
    load = far_site.load(client, threads=8)
    for _ in range(4):
        load.wait_for(15)
        proxy.reset_all()
    load.wait_for(15)
    proxy.refuse()
    proxy.reset_all()
    telemetry.wait_for("connect_failed", 3)
    proxy.accept()
    load.wait_for(15)
    load.stop()
    far_site.close()
    check_pairs(telemetry)
    for pool in telemetry.pools:
        stats = pool.stats()
        assert (stats.in_use, stats.idle, stats.waiters) == (0, 0, 0)
        assert stats.created == stats.closed
    reasons = {moment.fields["reason"] for moment in telemetry.of("connection_closed")}
    assert reasons >= {"error", "pool_closed"}
