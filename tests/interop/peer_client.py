"""One client process of a pairing, on any kind of peer.

    python peer_client.py --kind KIND --service NAME --url URL --topic TOPIC [--fleet]

Says "declared" when it has sent what nobody takes yet; on the next line of its input it runs every
operation and says what came of each. With --fleet it meets each server of several, at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import operations_failing  # noqa: F401 - its operations are on the list then
from client import QUICK, SLOW, Client, declare_first
from operations import fleet
from peer import await_word, leave, open_peer, parsed, say
from told import outcome
from topics import FLEET


def main() -> None:
    given = parsed(__doc__)
    peer = open_peer(given.kind, given.service)
    client = Client(peer, given.url, given.topic)
    if given.fleet:
        say({variant.name: outcome(partial(fleet, variant=variant), client) for variant in FLEET})
    else:
        declare_first(client)
        say("declared")
        await_word()
        say(everything_of(client))
    leave(peer)


def everything_of(client: Client) -> dict[str, Any]:
    """Run every operation, beginning when there is a connection; return what came of each."""
    client.of().call({}, "noted", text="nothing yet")
    with ThreadPoolExecutor(len(SLOW)) as pool:
        waiting = {each.__name__: pool.submit(outcome, each, client) for each in SLOW}
        results = {each.__name__: outcome(each, client) for each in QUICK}
        return results | {name: future.result() for name, future in waiting.items()}


if __name__ == "__main__":
    main()
