"""TLS as the options ask for it: always verified, never older than 1.2."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

from tracedrpc.exceptions import InvalidOption

if TYPE_CHECKING:
    from tracedrpc.options import Options

_PINNED: Final = {"tlsv1_2": ssl.TLSVersion.TLSv1_2, "tlsv1_3": ssl.TLSVersion.TLSv1_3}


def check(options: Options) -> None:
    """Refuse what could not be kept.

    Raises:
        InvalidOption: FIPS mode is asked for, and OpenSSL is not in it.
    """
    if options.ssl and options.ssl_enforce_fips_mode and not _is_fips():
        raise InvalidOption(
            "ssl_enforce_fips_mode",
            "ssl_enforce_fips_mode=True, and this process's OpenSSL is not in FIPS mode: activate its FIPS "
            "provider (OPENSSL_CONF, or the system's crypto policy), or turn the option off",
        )


def _is_fips() -> bool:
    try:
        from _hashlib import get_fips_mode  # noqa: PLC0415 - CPython with OpenSSL, from 3.9 on
    except ImportError:
        return False
    return bool(get_fips_mode())


def settings(options: Options, hostname: str) -> dict[str, Any]:
    """Return what kombu is to know of TLS to one host; made anew for each, because kombu writes into it."""
    pinned = _PINNED.get(options.ssl_version.lower())
    return {
        "server_hostname": hostname,
        "cert_reqs": ssl.CERT_REQUIRED,
        "ca_certs": options.ssl_ca_file or None,
        "certfile": options.ssl_cert_file or None,
        "keyfile": options.ssl_key_file or None,
        "tls_minimum_version": pinned or ssl.TLSVersion.TLSv1_2,
        "tls_maximum_version": pinned,
    }
