"""`tracedrpc console`: the console in the foreground, until Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import webbrowser
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from tracedrpc import _threads
from tracedrpc_console.commands import options
from tracedrpc_console.commands.printing import say
from tracedrpc_console.running import data_file, read_note
from tracedrpc_console.terminal import make_console

if TYPE_CHECKING:
    from rich.console import Console as Terminal

    from tracedrpc_console.server import Console, Settings

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE | re.ASCII)
_SIZES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LEAST_BYTES: Final = 16 << 20
CANNOT_START: Final = 1


def console(
    db: Annotated[Path | None, typer.Option(help="The data file.", dir_okay=False)] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of page and APIs; 0: a free one.")] = 16_686,
    otlp_http_port: Annotated[int, typer.Option(min=0, max=65_535, help="Of OTLP/HTTP.")] = 4318,
    otlp_grpc_port: Annotated[int, typer.Option(min=0, max=65_535, help="Of OTLP/gRPC.")] = 4317,
    retention: Annotated[str, typer.Option(help="How long things are kept: 12h, 3d.")] = "72h",
    max_size: Annotated[str, typer.Option(help="How large the file may become: 500MB, 2GB.")] = "1GB",
    forward: Annotated[
        str | None, typer.Option(help="An OTLP/HTTP endpoint that gets everything too."),
    ] = None,
    ui: Annotated[
        Path | None, typer.Option(help="A build of the Jaeger UI, served at /jaeger/.", file_okay=False),
    ] = None,
    imported: Annotated[
        list[Path] | None,
        typer.Option("--import", help="OTLP or Jaeger JSON to read first; may repeat.", exists=True),
    ] = None,
    is_opened: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    allow_remote: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Let others connect, with the token, who call this machine NAME."),
    ] = None,
    until_eof: Annotated[bool, typer.Option("--until-eof", hidden=True)] = False,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let every program of this machine in, e.g. Grafana."),
    ] = False,
) -> None:
    """Take traces, logs and metrics by OTLP, and show them on a page of this machine."""
    from tracedrpc_console.server import Settings  # noqa: PLC0415 - --help need not wait for it

    if allow_remote and no_token:
        raise typer.BadParameter("--allow-remote needs the token: leave --no-token out")
    settings = Settings(
        db=db or data_file(), port=port, otlp_http_port=otlp_http_port, otlp_grpc_port=otlp_grpc_port,
        retention_s=seconds(retention), most_bytes=size(max_size), forward=_http(forward), ui=ui,
        remote_names=tuple(name.lower() for name in allow_remote or ()), has_token=not no_token,
    )
    ended = threading.Event()
    if until_eof:
        _threads.start("until-eof", lambda: _await_eof(ended))
    raise typer.Exit(run(settings, imported or [], ended, is_opened=is_opened))


def run(settings: Settings, imported: list[Path], ended: threading.Event, *, is_opened: bool) -> int:
    """Run a console until SIGINT, SIGTERM or the event; return the exit status."""
    from tracedrpc_console.api.ui_dir import NoUi  # noqa: PLC0415 - see above
    from tracedrpc_console.commands.importing import CannotImport, into  # noqa: PLC0415 - see above
    from tracedrpc_console.server import Console  # noqa: PLC0415 - see above
    from tracedrpc_console.serving import CannotListen, CannotServe  # noqa: PLC0415 - see above
    from tracedrpc_console.store.schema import StoreError  # noqa: PLC0415 - see above

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    terminal = make_console()
    try:
        with Console(settings) as running:
            for path in imported:
                say(terminal, Text(f"imported  {into(running.intake, path)} from {path}"))
            show(terminal, running)
            if is_opened:
                open_page(terminal, running.note.page())
            ended.wait()
    except (CannotListen, CannotServe, StoreError, NoUi, CannotImport) as error:
        note = read_note(settings.db)
        text = f"{error}\nA console runs on that file already: {note.url}" if note is not None else str(error)
        options.fail(text, CANNOT_START)
    say(terminal, Text("the console has ended; what it got is stored", "dim"))
    return 0


def _await_eof(ended: threading.Event) -> None:
    """Wait for the end of standard input: whoever started us has ended, however."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    ended.set()


def show(terminal: Terminal, running: Console) -> None:
    """Print where everything is."""
    settings = running.settings
    rows = [
        ("page", running.note.page()),
        ("Jaeger API", f"{running.url}/api{'' if running.token is None else ' (for Grafana: --no-token)'}"),
        *([("Jaeger UI", f"{running.url}/jaeger/")] if settings.ui else []),
        ("OTLP/HTTP", running.otlp_url),
        ("OTLP/gRPC", running.grpc_address),
        ("data", f"{settings.db}, {settings.retention_s / 3600:g} h, {settings.most_bytes >> 20} MB at most"),
        ("point at it", f"export OTEL_EXPORTER_OTLP_ENDPOINT={running.otlp_url}"),
    ]
    for name, where in rows:
        say(terminal, Text.assemble((f"{name:<12}", "bold"), where))
    say(terminal, Text("Ctrl-C ends it", "dim"))
    sys.stdout.flush()


def open_page(terminal: Terminal, address: str) -> None:
    """Open an address in a browser, where there is a screen."""
    screens = (os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    has_screen = sys.platform == "darwin" or any(screens)
    if not has_screen or not webbrowser.open(address):
        say(terminal, Text("there is no browser to open here; the address is above", "dim"))


def seconds(text: str) -> float:
    """Return a duration like "72h" in seconds."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is no duration: give something like 12h or 3d")
    return float(found[1]) * _SECONDS[found[2]]


def size(text: str) -> int:
    """Return a size like "500MB" in bytes."""
    found = _SIZE.fullmatch(text.strip())
    wanted = round(float(found[1]) * _SIZES[found[2].upper()]) if found is not None else 0
    if wanted < LEAST_BYTES:
        raise typer.BadParameter(f"{text!r} is no size from {LEAST_BYTES >> 20}MB on, like 500MB or 2GB")
    return wanted


def _http(value: str | None) -> str | None:
    if value is not None and not value.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{value!r} is no http:// or https:// URL, e.g. http://127.0.0.1:4318")
    return value
