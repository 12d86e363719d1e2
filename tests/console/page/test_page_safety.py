from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.page import sample

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.console.page.conftest import Desk

WATCH = """
addEventListener("securitypolicyviolation", event => (window.breaches ??= []).push(event.violatedDirective));
"""


def assert_is_text_only(page: Page) -> None:
    """Fail when anything of the hostile list was executed, or became an element."""
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("window.breaches ?? []") == []
    assert page.locator("main :is(script, iframe, link, style, [onerror], [onload])").count() == 0
    assert page.locator("a[href^='javascript'], a[href*='evil']:not([href^='#'])").count() == 0


@pytest.mark.parametrize(
    "address", ["#/search", "#/logs?level=ERROR", "#/methods?range=all", "#/map", "#/pool"])
def test_hostile_names_stay_text_in_lists(desk: Desk, address: str) -> None:
    page = desk.open("")
    page.add_init_script(WATCH)
    page.goto(desk.console.url + address)
    page.reload()
    expect(page.get_by_text(sample.HOSTILE_TEXTS[1][:10]).first).to_be_attached()
    for line in page.locator(".log > summary").all()[:10]:
        line.click()
    assert_is_text_only(page)


def test_hostile_names_stay_text_in_a_trace(desk: Desk) -> None:
    page = desk.open("")
    page.add_init_script(WATCH)
    page.goto(f"{desk.console.url}#/trace/{sample.HOSTILE}")
    page.reload()
    expect(page.locator(".row")).to_have_count(len(sample.HOSTILE_TEXTS) + 1)
    for _ in range(len(sample.HOSTILE_TEXTS) + 1):
        page.keyboard.press("j")
        assert_is_text_only(page)
    expect(page.locator(".panel .attributes").first).to_contain_text("window.pwned")
    desk.shot(page, "hostile")


def test_hostile_addresses_are_only_text(desk: Desk) -> None:
    desk.excused.append("404")
    page = desk.open("")
    page.add_init_script(WATCH)
    for text in sample.HOSTILE_TEXTS[:4]:
        page.evaluate("text => { location.hash = '#/search?service=' + encodeURIComponent(text) }", text)
        expect(page.get_by_label("Service")).to_have_value(text)
        page.evaluate("text => { location.hash = '#/trace/' + encodeURIComponent(text) }", text)
        expect(page.get_by_role("alert")).to_be_visible()
        assert_is_text_only(page)
