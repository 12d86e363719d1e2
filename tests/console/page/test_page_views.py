from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.page import sample

if TYPE_CHECKING:
    from tests.console.page.conftest import Desk

PHONE = (360, 740)
ADDRESSES = {
    "search": "#/search", "trace": f"#/trace/{sample.WAITED}", "logs": "#/logs",
    "methods": "#/methods?compare=before", "map": "#/map", "pool": "#/pool"}


def test_logs_are_found_by_words_level_and_field_and_lead_to_their_trace(desk: Desk) -> None:
    page = desk.open("#/logs?level=WARN")
    expect(page.locator(".log").first).to_be_visible()
    expect(page.locator(".log.l-DEBUG")).to_have_count(0)
    expect(page.locator(".histogram g")).to_have_count(90)
    page.get_by_role("searchbox", name="Search").fill("call_timed_out")
    expect(page.locator(".log .said b").first).to_have_text("call_timed_out")
    desk.shot(page, "logs")
    page.locator(".log > summary").first.click()
    expect(page.locator(".log .opened").first).to_contain_text("tracedrpc.timeout.phase")
    page.locator(".to-trace").first.click()
    expect(page.locator("aside.panel h2")).to_contain_text("migrate_instance")


def test_the_tail_shows_lines_as_they_arrive_and_holds_them_back_while_paused(desk: Desk) -> None:
    page = desk.open("#/logs")
    page.keyboard.press("f")
    assert desk.console.tail_began.wait(10)
    desk.console.say(event="server_started", body="server_started tracedrpc.workers=8")
    expect(page.locator(".log")).to_have_count(1)
    page.get_by_role("button", name="pause").click()
    desk.console.say(body="held back")
    expect(page.locator(".state")).to_contain_text("1 wait")
    expect(page.locator(".log")).to_have_count(1)
    page.get_by_role("button", name="go on").click()
    expect(page.locator(".log").first).to_contain_text("held back")
    desk.shot(page, "tail")


def test_methods_are_sorted_by_their_columns(desk: Desk) -> None:
    page = desk.open("#/methods")
    page.get_by_role("button", name="p95").click()
    expect(page.locator("tbody th a").first).to_have_text("nova-compute/migrate_instance")
    expect(page.locator(".timeouts").first).to_contain_text("in queue")
    expect(page.locator(".c-p95[aria-sort=descending]")).to_be_visible()
    desk.shot(page, "methods")


def test_two_windows_and_two_versions_can_be_compared(desk: Desk) -> None:
    page = desk.open("#/methods")
    with page.expect_request(lambda request: "from2=" in request.url):
        page.get_by_label("Compare with").select_option("before")
    expect(page.locator(".delta.worse").first).to_be_visible()
    expect(page.locator(".delta.better").first).to_be_visible()
    desk.shot(page, "compare")
    page.get_by_label("Compare with").select_option("version")
    page.locator("[name=version2]").select_option("31.0.2")
    page.wait_for_url("**version2=31.0.2**")
    expect(page.locator(".delta.worse").first).to_be_visible()


def test_the_map_draws_services_queues_and_errors_and_leads_to_a_search(desk: Desk) -> None:
    page = desk.open("#/map")
    expect(page.locator(".node.queue")).to_have_count(5)
    expect(page.locator(".edge.bad").first).to_be_visible()
    desk.shot(page, "map")
    page.locator(".node[data-name='nova-compute']").hover()
    expect(page.locator(".service-map.pointed")).to_be_visible()
    page.locator(".node[data-name='nova-compute']").click()
    page.wait_for_url("**search?service=nova-compute")


def test_the_pool_page_shows_connections_heartbeats_and_timeouts(desk: Desk) -> None:
    page = desk.open("#/pool")
    expect(page.locator(".card .chart")).to_have_count(4)
    expect(page.locator(".card").first).to_contain_text("closed: idle")
    expect(page.locator(".pools")).to_contain_text("842")
    expect(page.locator(".bars li").first).to_contain_text("queue")
    desk.shot(page, "pool")


def test_the_status_bar_tells_what_is_stored_and_what_was_lost(desk: Desk) -> None:
    page = desk.open()
    expect(page.locator("#status")).to_contain_text("12 dropped items of traces: queue full")
    relative = page.locator(".traces time").first.text_content()
    page.keyboard.press("a")
    expect(page.locator(".traces time").first).not_to_have_text(str(relative))


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_view_fits_a_phone(desk: Desk, name: str) -> None:
    page = desk.open(ADDRESSES[name], size=PHONE, color_scheme="dark" if name == "trace" else "light")
    expect(page.locator("main > *").last).to_be_attached()
    expect(page.locator("main [aria-busy]")).to_have_count(0)
    for element in ("html", "main"):
        assert page.locator(element).evaluate("element => element.scrollWidth") <= PHONE[0]
    desk.shot(page, f"phone-{name}")


@pytest.mark.parametrize("name", ["map", "pool", "logs", "methods"])
def test_every_view_is_drawn_in_the_dark(desk: Desk, name: str) -> None:
    page = desk.open(ADDRESSES[name], color_scheme="dark")
    expect(page.locator("main .node, main .card, main .log, main tbody tr").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 18, 22)"
    desk.shot(page, f"{name}-dark")
