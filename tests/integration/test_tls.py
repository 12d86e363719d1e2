"""Calls over TLS: through a proxy that ends it, with a certificate of an authority of the test's own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from types import SimpleNamespace

import pytest

import tracedrpc
from tracedrpc import MessageDeliveryFailure

PIECE = 65536


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Give the folder of an authority's certificate, and of one for `localhost` that it signed."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "san.cnf").write_text("subjectAltName=DNS:localhost\n")
    openssl(
        folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", "ca.key", "-out", "ca.pem",
    )
    openssl(
        folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
        "-keyout", "server.key", "-out", "server.csr",
    )
    openssl(
        folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", "san.cnf", "-out", "server.pem",
    )
    openssl(
        folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=client",
        "-keyout", "client.key", "-out", "client.csr",
    )
    openssl(
        folder, "x509", "-req", "-in", "client.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-out", "client.pem",
    )
    return folder


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(PIECE):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class TlsProxy:
    """Takes TLS connections and passes what they carry on to the broker.

    Attributes:
        context: may be told to ask for clients' certificates, or to speak some versions only.
        versions: the protocol of each connection.
        subjects: the name in each client's certificate.
    """

    def __init__(self, certificates, broker_port):
        self.versions = []
        self.subjects = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = context
        self.broker_port = broker_port
        self.sockets = [self.listener]
        self.threads = []
        self._start(self._accept)

    def _start(self, run, *args):
        thread = threading.Thread(target=run, args=args, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                self._start(self._serve, plain)

    def _serve(self, plain):
        try:
            secure = self.context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        self.versions.append(secure.version())
        self.subjects.append(secure.getpeercert())
        broker = socket.create_connection(("127.0.0.1", self.broker_port))
        self.sockets += [secure, broker]
        self._start(pump, secure, broker)
        pump(broker, secure)

    def close(self):
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)
        for end in self.sockets:
            end.close()


@pytest.fixture
def secured(certificates, rabbit_url, topic):
    """Give URLs of the broker over TLS, and a topic."""
    host = tracedrpc.TransportURL.parse(None, rabbit_url).hosts[0]
    proxy = TlsProxy(certificates, host.port)

    def url(name="localhost", **options):
        query = "&".join(f"{key}={value}" for key, value in {"ssl": "true", **options}.items())
        return f"rabbit://{host.username}:{host.password}@{name}:{proxy.port}/?{query}"

    yield SimpleNamespace(
        url=url, topic=topic, authority=certificates / "ca.pem", proxy=proxy, folder=certificates,
    )
    proxy.close()


class Endpoint:
    def echo(self, ctxt, value):
        return value


def test_calls_of_any_size_go_over_tls(secured):
    url = secured.url(ssl_ca_file=secured.authority)
    target = tracedrpc.Target(topic=secured.topic, server="one")
    with (
        tracedrpc.get_rpc_transport(None, url) as serving,
        tracedrpc.get_rpc_transport(None, url) as calling,
        tracedrpc.get_rpc_server(serving, target, [Endpoint()]),
    ):
        client = tracedrpc.get_rpc_client(calling, tracedrpc.Target(topic=secured.topic), timeout=20)
        for size in (1, 10_000, 3_000_000):
            assert len(client.call({}, "echo", value="x" * size)) == size
        client.cast({}, "echo", value=1)


@pytest.mark.parametrize("case", ["an authority nobody knows", "another host's certificate"])
def test_a_certificate_that_does_not_hold_is_told_at_once(secured, case):
    if case == "an authority nobody knows":
        url = secured.url()
    else:
        url = secured.url("127.0.0.1", ssl_ca_file=secured.authority)
    with tracedrpc.get_rpc_transport(None, url) as transport:
        client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=secured.topic), timeout=20)
        with pytest.raises(MessageDeliveryFailure, match="TLS handshake failed"):
            client.call({}, "echo", value=1)


# ---- versions, clients' certificates, files ------------------------------------------------------


def cast(secured, **options):
    """Send one message over TLS; nobody need be there to get it."""
    url = secured.url(ssl_ca_file=secured.authority, **options)
    with tracedrpc.get_rpc_transport(None, url) as transport:
        target = tracedrpc.Target(topic=secured.topic)
        tracedrpc.get_rpc_client(transport, target, timeout=20).prepare(fanout=True).cast({}, "echo", value=1)


@pytest.mark.parametrize(("asked", "spoken"), [
    ("", "TLSv1.3"), ("SSLv23", "TLSv1.3"), ("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3"),
])
def test_the_version_that_is_asked_for_is_spoken(secured, asked, spoken):
    cast(secured, ssl_version=asked)
    assert secured.proxy.versions == [spoken]


def test_a_broker_that_speaks_another_version_only_is_an_error_at_once(secured):
    secured.proxy.context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(MessageDeliveryFailure, match="TLS handshake failed"):
        cast(secured, ssl_version="TLSv1_3")


def test_a_broker_may_ask_for_the_client_s_certificate(secured):
    secured.proxy.context.load_verify_locations(secured.authority)
    secured.proxy.context.verify_mode = ssl.CERT_REQUIRED
    cast(secured, ssl_cert_file=secured.folder / "client.pem", ssl_key_file=secured.folder / "client.key")
    (certificate,) = secured.proxy.subjects
    assert certificate["subject"] == ((("commonName", "client"),),)


@pytest.mark.parametrize("option", ["ssl_ca_file", "ssl_cert_file"])
def test_a_file_that_is_missing_is_told_at_once(secured, option):
    url = secured.url(**{"ssl_ca_file": secured.authority, option: secured.folder / "missing.pem"})
    with tracedrpc.get_rpc_transport(None, url) as transport:
        client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=secured.topic), timeout=20)
        with pytest.raises(MessageDeliveryFailure, match="TLS handshake failed; check ssl, ssl_ca_file"):
            client.call({}, "echo", value=1)
