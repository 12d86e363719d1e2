"""Somebody's build of the Jaeger UI, served with its settings."""

from __future__ import annotations

import json
import re

import pytest

from tests.console.jaeger_support import ask
from tracedrpc_console.api.ui_dir import NoUi, changed, routes

PAGE = """<!doctype html><html><head><base href="/" data-inject-target="BASE_URL">
<script>
  const JAEGER_CONFIG = DEFAULT_CONFIG;
  const JAEGER_STORAGE_CAPABILITIES = DEFAULT_STORAGE_CAPABILITIES;
  const JAEGER_BACKEND_CAPABILITIES = DEFAULT_BACKEND_CAPABILITIES;
</script></head><body></body></html>
"""


@pytest.fixture
def folder(tmp_path):
    ui = tmp_path / "ui"
    (ui / "static").mkdir(parents=True)
    (ui / "index.html").write_text(PAGE)
    (ui / "static" / "app.js").write_text("let ui = 1")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "ui-other").mkdir()
    (tmp_path / "ui-other" / "secret.txt").write_text("secret")
    (ui / "way-out").symlink_to(tmp_path / "secret.txt")
    return ui


def setting(page: str, name: str):
    return json.loads(re.search(rf"JAEGER_{name} = (.*);", page)[1])


def test_the_page_is_told_what_the_console_can_do(folder):
    page = ask(routes(folder), "/").body.decode()
    for name in ("STORAGE_CAPABILITIES", "BACKEND_CAPABILITIES"):
        assert setting(page, name) == {"archiveStorage": False, "metricsStorage": True, "aiAssistant": False}
    assert setting(page, "CONFIG")["monitor"] == {"menuEnabled": True}
    assert "DEFAULT_" not in page


def test_settings_cannot_end_the_script_they_stand_in():
    hostile = {"title": r"</script><script>alert(1)</script>\1"}
    page = changed(PAGE, "", hostile)
    assert page.count("</script>") == 1
    assert setting(page, "CONFIG") == hostile


@pytest.mark.parametrize("path", ["/", "/search", "/trace/abc", "/trace/a...b", "/monitor", "/index.html"])
def test_every_address_of_the_ui_is_the_page(folder, path):
    answer = ask(routes(folder), path)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert b"JAEGER_CONFIG = {" in answer.body


def test_the_page_may_do_what_it_needs_and_load_nothing_from_outside(folder):
    policy = ask(routes(folder), "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_files_are_files(folder):
    answer = ask(routes(folder), "/static/app.js")
    assert (answer.status, answer.body) == (200, b"let ui = 1")
    assert "javascript" in answer.headers["content-type"]


@pytest.mark.parametrize("path", [
    "/../secret.txt", "/static/../../secret.txt", "//etc/passwd", "/../ui-other/secret.txt", "/way-out",
    "/\0", "/" + "x" * 5000, "/static", "/..\\secret.txt",
])
def test_nothing_outside_the_folder_is_served(folder, path):
    answer = ask(routes(folder), path)
    assert b"secret" not in answer.body
    assert b"root:" not in answer.body
    assert b"JAEGER_CONFIG = {" in answer.body


@pytest.mark.parametrize("path", ["/api/unknown", "/v1/traces"])
def test_addresses_of_programs_are_never_the_page(folder, path):
    assert ask(routes(folder), path).status == 404


def test_a_base_path_is_where_the_page_and_its_files_are(folder):
    ui = routes(folder, "/jaeger")
    assert b'<base href="/jaeger/"' in ask(ui, "/jaeger/search").body
    assert ask(ui, "/jaeger/static/app.js").body == b"let ui = 1"
    assert ask(ui, "/search").status == 404


def test_a_folder_without_a_build_is_told_at_the_start(tmp_path):
    with pytest.raises(NoUi, match=r"index\.html") as caught:
        routes(tmp_path)
    assert caught.value.folder == tmp_path
