"""`tracedrpc console` and `tracedrpc import` as processes and in place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import typer
from rich.console import Console as Terminal
from typer.testing import CliRunner

from tests.console.consoles import DEAD, SLOW, ask, console, get, story, tell
from tests.console.exports import trace_export
from tests.console.support import run
from tracedrpc_console.commands.console import open_page, seconds, size
from tracedrpc_console.main import app
from tracedrpc_console.running import read_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FREE = ("--port", "0", "--otlp-http-port", "0", "--otlp-grpc-port", "0")


@contextmanager
def started(folder: Path, *args: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run a console in a process of its own; give it and what it printed."""
    at = ("--db", str(folder / "console.db"))
    with subprocess.Popen(
        [sys.executable, "-m", "tracedrpc_console.main", "console", *at, *FREE, *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUTF8": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            printed = []
            for line in process.stdout:
                printed.append(line.rstrip())
                if "Ctrl-C" in line:
                    break
            yield process, printed
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_everything_is_and_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as (process, printed):
        note = read_note(tmp_path / "console.db")
        assert note is not None
        assert note.page() in printed[0]
        assert f"export OTEL_EXPORTER_OTLP_ENDPOINT={note.otlp}" in "\n".join(printed)
        assert ask(f"{note.url}/api/c/status", note.token)[0] == 200
        process.send_signal(number)
        assert process.wait(20) == 0
    assert read_note(tmp_path / "console.db") is None


def test_with_until_eof_it_ends_with_who_started_it(tmp_path: Path) -> None:
    with started(tmp_path, "--until-eof") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_what_it_got_is_there_the_next_time(tmp_path: Path) -> None:
    with console(tmp_path) as first:
        tell(first, *story())
    with console(tmp_path) as second:
        assert get(second, "status")["spans"] == 5


def test_a_file_can_be_read_first_and_everything_be_handed_on(tmp_path: Path) -> None:
    exported = tmp_path / "trace.json"
    with console(tmp_path / "one") as one:
        tell(one, *story())
        status, content = ask(f"{one.url}/api/c/trace/{SLOW}/export?format=jaeger", one.token)
        assert status == 200
        exported.write_text(json.dumps(content))
    with console(tmp_path / "two") as two, started(
        tmp_path, "--import", str(exported), "--forward", two.otlp_url,
    ) as (process, printed):
        assert printed[0].startswith("imported  4 records")
        note = read_note(tmp_path / "console.db")
        assert note is not None
        body = trace_export(*story()).SerializeToString()
        assert ask(f"{note.otlp}/v1/traces", body=body, Content_Type="application/x-protobuf")[0] == 200
        process.terminate()
        assert process.wait(20) == 0  # what is to be handed on has been
        assert two.flush(20)
        assert get(two, "status")["spans"] == 5


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--retention", "soon"), "no duration"), (("--retention", "0h"), "no duration"),
        (("--max-size", "tiny"), "no size"), (("--max-size", "1MB"), "no size"),
        (("--forward", "collector:4318"), "no http://"), (("--port", "70000"), "65535"),
        (("--allow-remote", "box", "--no-token"), "needs the token"),
    ],
)
def test_bad_options_are_named(tmp_path: Path, args: tuple[str, ...], text: str) -> None:
    done = CliRunner().invoke(app, ["console", "--db", str(tmp_path / "x.db"), *args])
    assert done.exit_code == 2
    assert text in " ".join(done.stderr.split())


def test_a_second_console_says_where_the_first_is(tmp_path: Path) -> None:
    with console(tmp_path) as first:
        done = run("console", "--db", str(first.settings.db), *FREE)
    assert done.returncode == 1
    assert f"A console runs on that file already: {first.url}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_a_ui_is_named(tmp_path: Path) -> None:
    done = run("console", "--db", str(tmp_path / "x.db"), *FREE, "--ui", str(tmp_path))
    assert done.returncode == 1
    assert "no index.html" in done.stderr


def test_durations_and_sizes_are_read() -> None:
    assert [seconds(text) for text in ("90s", "1.5h", "3d")] == [90, 5400, 259_200]
    assert [size(text) for text in ("500MB", "1.5GiB", "33554432")] == [500 << 20, 3 << 29, 32 << 20]
    with pytest.raises(typer.BadParameter):
        size("-1GB")


def test_without_a_screen_no_browser_is_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[Any] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    open_page(Terminal(), "http://127.0.0.1/")
    assert not opened
    assert "no browser" in capsys.readouterr().out
    monkeypatch.setenv("DISPLAY", ":0")
    open_page(Terminal(), "http://127.0.0.1/")
    assert opened == ["http://127.0.0.1/"]


# ---- import --------------------------------------------------------------------------------------


def test_files_are_read_into_a_file_or_a_running_console(tmp_path: Path) -> None:
    with console(tmp_path / "one") as one:
        tell(one, *story())
        done = CliRunner().invoke(
            app, ["export", DEAD, "-f", "otlp", "-o", str(tmp_path / "t.json"), "--db", str(one.settings.db)],
        )
        assert done.exit_code == 0, done.output
    db = tmp_path / "new" / "console.db"
    for _ in range(2):  # twice: the same spans count once
        assert CliRunner().invoke(app, ["import", "--db", str(db), str(tmp_path / "t.json")]).exit_code == 0
    with console(tmp_path / "new") as running:
        assert get(running, "status")["spans"] == 1
    with console(tmp_path / "two") as two:
        sent = CliRunner().invoke(app, ["import", "--db", str(two.settings.db), str(tmp_path / "t.json")])
        assert "sent to" in sent.stdout
        assert two.flush(20)
        assert get(two, f"trace/{DEAD}")["id"] == DEAD


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"resourceSpans": 5}')
    done = CliRunner().invoke(app, ["import", "--db", str(tmp_path / "x.db"), str(broken)])
    assert done.exit_code == 2
    assert "broken.json" in done.stderr
