"""Writes the dashboards' JSON beside this file: `make dashboards`. A test compares it with the committed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

from grafana import method, overview, runtime, telemetry_health, transport

HERE: Final = Path(__file__).parent
PAGES: Final = (overview, method, transport, telemetry_health, runtime)


def rendered() -> dict[str, str]:
    """Return the JSON of each dashboard by the name of its file."""
    register_default_plugins()
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {f"{page.UID}.json": encoder.encode(page.dashboard().build()) + "\n" for page in PAGES}


def main() -> None:
    """Write every file."""
    for name, text in rendered().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
