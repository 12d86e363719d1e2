"""The console in a process of its own, until its standard input ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tracedrpc_console.server import Console, Settings

MOST_BYTES = 4 * 1024**3


def main() -> None:
    settings = Settings(
        db=Path(sys.argv[1]), port=0, otlp_http_port=0, otlp_grpc_port=0, has_token=False,
        most_bytes=MOST_BYTES,
    )
    with Console(settings) as console:
        print(json.dumps({"otlp": console.otlp_url, "page": console.url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
