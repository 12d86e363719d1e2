"""A RabbitMQ of our own for demo, tests and benchmarks: started in seconds, gone without a trace.

`broker(url)` gives the one that is asked for, else a private node from the `rabbitmq-server`
package, else one in Docker. `python -m tracedrpc_console.broker` keeps one running.
"""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER_VARIABLE: Final = "TRACEDRPC_RABBITMQ_SERVER"
INSTALLED: Final = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"
IMAGE: Final = "rabbitmq:4-management"
LOCALHOST: Final = "127.0.0.1"
AMQP_HEADER: Final = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME: Final = b"\x01"
POLL_S: Final = 0.05

CONFIG: Final = """\
loopback_users = none
log.console = true
log.console.level = warning
log.file = false
disk_free_limit.absolute = 50MB
"""

# Waits for the end of its standard input, which comes when we close it or die, however we die.
GUARD: Final = 'cat >/dev/null; for f in "$0"/*.pid; do kill -9 "$(cat "$f")"; done 2>/dev/null; rm -rf "$0"'


class BrokerUnavailable(Exception):
    """There is no RabbitMQ to be had here; the text says what would help."""


class Broker:
    """A RabbitMQ at a URL. This class does not own it: it can be used and not controlled."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def url(self) -> str:
        """Where clients connect, with user and password."""
        return self._url

    def start(self) -> None:
        """Start it and wait until it answers; nothing to do when it runs."""

    def stop(self) -> None:
        """Stop it for good and leave nothing behind; idempotent."""

    def kill9(self) -> None:
        """Kill it as a power cut would. `start` brings it back, at the same URL with its data."""
        raise self._not_ours()

    def rabbitmqctl(self, *args: str, timeout_s: float = 30.0) -> str:  # noqa: ARG002 - for the others
        """Run one rabbitmqctl command on it and return what it printed.

        Raises:
            BrokerUnavailable: it is not ours to control.
            subprocess.CalledProcessError: the command failed; `stderr` says why.
        """
        raise self._not_ours()

    def _not_ours(self) -> BrokerUnavailable:
        return BrokerUnavailable("this RabbitMQ was given by URL and cannot be controlled from here")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


class PrivateBroker(Broker):
    """One RabbitMQ node with ports, data, cookie and epmd of its own, on the loopback interface.

    Not thread-safe: one thread starts, kills and stops it. Works as root and as anybody else.

    Args:
        start_limit_s: seconds that `start` waits for the node to answer.
        schedulers: threads of the Erlang VM; 1 spares a small machine.
    """

    def __init__(self, *, start_limit_s: float = 60.0, schedulers: int = 1) -> None:
        self._server = find_server()
        self._epmd_program = _find_epmd()
        self._start_limit_s = start_limit_s
        self._schedulers = schedulers
        self.port, self._dist_port, self._epmd_port = _free_ports(3)
        self._folder: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None
        super().__init__(f"rabbit://guest:guest@{LOCALHOST}:{self.port}/")

    @property
    def pid(self) -> int | None:
        """The process id of the Erlang VM while it runs."""
        return self._node.pid if self._node is not None and self._node.poll() is None else None

    def start(self) -> None:
        """Start the node and wait until it answers AMQP; nothing to do when it runs.

        Raises:
            BrokerUnavailable: it ended or did not answer in time; the text has its last log lines.
        """
        if self.pid is not None:
            return
        folder = self._folder or self._new_folder()
        if self._epmd is None:
            port = str(self._epmd_port)
            self._epmd = self._spawn("epmd", [self._epmd_program, "-address", LOCALHOST, "-port", port])
        self._node = self._spawn("node", [str(self._server)])
        if not _wait_for_amqp(self.port, self._start_limit_s, lambda: self.pid is not None):
            log = (folder / "node.log").read_text(errors="replace")[-2000:]
            self.stop()
            raise BrokerUnavailable(f"the private RabbitMQ node ({self._server}) did not start:\n{log}")

    def stop(self) -> None:
        """Stop node, epmd and guard, within about 10 s, and remove the data; idempotent."""
        self._end_node(grace_s=5.0)
        if self._epmd is not None:
            _end(self._epmd, grace_s=2.0)
            self._epmd = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None

    def kill9(self) -> None:
        """Kill the node as a power cut would. `start` brings it back, with what was on disk."""
        self._end_node(grace_s=0.0)

    def rabbitmqctl(self, *args: str, timeout_s: float = 30.0) -> str:
        """Run one rabbitmqctl command (about 1 s) on the node and return what it printed.

        Raises:
            BrokerUnavailable: the node has not been started.
            subprocess.CalledProcessError: the command failed; `stderr` says why.
        """
        if self._folder is None:
            raise BrokerUnavailable("the private RabbitMQ node has not been started")
        command = [str(self._server.with_name("rabbitmqctl")), "--quiet", *args]
        environment = self._environment(self._folder)
        done = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=timeout_s
        )
        return done.stdout

    def _new_folder(self) -> Path:
        self._folder = folder = Path(tempfile.mkdtemp(prefix="tracedrpc-rabbitmq-"))
        (folder / "rabbitmq.conf").write_text(CONFIG)
        (folder / "enabled_plugins").write_text("[].\n")
        (folder / "env.conf").touch()
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, str(folder)], stdin=subprocess.PIPE, start_new_session=True
        )
        return folder

    def _spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        folder = self._folder or self._new_folder()
        with (folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self._environment(folder),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (folder / f"{name}.pid").write_text(str(process.pid))
        return process

    def _end_node(self, grace_s: float) -> None:
        if self._node is not None:
            _end(self._node, grace_s)
            self._node = None
        if self._folder is not None:
            (self._folder / "node.pid").unlink(missing_ok=True)

    def _environment(self, folder: Path) -> dict[str, str]:
        """Everything RabbitMQ would look for elsewhere; RABBITMQ_* of the caller do not reach it."""
        schedulers = f"+S {self._schedulers}:{self._schedulers} +SDio 1 +sbwt none"
        inherited = os.environ.items()
        return {key: value for key, value in inherited if not key.startswith(("RABBITMQ_", "ERL_"))} | {
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": LOCALHOST,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_ALLOW_INPUT": "1",  # the script replaces itself by the VM: its pid is the node's
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_NODENAME": f"tracedrpc-{os.getpid()}-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOCALHOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_PID_FILE": str(folder / "rabbitmq-pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": schedulers,
            "RABBITMQ_SERVER_START_ARGS": "-noinput +B i",
        }


class DockerBroker(Broker):
    """RabbitMQ's own image in a container of ours, on a port of the loopback interface."""


    def __init__(self, *, image: str = IMAGE, start_limit_s: float = 180.0) -> None:
        if not docker_answers():
            raise BrokerUnavailable("no Docker engine answers `docker version`")
        (self.port,) = _free_ports(1)
        self._image = image
        self._start_limit_s = start_limit_s
        self._name = f"tracedrpc-{os.getpid()}-{self.port}"
        self._created = False
        super().__init__(f"rabbit://guest:guest@{LOCALHOST}:{self.port}/")

    def start(self) -> None:
        """Start the container, fetching its image if need be, and wait until it answers AMQP.

        Raises:
            BrokerUnavailable: Docker refused, or it did not answer in time.
        """
        publish = f"{LOCALHOST}:{self.port}:5672"
        create = ["run", "--detach", "--name", self._name, "--publish", publish, self._image]
        try:
            _docker(*(["start", self._name] if self._created else create), timeout_s=600.0)
        except subprocess.SubprocessError as error:
            raise BrokerUnavailable(f"docker could not run {self._image}: {_stderr(error)}") from error
        self._created = True
        if not _wait_for_amqp(self.port, self._start_limit_s, lambda: True):
            raise BrokerUnavailable(f"the container {self._name} ({self._image}) did not answer AMQP")

    def stop(self) -> None:
        """Remove the container with its data; idempotent."""
        if self._created:
            with contextlib.suppress(subprocess.SubprocessError):
                _docker("rm", "--force", "--volumes", self._name)
            self._created = False

    def kill9(self) -> None:
        """Kill the container as a power cut would. `start` brings it back, with its data."""
        _docker("kill", self._name)

    def rabbitmqctl(self, *args: str, timeout_s: float = 30.0) -> str:
        """Run one rabbitmqctl command in the container and return what it printed."""
        return _docker("exec", self._name, "rabbitmqctl", "--quiet", *args, timeout_s=timeout_s)


@contextlib.contextmanager
def broker(url: str | None = None) -> Iterator[Broker]:
    """Give a running RabbitMQ: the one at the URL, else a private node, else one in Docker.

    Raises:
        BrokerUnavailable: none of these is to be had; the text says what would help.
    """
    with Broker(url) if url else _own_broker() as running:
        yield running


def find_server() -> Path:
    """Return RabbitMQ's own `sbin/rabbitmq-server`, not the wrapper of Debian that changes user.

    Raises:
        BrokerUnavailable: it is not installed, or its Erlang is not.
    """
    named = os.environ.get(SERVER_VARIABLE)
    on_path = shutil.which("rabbitmq-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    found = [Path(named)] if named else sorted(Path("/").glob(INSTALLED.lstrip("/")), reverse=True)
    if on_path and not named:
        found.append(Path(on_path).resolve())
    for server in found:
        if server.with_name("rabbitmq-env").exists():
            return server
    where = f"{SERVER_VARIABLE}={named} is not RabbitMQ's sbin/rabbitmq-server" if named else (
        "rabbitmq-server is not installed: `sudo scripts/install-broker.sh` installs Debian's package"
    )
    raise BrokerUnavailable(f"{where}; or give the URL of a RabbitMQ")


def docker_answers() -> bool:
    """Return whether there is a Docker engine to run a container with."""
    try:
        _docker("version", timeout_s=10.0)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _own_broker() -> Broker:
    try:
        return PrivateBroker()
    except BrokerUnavailable as no_node:
        try:
            return DockerBroker()
        except BrokerUnavailable as no_docker:
            raise BrokerUnavailable(f"{no_node}; and {no_docker}") from no_node


def _find_epmd() -> str:
    erl = shutil.which("erl")
    if erl is None:
        raise BrokerUnavailable("Erlang's `erl` is not in the PATH")
    beside = Path(erl).resolve().parent
    candidates = [beside / "epmd", *beside.parent.glob("erts-*/bin/epmd")]
    found = shutil.which("epmd") or next((str(path) for path in candidates if path.exists()), None)
    if found is None:
        raise BrokerUnavailable(f"Erlang's `epmd` is neither in the PATH nor near {erl}")
    return found


def _free_ports(count: int) -> list[int]:
    """Return free ports below those that the kernel gives to outgoing connections.

    A client that tries again and again to reach a port of that range on its own machine ends up
    connected to itself, and then the restarted node cannot have its port back.
    """
    top = _lowest_ephemeral_port()
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = random.randrange(10_000, top)  # noqa: S311 - not a secret
            with contextlib.suppress(OSError):
                probe.bind((LOCALHOST, port))
                ports.append(port)
        return ports


def _lowest_ephemeral_port() -> int:
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        low = 32_768
    return low if low > 11_000 else 32_768  # noqa: PLR2004 - a machine that gives nearly all ports away


def _wait_for_amqp(port: int, limit_s: float, is_alive: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + limit_s
    while time.monotonic() < give_up and is_alive():
        if _speaks_amqp(port):
            return True
        time.sleep(POLL_S)
    return False


def _speaks_amqp(port: int) -> bool:
    try:
        with socket.create_connection((LOCALHOST, port), timeout=2.0) as connection:
            connection.sendall(AMQP_HEADER)
            return connection.recv(1) == METHOD_FRAME
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End a process that leads its own session, and its children: SIGTERM, then SIGKILL."""
    if grace_s:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _docker(*args: str, timeout_s: float = 60.0) -> str:
    command = ["docker", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout_s).stdout


def _stderr(error: subprocess.SubprocessError) -> str:
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    return str(text or error).strip()


def main() -> int:
    """Keep one RabbitMQ running until SIGINT or SIGTERM; its URL is the first line printed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with broker() as running:
            print(running.url, flush=True)  # noqa: T201 - the product of this command
            print(f"export TRACEDRPC_TEST_URL={shlex.quote(running.url)}   # Ctrl-C ends it", flush=True)  # noqa: T201
            while True:
                signal.pause()
    except BrokerUnavailable as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
