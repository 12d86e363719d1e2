"""Transport URLs: parsed, printed, and never showing a password to people."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.exceptions import InvalidTransportURL
from tracedrpc.options import Options
from tracedrpc.url import TransportHost, TransportURL

SECRET = "s3cr3t"


def parse(url: str | None) -> TransportURL:
    return TransportURL.parse(None, url)


def test_a_whole_url_is_taken_apart():
    url = parse("rabbit://user:p%40ss@rabbit-1:5672,u2:p2@[::1]:5673/v%2Fh?ssl=1")
    assert (url.transport, url.virtual_host, url.query) == ("rabbit", "v/h", {"ssl": "1"})
    assert url.hosts == [
        TransportHost("rabbit-1", 5672, "user", "p@ss"),
        TransportHost("::1", 5673, "u2", "p2"),
    ]


def test_hosts_may_lack_credentials_that_others_have():
    assert [host.username for host in parse("rabbit://u:p@a,b").hosts] == ["u", None]


def test_a_user_name_may_contain_an_at_sign():
    assert parse("rabbit://me@realm:pw@h/").hosts == [TransportHost("h", None, "me@realm", "pw")]


def test_an_empty_password_differs_from_none():
    passwords = [parse(f"rabbit://{user}h").hosts[0].password for user in ("u@", "u:@")]
    assert passwords == [None, ""]


@pytest.mark.parametrize("url", ["fake:", "fake://", "rabbit:///", "kombu+memory://"])
def test_a_url_may_name_no_host(url):
    assert parse(url).hosts == []


@pytest.mark.parametrize(
    ("url", "virtual_host"),
    [("rabbit://h", None), ("rabbit://h/", ""), ("rabbit://h//", "/"), ("fake:/vh", "vh")],
)
def test_no_virtual_host_differs_from_an_empty_one(url, virtual_host):
    assert parse(url).virtual_host == virtual_host


def test_the_driver_may_name_a_kombu_transport():
    assert parse("kombu+memory:///").transport == "kombu+memory"


def test_repeated_query_keys_are_joined_with_commas():
    assert parse("rabbit://h/?a=1&b=2&a=3").query == {"a": "1,3", "b": "2"}


def test_an_ipv6_address_without_brackets_has_no_port():
    assert parse("rabbit://::1/").hosts == [TransportHost("::1")]


@pytest.mark.parametrize(
    ("conf", "driver"),
    [
        (None, "rabbit"),
        (Options(transport_url="kombu+memory://"), "kombu+memory"),
        (SimpleNamespace(transport_url="fake:"), "fake"),
        (SimpleNamespace(), "rabbit"),
    ],
)
def test_without_a_url_the_configuration_names_it(conf, driver):
    assert TransportURL.parse(conf).transport == driver


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("rabbit-1:5672", "scheme"),
        ("://h", "scheme"),
        ("just text", "scheme"),
        ("rabbit://h:port/", "port of host 1"),
        ("rabbit://h:/", "port of host 1"),
        ("rabbit://a,b:-1/", "port of host 2"),
        ("rabbit://h:65536/", "65535"),
        ("rabbit://h:0/", "65535"),
        ("rabbit://[::1/", "IPv6"),
        ("rabbit://[::zz]:5672/", "IPv6"),
        ("rabbit://[::1]5672/", "IPv6"),
        ("rabbit://u:pa#ss@h/", "%nn"),
    ],
)
def test_an_error_names_the_part_that_is_wrong(url, part):
    with pytest.raises(InvalidTransportURL, match=part):
        parse(url)


def test_a_url_that_is_no_string_is_refused_by_type():
    with pytest.raises(InvalidTransportURL, match="Wrong URL type int"):
        parse(5672)


@pytest.mark.parametrize(
    "url",
    [
        f"rabbit://user:{SECRET}",
        f"rabbit://user:{SECRET}@h:port/",
        f"rabbit://user:{SECRET}@h:99999/",
        f"rabbit://user:a#{SECRET}@h/",
        f"rabbit://user:a/{SECRET}@h:x/",
        f"rabbit://u:a@h1,user:{SECRET}@h2:x/",
        f"user:{SECRET}@h",
        f"rabbit://user:x@h:x/?password={SECRET}",
    ],
)
def test_an_error_never_shows_a_password(url):
    with pytest.raises(InvalidTransportURL) as caught:
        parse(url)
    assert SECRET not in f"{caught.value.url} {caught.value!r}"


def test_people_see_no_password():
    url = parse(f"rabbit://user:{SECRET}@h:1/v?ssl_key_file={SECRET}")
    assert url.safe() == f"{url}" == "rabbit://user:***@h:1/v"
    assert SECRET not in repr(url) + repr(url.hosts) + f"{url:>80}"


def test_programs_get_the_whole_url_from_str():
    text = "rabbit://user:p%2Fw@h:1/v%20h?ssl=1"
    assert str(parse(text)) == text


def test_urls_are_equal_when_they_lead_to_the_same_place():
    one, other = parse("rabbit://u:p@h:1/v?a=1"), parse("rabbit://u:p@h:1/v?b=2")
    assert one == other
    assert hash(one) == hash(other)


def test_urls_of_different_places_differ():
    assert len({parse(f"rabbit://{rest}") for rest in ("h", "h/v", "u@h", "g")}) == 4


def test_a_url_differs_from_its_text():
    assert parse("rabbit://h") != "rabbit://h/"
    assert TransportHost("h") != "h"


def test_a_url_can_be_built_and_changed():
    url = TransportURL(None, transport="rabbit", hosts=[TransportHost("::1", 5672)])
    url.virtual_host = "v"
    assert str(url) == "rabbit://[::1]:5672/v"


names = st.text(st.characters(codec="utf-8"), min_size=1)
hosts = st.builds(
    TransportHost,
    st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True) | st.just("2001:db8::1"),
    st.none() | st.integers(1, 65535),
    st.none() | names,
    st.none(),
) | st.builds(TransportHost, st.just("h"), st.integers(1, 65535), names, st.text())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(hosts, max_size=3), st.none() | names,
    st.dictionaries(names, names, max_size=3),
)
def test_whatever_str_prints_parses_to_the_same(given_hosts, virtual_host, query):
    url = TransportURL(None, "rabbit", virtual_host, given_hosts, query)
    back = parse(str(url))
    assert (back.hosts, back.virtual_host or None) == (given_hosts, virtual_host)
    assert back.query == query


@settings(max_examples=100, deadline=None)
@given(st.text() | st.from_regex(r"rabbit://[\[\]:,@/?#a0%]{0,30}", fullmatch=True))
def test_whatever_is_parsed_only_invalid_urls_are_raised(text):
    with suppress(InvalidTransportURL):
        parse(text)


def test_a_url_with_a_lone_surrogate_is_refused_and_can_be_logged():
    with pytest.raises(InvalidTransportURL) as caught:
        TransportURL.parse(None, "rabbit://user:s3cr3t\ud800@host/")
    str(caught.value).encode("utf-8")
    assert "s3cr3t" not in str(caught.value)
