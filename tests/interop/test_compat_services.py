"""oslo.service's launchers run our server: started, reset, stopped, and no request is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tracedrpc
from tests.interop.compat_runs import HERE, environment
from tests.interop.processes import PYTHON

pytestmark = [pytest.mark.usefixtures("peers"), pytest.mark.timeout(180)]

PROGRAM = HERE / "service_program.py"
PATIENCE_S = 60
LAUNCHERS = ("service", "process")


class Service:
    """The program under a launcher, while its `with` block runs."""

    def __init__(self, launcher, url, topic, log):
        self.log = Path(log)
        self._errors = self.log.with_suffix(".err").open("ab")
        arguments = ["-m", "tracedrpc.compat", str(PROGRAM), launcher, url, topic, str(log)]
        self.process = subprocess.Popen(
            [str(PYTHON), "-W", "ignore", *arguments],
            env=environment(), stdout=self._errors, stderr=self._errors, start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own: launcher and workers
        self.process.wait()
        self._errors.close()

    def signal(self, number):
        self.process.send_signal(number)

    def lines(self):
        """Return what it has written: pairs of an id and a process id, or of a word and one of them."""
        return [tuple(line.split()) for line in self.log.read_text().splitlines()]

    def executed(self):
        return sorted(int(word) for word, _ in self.lines() if word.isdigit())

    def wait_for(self, word, count):
        give_up = time.monotonic() + PATIENCE_S
        while sum(first == word for first, _ in self.lines()) < count:
            assert time.monotonic() < give_up, self.log.with_suffix(".err").read_text()[-3000:]
            time.sleep(0.05)


@pytest.fixture
def site(rabbit_url, topic, tmp_path):
    """Give what starts services, and calls them from a pool of threads."""
    url = f"{rabbit_url}?executor_thread_pool_size=4"
    with tracedrpc.get_rpc_transport(url=rabbit_url) as transport, ThreadPoolExecutor(16) as pool:
        client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=topic), timeout=PATIENCE_S)

        def call(number, seconds=0.0):
            return pool.submit(client.call, {}, "work", id=number, seconds=seconds)

        def service(launcher):
            return Service(launcher, url, topic, tmp_path / "service.log")

        yield service, call


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_runs_our_server_and_sigterm_lets_it_finish(site, launcher):
    start, call = site
    with start(launcher) as service:
        assert call(0).result() == 0
        running = [call(number, 1.5) for number in (1, 2, 3)]
        service.wait_for("began", 4)
        service.signal(signal.SIGTERM)
        assert [each.result() for each in running] == [1, 2, 3]
        assert service.process.wait(PATIENCE_S) == 0
        assert service.executed() == [0, 1, 2, 3]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_sighup_resets_it_and_nobody_notices(site, launcher):
    start, call = site
    with start(launcher) as service:
        assert call(0).result() == 0
        running = [call(number, 0.3) for number in range(1, 25)]
        service.signal(signal.SIGHUP)
        assert [each.result() for each in running] == list(range(1, 25))
        if launcher == "service":
            service.wait_for("reset", 1)
            service.wait_for("started", 2)
        assert call(25).result() == 25
        assert service.executed() == list(range(26))
        service.signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE_S) == 0


def test_what_waits_when_sigterm_comes_is_done_by_the_next_process(site):
    start, call = site
    with start("service") as first:
        assert call(0).result() == 0
        calls = [call(number, 0.5) for number in range(1, 13)]
        assert calls[0].result() == 1
        first.signal(signal.SIGTERM)
        assert first.process.wait(PATIENCE_S) == 0
        assert len(first.executed()) < 13, "nothing was left for the next one"
    with start("service") as second:
        assert [each.result() for each in calls] == list(range(1, 13))
        assert second.executed() == list(range(13))


def test_the_workers_of_a_process_launcher_are_processes_of_their_own(site):
    start, call = site
    with start("process") as service:
        assert [each.result() for each in [call(number, 0.5) for number in range(12)]] == list(range(12))
        workers = {process for word, process in service.lines() if word.isdigit()}
        assert len(workers) == 2
        assert str(service.process.pid) not in workers
        service.signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE_S) == 0
