# ruff: noqa: INP001 - a program on its own, copied into an image
"""Waits until every URL given answers with 200; for images that have no shell to check themselves with.

    python await_ready.py SECONDS URL...

Ends with 0 when all answer, with 1 and a line for each that did not when the seconds are over.
"""

from __future__ import annotations

import http.client
import sys
import time
import urllib.request

POLL_S = 0.5
ANSWER_S = 3.0


def problem(url: str) -> str:
    """Return why a URL does not count as ready, "" when it does."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:  # noqa: S310 - who starts us chose it
            return "" if answer.status == http.client.OK else f"status {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__


def await_all(urls: list[str], limit_s: float) -> dict[str, str]:
    """Poll until all are ready or the time is over; return the last problem of each that is not."""
    give_up = time.monotonic() + limit_s
    while True:
        problems = {url: text for url in urls if (text := problem(url))}
        if not problems or time.monotonic() >= give_up:
            return problems
        time.sleep(POLL_S)


def main(arguments: list[str]) -> int:
    """Wait as the command line says; return the exit status."""
    limit_s, *urls = arguments
    problems = await_all(urls, float(limit_s))
    for url, text in problems.items():
        print(f"{url} is not ready after {limit_s} s: {text}", file=sys.stderr)  # noqa: T201 - a command
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
