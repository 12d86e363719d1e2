"""The asking commands, against a file, a running console and a Jaeger."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.console.consoles import DEAD, MSG_ID, SLOW, START_NS, WHY, console, record, row, story, tell
from tracedrpc_console.commands import jaeger, tail
from tracedrpc_console.commands.options import compared
from tracedrpc_console.commands.sources import CannotAnswer, Nothing, source
from tracedrpc_console.commands.times import NoTime, instant_us, window_us
from tracedrpc_console.main import app
from tracedrpc_console.spans import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    from tracedrpc_console.server import Console

    Run = Callable[..., Result]

ASKING = ("traces", "trace", "logs", "explain", "methods", "export", "tail")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("console"), has_token=False) as running:
        bad = record("disk is full", 5, level="ERROR", severity=17, service="compute")
        tell(running, *story(), record("first step", 0), bad)
        yield running


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(app, list(args))

    return invoke


@pytest.fixture(params=["file", "url", "jaeger"])
def where(request: pytest.FixtureRequest, told: Console) -> list[str]:
    """Return the options that name each kind of source."""
    return {
        "file": ["--db", str(told.settings.db)],
        "url": ["--console", told.url],
        "jaeger": ["--jaeger", told.url],
    }[request.param]


@pytest.fixture
def db(told: Console) -> list[str]:
    return ["--db", str(told.settings.db)]


SINCE = ["--since", "2026-11-01"]


# ---- the same from every source ------------------------------------------------------------------


def test_traces_are_found_everywhere(run: Run, where: list[str]) -> None:
    found = run("traces", "--outcome", "timeout", *SINCE, *where)
    assert found.exit_code == 0, found.output
    assert [line[:32] for line in found.stdout.splitlines() if not line.startswith(" ")] == [DEAD]
    assert "api gone/boot" in found.stdout
    assert WHY in found.stdout


def test_a_trace_is_drawn_from_everywhere(run: Run, where: list[str]) -> None:
    drawn = run("trace", SLOW, *where)
    assert drawn.exit_code == 0, drawn.output
    assert "publish nova:compute" in drawn.stdout
    assert "heartbeat" in drawn.stdout
    assert "24.0 in the method" in " ".join(drawn.stdout.split())


def test_a_call_is_explained_from_everywhere(run: Run, where: list[str]) -> None:
    said = run("explain", SLOW, *where)
    assert said.exit_code == 0, said.output
    assert "10.0 ms  queue" in said.stdout
    assert "what its end waited for" in said.stdout


def test_methods_are_listed_from_everywhere(run: Run, where: list[str]) -> None:
    listed = run("methods", *SINCE, *where)
    assert listed.exit_code == 0, listed.output
    assert "compute/boot" in listed.stdout
    assert "gone/boot" in listed.stdout


def test_a_trace_is_exported_from_everywhere(run: Run, where: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run("export", SLOW, "-o", str(page), *where).exit_code == 0
    assert "publish nova:compute" in page.read_text()
    piped = run("export", SLOW, "-f", "otlp", "-o", "-", *where)
    assert json.loads(piped.stdout)["resourceSpans"]


def test_a_trace_that_is_nowhere_ends_with_one(run: Run, where: list[str]) -> None:
    missing = run("trace", "0" * 32, *where)
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr


def test_nothing_found_ends_with_one(run: Run, where: list[str]) -> None:
    nothing = run("traces", "--service", "nobody", *where)
    assert (nothing.exit_code, nothing.stdout) == (1, "")


@pytest.mark.parametrize("command", ["traces", "methods"])
def test_json_is_what_the_api_says(run: Run, where: list[str], command: str) -> None:
    assert json.loads(run(command, "--json", *SINCE, *where).stdout)[command]


def test_json_of_one_trace_is_what_the_api_says(run: Run, where: list[str]) -> None:
    assert json.loads(run("trace", SLOW, "--json", *where).stdout)["id"] == SLOW
    assert json.loads(run("explain", SLOW, "--json", *where).stdout)["trace"] == SLOW


# ---- what only a console has ---------------------------------------------------------------------


def test_logs_are_found_the_newest_last(run: Run, db: list[str]) -> None:
    lines = run("logs", *db).stdout.splitlines()
    assert [("first" in line, "full" in line) for line in lines] == [(True, False), (False, True)]
    bad = run("logs", "full", "--level", "error", "--service", "compute", *db)
    assert bad.stdout.splitlines() == lines[1:]
    assert run("logs", "nowhere", *db).exit_code == 1


def test_a_jaeger_has_no_logs_and_says_so(run: Run, told: Console) -> None:
    asked = run("logs", "--jaeger", told.url)
    assert asked.exit_code == 2
    assert "keeps no logs" in asked.stderr


def test_a_message_id_is_explained(run: Run, db: list[str]) -> None:
    assert SLOW in run("explain", MSG_ID, *db).stdout


def test_a_trace_shows_its_log_records(run: Run, db: list[str]) -> None:
    assert "2 log records" in run("trace", SLOW, *db).stdout


def test_versions_and_stretches_of_time_are_compared(run: Run, db: list[str]) -> None:
    assert "change" in run("methods", "--compare", "1.2", "1.2", *db).stdout
    mixed = run("methods", "--compare", "2h..1h", "1.2", *db)
    assert (mixed.exit_code, "are not alike" in mixed.stderr) == (2, True)


def test_the_width_of_a_terminal_is_kept(run: Run, db: list[str]) -> None:
    for args in (["traces"], ["trace", DEAD], ["explain", SLOW], ["methods"]):
        lines = run(*args, *db).stdout.splitlines()
        assert max(map(len, lines)) <= 80, args
        assert "\x1b" not in "".join(lines)


# ---- following -----------------------------------------------------------------------------------


def test_new_records_and_traces_are_followed_once_each(
    told: Console, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tail.time, "time_ns", lambda: START_NS - 10**9)
    logs, traces = tail.Logs([("q", "step")]), tail.Traces([("errors", "1")])
    with source(told.settings.db) as asked:
        assert len(list(logs.lines(asked))) == 1
        assert not list(logs.lines(asked))
        assert not list(traces.lines(asked))  # it may be growing still
        (line,) = traces.lines(asked)
        assert str(line).endswith("api gone/boot")
        assert not list(traces.lines(asked))


def test_following_ends_by_itself_if_asked(run: Run, db: list[str]) -> None:
    assert run("tail", "--for", "0.1", *db).exit_code == 0
    assert run("tail", "--only", "metrics", *db).exit_code == 2


# ---- who is asked --------------------------------------------------------------------------------


def test_without_options_the_users_own_file_is_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    missing = run("traces")
    assert missing.exit_code == 2
    assert "start `tracedrpc console`" in missing.stderr
    with console(tmp_path / "tracedrpc") as running:
        tell(running, *story())
        assert run("traces").exit_code == 0
        assert run("traces", "--console", running.url).exit_code == 0  # by the token of the note
        refused = run("traces", "--console", running.url, "--token", "wrong")
        assert (refused.exit_code, "refused (401)" in refused.stderr) == (2, True)


@pytest.mark.parametrize("option", ["--console", "--jaeger"])
def test_who_does_not_answer_is_named(run: Run, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    silent = run("traces", option, address)
    assert silent.exit_code == 2
    assert address in silent.stderr
    assert run("traces", option, "file:///etc/passwd").exit_code == 2


def test_a_file_that_is_none_of_ours_is_refused(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_text("something else")
    refused = run("traces", "--db", str(other))
    assert refused.exit_code == 2
    assert "other.db" in refused.stderr


def test_a_bad_question_is_a_sentence_and_no_traceback(run: Run, where: list[str]) -> None:
    bad = run("traces", "--attr", "novalue", *where)
    assert bad.exit_code == 2
    assert "novalue" in bad.stderr
    assert "Traceback" not in bad.output
    assert run("traces", "--since", "yesterday", *where).exit_code == 2


def test_both_versions_of_jaegers_api_are_tried(told: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = jaeger.fetch

    def only_version_1(address: str, headers: dict[str, str]) -> bytes:
        asked.append(address)
        return real(address.replace("/api/v3/", "/api/none/"), headers)

    monkeypatch.setattr(jaeger, "fetch", only_version_1)
    with source(jaeger=told.url) as remote:
        assert remote.get(f"trace/{SLOW}", [])["id"] == SLOW
        assert {each["name"] for each in remote.get("services", [])["services"]} == {"api", "compute"}
        with pytest.raises(Nothing):
            remote.get(f"trace/{'0' * 32}", [])
        with pytest.raises(CannotAnswer, match="keeps no pool"):
            remote.get("pool", [])
    first = [address.removeprefix(told.url) for address in asked[:2]]
    assert first == [f"/api/v3/traces/{SLOW}", f"/api/traces/{SLOW}"]


# ---- times ---------------------------------------------------------------------------------------


def test_times_are_read_as_people_type_them() -> None:
    now = 10**15
    assert instant_us("15m", now) == now - 900 * 10**6
    assert instant_us("1.5h", now) == now - 5400 * 10**6
    assert instant_us("1970-01-01T00:00:01+00:00", now) == 10**6
    assert window_us("2h..1h", now) == (now - 7200 * 10**6, now - 3600 * 10**6)
    assert window_us("1h..", now) == (now - 3600 * 10**6, now)
    assert window_us("1.2", now) is None


@pytest.mark.parametrize("text", ["", "soon", "15", "m", "-1h", "²h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(NoTime):
        instant_us(text, 10**15)


def test_a_stretch_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(NoTime):
        compared("1h..2h", "1h..")


def test_every_asking_command_has_help(run: Run) -> None:
    for command in ASKING:
        assert run(command, "--help").exit_code == 0


def test_a_trace_of_hostile_names_is_drawn_without_their_escapes(run: Run, tmp_path: Path) -> None:
    name = "\x1b]0;owned\x07[red]x[/red]\u202e\x9b31m"
    with console(tmp_path) as running:
        tell(running, row("1", "", name, name, Kind.CLIENT, 0, 1, {}, trace_id=DEAD))
        tell(running, record(name, trace_id=DEAD, span_id="1".zfill(16)))
        at = ["--db", str(running.settings.db)]
        for args in (["traces"], ["trace", DEAD], ["explain", DEAD], ["logs"]):
            shown = run(*args, *at)
            assert shown.exit_code == 0
            assert not set("\x1b\x07\x9b\u202e") & set(shown.stdout)
            assert "[red]x[/red]" in shown.stdout
