"""A process that forks after it has connected: parent and children go on, each with its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.support import Endpoint

SCRIPT = Path(__file__).parent / "fork_process.py"


@pytest.mark.parametrize(
    "names", ["", "&use_queue_manager=true&hostname=h&processname="], ids=["random", "named"],
)
def test_children_and_parent_can_call_after_a_fork(site, names):
    endpoint = Endpoint()
    site.serve(endpoint)
    url = f"{site.url}?control_exchange={site.exchange}{names and names + site.topic}"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), url, site.topic],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    endpoint.wait_for(5 + 3 * 6)
    assert len(endpoint.calls) == 5 + 3 * 6
