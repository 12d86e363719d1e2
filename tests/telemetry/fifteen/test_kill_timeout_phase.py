"""A call that times out says in which phase, and everything that says it says the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.fifteen.processes import SOON_S
from tests.telemetry.fifteen.scenarios import PHASES, SCENARIOS, SHORT_S
from tests.telemetry.fifteen.stories import TIMEOUT_PHASE, timeouts
from tracedrpc.message import Stage

if TYPE_CHECKING:
    from tests.telemetry.fifteen.stages import Caller, Pairs, Scene
    from tests.telemetry.fifteen.stories import Story, Teller

DETAILS = ("standard", "full")
TRIES = 8
SENTENCES = {
    "pool_acquire": "it got no connection (1 of at most 1 in use",
    "connect": "no broker could be reached and it was never published",
    "publish": "it was being handed to the broker",
    "confirm": "which has not confirmed it",
    "unroutable": "no server is listening on",
    "queue_or_server": "no word of a server since",
    "server": "server 'one' was working on it, its last heartbeat came",
    "heartbeat_lost": "server 'one' was working on it and its heartbeats stopped",
    "reply_lost": "the connection that replies come on was lost and is not back",
}
"""What the text must say, and of no other phase says."""


def test_every_phase_in_which_a_call_can_time_out_is_tried() -> None:
    assert {*PHASES, Stage.REPLY_DECODE, Stage.DONE} == set(Stage)
    assert set(SENTENCES) == set(PHASES)


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("phase", PHASES)
def test_exception_span_and_log_line_name_the_phase(teller: Teller, phase: str, detail: str) -> None:
    story = teller.tell(phase, detail)
    outcome = story.outcome
    assert outcome["error"] == "MessagingTimeout"
    assert outcome["fields"]["phase"] == phase
    assert story.call.attributes[TIMEOUT_PHASE] == phase
    assert story.call.attributes["rpc.response.status_code"] == "TIMEOUT"
    assert story.call.status == "ERROR"
    assert _line(story)["fields"][TIMEOUT_PHASE] == phase


@pytest.mark.parametrize("detail", DETAILS)
def test_the_metric_counts_each_time_out_under_its_phase(
    pairs: Pairs, teller: Teller, detail: str,
) -> None:
    stories = {name: teller.tell(name, detail) for name in SCENARIOS}
    expected = Counter(
        story.outcome["fields"]["phase"] for story in stories.values()
        if story.outcome.get("error") == "MessagingTimeout"
    )
    # The publish that holds the pool's only connection times out as well.
    assert timeouts(pairs[detail]) == expected + Counter({"publish": 1})
    assert set(expected) == set(PHASES)


@pytest.mark.parametrize("phase", PHASES)
def test_the_sentence_says_what_was_reached_and_nothing_else(teller: Teller, phase: str) -> None:
    story = teller.tell(phase, "standard")
    text, why = story.outcome["text"], story.call.attributes["tracedrpc.why"]
    assert [name for name, sentence in SENTENCES.items() if sentence in text] == [phase]
    assert why in text
    assert _line(story)["fields"]["tracedrpc.why"] == why
    assert story.outcome["fields"]["msg_id"] in text
    assert f"{story.outcome['fields']['method']}" in text


@pytest.mark.parametrize("phase", PHASES)
def test_the_line_of_a_time_out_belongs_to_its_trace(teller: Teller, phase: str) -> None:
    story = teller.tell(phase, "standard")
    line = _line(story)
    assert line["level"] == "WARNING"
    assert line["fields"]["trace_id"] == story.outcome["trace_id"]
    assert line["fields"]["span_id"] == story.call.span_id


def test_how_old_the_last_heartbeat_is_is_told(teller: Teller) -> None:
    assert teller.tell("heartbeat_lost", "standard").outcome["fields"]["last_heartbeat_age_s"] >= SHORT_S / 2


def test_a_server_that_is_stopped_is_told_as_no_word_of_a_server(scene: Scene) -> None:
    scene.serve()
    caller = scene.client()
    scene.pair.server.freeze()
    try:
        outcome = _asked(caller)
    finally:
        scene.pair.server.thaw()
    assert outcome["fields"]["queue_consumers"] == 1
    assert outcome["fields"]["queue_messages"] == 0  # the broker has sent it there


def test_a_server_that_is_gone_is_told_by_its_queue_without_consumers(scene: Scene) -> None:
    scene.serve()
    caller = scene.client()
    scene.unserve()
    outcome = _asked(caller)
    assert outcome["fields"]["queue_consumers"] == 0
    assert "there now and nobody consumes" in outcome["text"]  # the request itself may just have expired


def _asked(caller: Caller) -> dict[str, Any]:
    """Time out until the broker has answered what it knows; a busy one may not do so in time."""
    for _ in range(TRIES):
        outcome = caller.call("echo", timeout=SHORT_S / 2)
        assert outcome["fields"]["phase"] == "queue_or_server"
        if outcome["fields"]["queue_consumers"] is not None:
            break
    return outcome


def test_a_monitored_call_that_no_server_ever_takes_up_is_told_as_such(scene: Scene) -> None:
    scene.serve(workers=1)
    caller = scene.client()
    busy = scene.hold(caller, root="", timeout=SOON_S)
    outcome = caller.call("echo", timeout=SOON_S, call_monitor_timeout=SHORT_S / 2)
    scene.release_all()
    assert busy.result(SOON_S)["ok"]
    assert outcome["fields"]["phase"] == "heartbeat_lost"
    assert outcome["fields"]["last_heartbeat_age_s"] is None


def test_a_cast_that_the_broker_does_not_confirm_fails_in_time(scene: Scene) -> None:
    scene.serve()
    proxy = scene.proxy()
    caller = scene.client(scene.through(proxy))
    proxy.freeze()
    outcome = caller.cast("note", {"key": "x"}, timeout=SHORT_S)
    assert outcome["error"] == "MessageDeliveryFailure"
    assert "no confirm in time" in outcome["text"]


def _line(story: Story) -> dict[str, dict[str, object]]:
    (line,) = [line for line in story.lines if line["log"].split(" ")[0] == "call_timed_out"]
    return line
