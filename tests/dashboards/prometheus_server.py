"""A real Prometheus on the loopback interface, with a past made of samples."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.dashboards.committed import RULES
from tests.dashboards.real_metrics import free_port
from tests.dashboards.translation import Sample, exposed, series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.dashboards.translation import Series

STEP_S = 60
STEPS = 90
START_LIMIT_S = 30.0
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expr: str) -> list[dict[str, str]]:
        """The labels of the series that are a number at some time of the newest half hour."""
        end = time.time()
        asked = {"query": expr, "start": str(end - 30 * STEP_S), "end": str(end), "step": str(STEP_S)}
        found = self._get("query_range", **asked)["result"]
        return [one["metric"] for one in found if not all(math.isnan(float(value)) for _,
                                                          value in one["values"])]

    def itself(self) -> Iterator[Sample]:
        """What it says of itself, as if it had scraped its own page."""
        mine = {"job": "prometheus", "instance": "prometheus"}
        yield Sample(series("up", mine), 1.0, is_counter=False)
        with LOOPBACK.open(f"{self.url}/metrics", timeout=10) as answer:
            yield from exposed(answer.read().decode(), **mine)

    def is_ready(self) -> bool:
        try:
            with LOOPBACK.open(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False

    def _get(self, path: str, **arguments: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with LOOPBACK.open(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{arguments}: {error.read().decode()}") from None


def are_installed() -> bool:
    return bool(shutil.which("prometheus") and shutil.which("promtool"))


def promtool(*arguments: str | Path) -> str:
    """What promtool printed; an `AssertionError` has what it complained about."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, cwd=RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def with_past(ticks: Sequence[Iterable[Sample]], folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that has the ticks behind it, over and over, and what our rules record of them."""
    end_s = int(time.time()) - STEP_S
    start_s = end_s - STEPS * STEP_S
    past = folder / "past.openmetrics"
    data = folder / "data"
    with _running(folder, folder / "empty") as server:
        itself = list(server.itself())
    with past.open("w") as page:
        page.writelines(_lines([[*tick, *itself] for tick in ticks], start_s))
        page.write("# EOF\n")
    promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", past, data)
    with _running(folder, data) as server:
        promtool("tsdb", "create-blocks-from", "rules", f"--start={start_s}", f"--end={end_s}",
                 f"--url={server.url}",
                 f"--eval-interval={STEP_S}s", f"--output-dir={data}", RULES / "recording.rules.yaml")
    with _running(folder, data) as server:
        yield server


def _lines(ticks: Sequence[Iterable[Sample]], start_s: int) -> Iterator[str]:
    """A time series is its ticks again and again, a counter always going on from where it was."""
    known: dict[Series, dict[int, Sample]] = {}
    for at, tick in enumerate(ticks):
        for sample in tick:
            known.setdefault(sample.series, {})[at] = sample
    for one, by_tick in known.items():
        last = list(by_tick.values())[-1]
        for step in range(STEPS + 1):
            round_, at = divmod(step, len(ticks))
            before = round_ * last.value if last.is_counter else 0.0
            if at in by_tick:
                yield f"{one} {before + by_tick[at].value} {start_s + step * STEP_S}\n"


@contextmanager
def _running(folder: Path, data: Path) -> Iterator[Prometheus]:
    port = free_port()
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text("global: {}\n")
    server = Prometheus(f"http://127.0.0.1:{port}")
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
               "--storage.tsdb.retention.time=30d",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with log.open("ab") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, start_new_session=True)
    try:
        give_up = time.monotonic() + START_LIMIT_S
        while not server.is_ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
