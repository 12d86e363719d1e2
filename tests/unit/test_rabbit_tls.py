"""TLS as the options ask for it."""

from __future__ import annotations

import ssl

import pytest

import tracedrpc
from tracedrpc.drivers.rabbit import tls
from tracedrpc.exceptions import InvalidOption
from tracedrpc.options import Options

ANY, ONE_2, ONE_3 = None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("version", "lowest", "highest"),
    [
        ("", ONE_2, ANY), ("SSLv23", ONE_2, ANY), ("sslv23", ONE_2, ANY),
        ("TLSv1_2", ONE_2, ONE_2), ("tlsv1_2", ONE_2, ONE_2), ("TLSv1_3", ONE_3, ONE_3),
    ],
)
def test_a_version_that_is_named_is_the_only_one(version, lowest, highest):
    told = tls.settings(Options(ssl=True, ssl_version=version), "broker")
    assert (told["tls_minimum_version"], told["tls_maximum_version"]) == (lowest, highest)


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "SSLv2", "SSLv3", "best"])
def test_versions_that_are_not_safe_are_refused_by_name(version):
    with pytest.raises(InvalidOption, match="older protocols are not safe") as caught:
        Options(ssl_version=version)
    assert caught.value.name == "ssl_version"


@pytest.mark.parametrize("authority", ["", "/etc/ca.pem"])
def test_certificate_and_host_name_are_always_verified(authority):
    told = tls.settings(Options(ssl=True, ssl_ca_file=authority), "broker")
    assert told["cert_reqs"] is ssl.CERT_REQUIRED
    assert told["server_hostname"] == "broker"
    assert told["ca_certs"] == (authority or None)


def test_the_certificate_of_this_side_is_shown():
    told = tls.settings(Options(ssl=True, ssl_cert_file="c.pem", ssl_key_file="k.pem"), "broker")
    assert (told["certfile"], told["keyfile"]) == ("c.pem", "k.pem")


# ---- FIPS ----------------------------------------------------------------------------------------


def test_fips_mode_that_is_asked_for_and_not_there_is_an_error_when_the_transport_is_made(monkeypatch):
    monkeypatch.setattr(tls, "_is_fips", lambda: False)
    with pytest.raises(InvalidOption, match="not in FIPS mode") as caught:
        tracedrpc.get_rpc_transport(Options(ssl=True, ssl_enforce_fips_mode=True), "rabbit://h/")
    assert caught.value.name == "ssl_enforce_fips_mode"


def test_fips_mode_that_is_there_is_no_error(monkeypatch):
    monkeypatch.setattr(tls, "_is_fips", lambda: True)
    tls.check(Options(ssl=True, ssl_enforce_fips_mode=True))


def test_without_tls_fips_mode_is_of_no_interest(monkeypatch):
    monkeypatch.setattr(tls, "_is_fips", lambda: False)
    tls.check(Options(ssl_enforce_fips_mode=True))


def test_whether_openssl_is_in_fips_mode_is_asked_of_python():
    _hashlib = pytest.importorskip("_hashlib")
    assert tls._is_fips() == bool(_hashlib.get_fips_mode())
