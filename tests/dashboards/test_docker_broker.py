"""RabbitMQ reads the settings of docker/rabbitmq, and says what Prometheus is told to ask it for."""

from __future__ import annotations

import os
import socket
import urllib.parse
import urllib.request

import pytest

from tests.dashboards.compose_files import DOCKER, load
from tracedrpc_console import broker as brokers

SETTINGS = DOCKER / "rabbitmq"
JOBS = {job["job_name"]: job for job in load(DOCKER / "prometheus" / "prometheus.yaml")["scrape_configs"]}
DECLARE = 'rabbit_amqqueue:declare({resource,<<"/">>,queue,<<"demo.api">>}, true, false, [], none, <<"me">>).'


class ConfiguredBroker(brokers.PrivateBroker):
    """A private node with the settings and plugins of docker/, on free ports."""

    def __init__(self):
        super().__init__()
        with socket.socket() as one, socket.socket() as two:
            one.bind((brokers.LOCALHOST, 0))
            two.bind((brokers.LOCALHOST, 0))
            self.metrics_port, self.management_port = one.getsockname()[1], two.getsockname()[1]

    def _new_folder(self):
        folder = super()._new_folder()
        ports = "".join(
            f"{plugin}.tcp.ip = 127.0.0.1\n{plugin}.tcp.port = {port}\n"
            for plugin, port in (("prometheus", self.metrics_port), ("management", self.management_port))
        )
        ours = (SETTINGS / "rabbitmq.conf").read_text()
        (folder / "rabbitmq.conf").write_text(f"{brokers.CONFIG}{ours}{ports}")
        (folder / "enabled_plugins").write_text((SETTINGS / "enabled_plugins").read_text())
        return folder

    def page(self, job):
        query = urllib.parse.urlencode(JOBS[job].get("params", {}), doseq=True)
        path = JOBS[job].get("metrics_path", "/metrics")
        url = f"http://127.0.0.1:{self.metrics_port}{path}?{query}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()


@pytest.fixture(scope="module")
def broker():
    try:
        with ConfiguredBroker() as running:
            running.rabbitmqctl("eval", DECLARE)
            yield running
    except brokers.BrokerUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def test_the_settings_are_taken(broker):
    told = broker.rabbitmqctl("environment")
    assert '{vm_memory_high_watermark,{absolute,"400MiB"}}' in told
    assert '{disk_free_limit,"500MB"}' in told


def test_sums_are_told_of_all_queues(broker):
    page = broker.page("rabbitmq")
    assert "\nrabbitmq_connections " in page
    assert 'queue="demo.api"' not in page


def test_single_queues_are_told_of_on_request(broker):
    page = broker.page("rabbitmq-detailed")
    assert 'rabbitmq_detailed_queue_consumers{vhost="/",queue="demo.api"' in page
    assert 'rabbitmq_detailed_queue_messages_ready{vhost="/",queue="demo.api"' in page
    assert "rabbitmq_detailed_channel" not in page
