"""LogQL: by Grafana's own grammar where there is Node.js, and the names in it by our catalogue."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

from tests.dashboards.committed import ROOT
from tracedrpc import semconv
from tracedrpc.anatomy import Phase

CHECK = ROOT / "tests" / "dashboards" / "logql"
ATTRIBUTES = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
ATTRIBUTES |= {semconv.phase_ms(phase) for phase in Phase}
FIELDS = {name.replace(".", "_") for name in ATTRIBUTES} | {"service_name", "severity_text", "trace_id",
                                                            "span_id"}
"""As Loki calls what OTLP log records have."""


def can_parse() -> bool:
    return (CHECK / "node_modules").exists() and shutil.which("node") is not None


def wrong(queries: list[str]) -> list[list[Any]]:
    """[query, what is wrong near] of each query that Grafana's grammar does not take."""
    done = subprocess.run(
        ["node", "check.mjs"], cwd=CHECK, input=json.dumps(queries), capture_output=True, text=True,
        timeout=30, check=True,
    )
    return list(json.loads(done.stdout))


def is_balanced(expr: str) -> bool:
    bare = without_texts(expr)
    is_even = all(bare.count(left) == bare.count(right) for left, right in ("()", "{}", "[]"))
    return is_even and '"' not in bare


def fields(expr: str) -> set[str]:
    """The labels and structured metadata that a query names."""
    return set(re.findall(r"(?:\||\{|unwrap)\s*(\w+)\s*(?:=~|!~|!=|=|\[)", without_texts(expr)))


def without_texts(expr: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', "", expr)
