"""A whole console lets in whom it should, on every port and path."""

from __future__ import annotations

import socket
import stat
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.console.consoles import DEAD, SLOW, ask, console, get, story, tell
from tests.console.exports import trace_export
from tracedrpc_console.running import read_note
from tracedrpc_console.security import CSP
from tracedrpc_console.server import Console, Settings
from tracedrpc_console.serving import CannotListen
from tracedrpc_console.store.schema import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATHS = (
    "/", "/app.js", "/anything", "/api/c/status", "/api/c/traces", f"/api/c/trace/{SLOW}", "/api/c/logs/tail",
    f"/api/c/trace/{SLOW}/export?format=html", "/api/services", "/api/traces?service=api",
    f"/api/traces/{SLOW}", "/api/v3/services", "/api/metrics/calls?service=api", "/api/dependencies",
    "/api/c/nothing",
)
BAD_PID = '{"url": "u", "token": null, "otlp": "o", "db": "d", "pid": "1"}'
PROTOBUF = {"Content_Type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("console")) as made:
        tell(made, *story())
        yield made


@pytest.mark.parametrize("path", PATHS)
def test_no_path_is_open_to_who_has_no_token(running: Console, path: str) -> None:
    assert ask(running.url + path)[0] == 401
    assert ask(running.url + path, "wrong")[0] == 401


@pytest.mark.parametrize("path", PATHS)
def test_no_path_is_open_to_other_names_and_other_pages(running: Console, path: str) -> None:
    assert ask(running.url + path, running.token, Host="rebound.example")[0] == 403
    assert ask(running.url + path, running.token, Origin="http://evil.example")[0] == 403


def test_the_intake_takes_no_exports_of_other_pages(running: Console) -> None:
    body = trace_export(*story()).SerializeToString()
    address = f"{running.otlp_url}/v1/traces"
    assert ask(address, body=body, **PROTOBUF, Host="rebound.example")[0] == 403
    assert ask(address, body=body, **PROTOBUF, Origin="http://evil.example")[0] == 403
    assert ask(address, body=body, **PROTOBUF, Origin="null")[0] == 403
    assert ask(address, body=body, **PROTOBUF)[0] == 200


def test_the_intake_shows_nothing(running: Console) -> None:
    for path in ("/", "/api/c/traces", "/api/services"):
        assert ask(running.otlp_url + path, running.token)[0] == 404


def test_the_page_takes_no_exports(running: Console) -> None:
    assert ask(f"{running.url}/v1/traces", running.token, body=b"", **PROTOBUF)[0] == 405


def test_the_start_address_opens_the_page(running: Console) -> None:
    address = running.note.page(f"trace/{DEAD}")
    assert address == f"{running.url}/?token={running.token}#/trace/{DEAD}"
    status, page = ask(running.url, running.token)
    assert status == 200
    assert b"<title>" in page


def test_nothing_outside_of_the_pages_folder_is_served(running: Console) -> None:
    for path in ("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "//etc/passwd"):
        _, content = ask(running.url + path, running.token)
        assert not any(secret in str(content) for secret in ("class Settings", "root:"))


def test_a_download_may_do_nothing_in_the_browser(running: Console) -> None:
    request = urllib.request.Request(  # noqa: S310 - a console of our own
        f"{running.url}/api/c/trace/{SLOW}/export?format=html",
        headers={"Authorization": f"Bearer {running.token}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - see above
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Security-Policy"] != CSP
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_note_is_for_its_owner_alone_and_goes_with_the_console(tmp_path: Path) -> None:
    with console(tmp_path) as made:
        note = read_note(made.settings.db)
        assert note == made.note
        assert (note.url, note.token, note.otlp) == (made.url, made.token, made.otlp_url)
        (path,) = tmp_path.glob("*.running")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_note(made.settings.db) is None
    assert not list(tmp_path.glob("*.running"))


def test_the_note_of_a_dead_console_is_not_believed(tmp_path: Path) -> None:
    note = tmp_path / "console.db.running"
    for text in ("", "{}", '{"url": "u", "token": null, "otlp": "o", "db": "d", "pid": 4194399}', BAD_PID):
        note.write_text(text)
        assert read_note(tmp_path / "console.db") is None


def test_the_token_is_in_no_repr(running: Console) -> None:
    assert running.token
    assert running.token not in repr(running.settings)


def test_without_a_token_this_machine_is_let_in_and_other_pages_are_not(tmp_path: Path) -> None:
    with console(tmp_path, has_token=False) as made:
        assert ask(f"{made.url}/api/services")[0] == 200
        assert ask(f"{made.url}/api/services", Host="rebound.example")[0] == 403
        assert ask(f"{made.url}/api/services", Origin="http://evil.example")[0] == 403


def test_others_are_let_in_by_name_and_with_the_token_only(tmp_path: Path) -> None:
    with console(tmp_path, remote_names=("box.example",)) as made:
        assert ask(f"{made.url}/api/c/status", made.token, Host="box.example:16686")[0] == 200
        assert ask(f"{made.url}/api/c/status", Host="box.example:16686")[0] == 401
        assert ask(f"{made.url}/api/c/status", made.token, Host="other.example")[0] == 403
    with pytest.raises(ValueError, match="without a token"):
        Settings(db=tmp_path / "x.db", remote_names=("box.example",), has_token=False)


def test_only_this_machine_can_connect(running: Console) -> None:
    for address in (running.url, running.otlp_url):
        port = int(address.rpartition(":")[2])
        with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.2", port), 5):
            pass


@pytest.mark.parametrize(
    ("port", "option"),
    [("port", "--port"), ("otlp_http_port", "--otlp-http-port"), ("otlp_grpc_port", "--otlp-grpc-port")],
)
def test_a_taken_port_is_named_and_nothing_is_left_behind(tmp_path: Path, port: str, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        said = f"port {number} of 127.0.0.1 is taken.*{option}"
        with pytest.raises(CannotListen, match=said), console(tmp_path, **{port: number}):
            pass
    with console(tmp_path) as made:  # the file's lock was given back
        assert get(made, "status")["spans"] == 0


def test_a_second_console_on_a_file_is_refused(running: Console) -> None:
    with pytest.raises(StoreError, match="writes to it"), console(running.settings.db.parent):
        pass


def test_the_jaeger_ui_has_its_api_below_its_own_address(tmp_path: Path) -> None:
    build = tmp_path / "ui"
    build.mkdir()
    (build / "index.html").write_text('<base href="/" data-inject-target="BASE_URL" />a Jaeger UI')
    with console(tmp_path, ui=build) as made:
        tell(made, *story())
        assert b'href="/jaeger/"' in ask(f"{made.url}/jaeger/search", made.token)[1]
        assert ask(f"{made.url}/jaeger/api/services", made.token)[1]["data"] == ["api", "compute"]
        assert ask(f"{made.url}/jaeger/api/services")[0] == 401
        assert b"a Jaeger UI" not in ask(made.url, made.token)[1]
