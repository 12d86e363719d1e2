"""The command `tracedrpc`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer

from tracedrpc_console.choices import Case, Driver
from tracedrpc_console.commands import asking
from tracedrpc_console.commands.console import console
from tracedrpc_console.commands.importing import import_
from tracedrpc_console.commands.tail import tail
from tracedrpc_console.terminal import is_watched, make_console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="RPC over RabbitMQ in which every call explains itself.",
)


def _version(value: bool) -> None:
    if value:
        from tracedrpc import __version__  # noqa: PLC0415 - --help need not wait for it

        typer.echo(f"tracedrpc {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def _url_of_http(value: str | None) -> str | None:
    if value is not None and not value.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{value!r} is no http:// or https:// URL, e.g. http://127.0.0.1:4318")
    return value


@app.command()
def demo(
    url: Annotated[
        str | None, typer.Option(help="A RabbitMQ to use, instead of a private one."),
    ] = None,
    driver: Annotated[
        Driver, typer.Option(help="`memory` needs no broker: all services in one process."),
    ] = Driver.RABBIT,
    otlp: Annotated[
        str | None,
        typer.Option(help="OTLP/HTTP endpoint that gets the spans too.", callback=_url_of_http),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the first report."),
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0.5, max=3600, help="How long a round of traffic is."),
    ] = 4.0,
    svg: Annotated[
        Path | None, typer.Option(help="Write the first picture to this file, too.", dir_okay=False),
    ] = None,
    is_opened: Annotated[
        bool, typer.Option("--open", help="Open the console's page in a browser."),
    ] = False,
    stay: Annotated[
        bool | None,
        typer.Option("--stay/--no-stay", help="After --once, keep the page up; else on a terminal only."),
    ] = None,
) -> None:
    """Run example services, drive them, and show what their calls did.

    Exits with 0 only if every expected span arrived.
    """
    from tracedrpc_console import demo as demos  # noqa: PLC0415 - --help need not wait for it
    from tracedrpc_console.stage import MEMORY_URL  # noqa: PLC0415 - see above

    if driver is Driver.MEMORY and url is not None:
        raise typer.BadParameter("--driver memory needs no --url")
    chosen = MEMORY_URL if driver is Driver.MEMORY else url
    settings = demos.Settings(
        chosen, otlp, once, seconds, svg, stays=is_watched() if stay is None else stay, opens=is_opened,
    )
    raise typer.Exit(demos.run(settings, make_console()))


@app.command()
def investigate(
    case: Annotated[Case, typer.Argument(help="What is to go wrong.")],
    url: Annotated[
        str | None, typer.Option(help="A RabbitMQ to use, instead of a private one."),
    ] = None,
) -> None:
    """Make a call go wrong on a real broker, and show what exception, log and trace say about it."""
    from tracedrpc_console.investigations import run  # noqa: PLC0415 - --help need not wait for it

    raise typer.Exit(run(case, url, make_console()))


@app.command()
def ping(
    url: Annotated[str, typer.Option(help="The broker, e.g. rabbit://guest:guest@127.0.0.1:5672/")],
    topic: Annotated[str, typer.Option(help="The topic the server listens to.")],
    server: Annotated[str | None, typer.Option(help="One server of it; otherwise any.")] = None,
    exchange: Annotated[
        str | None, typer.Option(help="Its exchange, if not the configured control_exchange."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds to wait.")] = 5.0,
) -> None:
    """Call a server's ping endpoint and show where the time went."""
    import tracedrpc  # noqa: PLC0415 - --help need not wait for it
    from tracedrpc_console.ping import ping as send  # noqa: PLC0415 - see above

    target = tracedrpc.Target(exchange=exchange, topic=topic, server=server)
    raise typer.Exit(send(make_console(), url, target, timeout))


for _command in (
    console, asking.traces, asking.trace, asking.logs, asking.explain, tail, asking.methods, asking.export,
):
    app.command()(_command)
app.command("import")(import_)


if __name__ == "__main__":
    app()
