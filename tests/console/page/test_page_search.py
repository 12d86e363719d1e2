from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from playwright.sync_api import expect

from tests.console.page import sample

if TYPE_CHECKING:
    from tests.console.page.conftest import Desk, Scheme


def test_a_search_shows_points_and_the_newest_traces_and_its_state_is_the_address(desk: Desk) -> None:
    page = desk.open()
    expect(page.locator(".traces > li")).to_have_count(20)
    expect(page.locator(".point")).to_have_count(len(sample.stored().summaries))
    page.get_by_label("Outcome").select_option("timeout")
    expect(page.locator(".traces a.o-ok")).to_have_count(0)
    expect(page.locator(".traces .why").first).to_contain_text("no word of a server")
    page.wait_for_url("**#/search?outcome=timeout")
    with page.expect_request(lambda request: "traces?" in request.url and "min=2500" in request.url):
        page.get_by_label("At least").fill("2.5s")
    assert "min=2.5s" in page.url


def test_words_attributes_and_errors_narrow_a_search(desk: Desk) -> None:
    page = desk.open("#/search?range=all")
    page.get_by_role("searchbox", name="Search").fill("attach_volume")
    expect(page.locator(".traces .name").first).to_have_text("nova-compute/attach_volume")
    wanted = "attr=error.type=nova.exception.VolumeNotFound"
    with page.expect_request(lambda request: wanted in unquote(request.url)):
        page.get_by_label("Attributes").fill(wanted.removeprefix("attr="))
    expect(page.locator(".traces a.o-error").first).to_be_visible()


def test_more_traces_are_added_below(desk: Desk) -> None:
    page = desk.open()
    page.get_by_role("button", name="Older traces").click()
    expect(page.locator(".traces > li")).to_have_count(40)


def test_a_frame_dragged_in_the_plot_narrows_time_and_duration(desk: Desk) -> None:
    page = desk.open()
    box = page.locator(".scatter").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 700, box["y"] + 70, steps=4)
    page.mouse.up()
    page.wait_for_url("**from=*to=*min=*max=*")
    expect(page.get_by_label("From", exact=True)).to_be_visible()


def test_a_point_opens_its_trace_and_back_returns_to_the_search(desk: Desk) -> None:
    page = desk.open("#/search?outcome=timeout")
    page.locator(".point").first.click(force=True)
    expect(page.locator(".waterfall .row").first).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Outcome")).to_have_value("timeout")
    expect(page.locator(".traces > li").first).to_be_visible()


def test_the_id_of_a_message_leads_to_its_trace(desk: Desk) -> None:
    root = sample.stored().traces[sample.KINDS]["spans"][0]
    page = desk.open()
    page.get_by_role("searchbox", name="Search").fill(root["attributes"]["tracedrpc.msg_id"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/trace/{sample.KINDS}")


def test_the_keyboard_alone_finds_and_opens_a_trace(desk: Desk) -> None:
    page = desk.open()
    expect(page.locator(".traces > li").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".waterfall")).to_be_visible()
    for keys, address in (("gl", "#/logs"), ("gm", "#/methods"), ("gs", "#/search")):
        page.keyboard.type(keys)
        page.wait_for_url(f"**{address}")
    expect(page.locator("main.view-search .traces > li").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("errors only")


def test_an_empty_console_says_what_to_do_next(desk: Desk) -> None:
    desk.console.is_empty = True
    page = desk.open()
    expect(page.get_by_role("heading", name="Nothing has arrived yet")).to_be_visible()
    expect(page.locator(".empty")).to_contain_text("http://127.0.0.1:4318")
    desk.shot(page, "empty")


def test_a_search_without_an_answer_offers_to_widen_it(desk: Desk) -> None:
    page = desk.open("#/search?method=nobody/does_this")
    page.get_by_role("link", name="Take the filters away").click()
    expect(page.locator(".traces > li").first).to_be_visible()


def test_a_failure_says_what_the_server_said_and_can_be_tried_again(desk: Desk) -> None:
    desk.excused.append("500")
    desk.console.broken.add("traces")
    page = desk.open()
    expect(page.get_by_role("alert")).to_contain_text("the file is locked")
    desk.console.broken.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".traces > li").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_search_in_light_and_dark(desk: Desk, scheme: Scheme) -> None:
    page = desk.open(color_scheme=scheme)
    expect(page.locator(".traces > li").first).to_be_visible()
    assert page.locator("html").get_attribute("data-theme") == scheme
    desk.shot(page, f"search-{scheme}")
    page.keyboard.press("t")
    assert page.locator("html").get_attribute("data-theme") != scheme
