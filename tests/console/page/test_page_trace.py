from __future__ import annotations

import time
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.console.page import sample

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.console.page.conftest import Desk

MOST_ROWS = 120
OPEN_LIMIT_S = 10.0
SCROLL_LIMIT_S = 10.0
SCROLL = "(main, share) => { main.scrollTop = main.scrollHeight * share }"


def row(page: Page, name: str) -> str:
    """Return the selector of the first row of that name."""
    return f".row:has(.name:text-is('{name}')) >> nth=0"


def test_a_trace_says_why_and_shows_every_kind_of_span(desk: Desk) -> None:
    page = desk.open(f"#/trace/{sample.WAITED}")
    expect(page.locator(".head .why")).to_contain_text("waiting for a connection (1 of at most 1 in use")
    expect(page.locator(".advice")).to_contain_text("rpc_conn_pool_size")
    expect(page.locator(".anatomy .legend")).to_contain_text("acquire")
    expect(page.locator(".row .bar.wait")).to_have_count(2)
    expect(page.locator(".row .critical").first).to_be_visible()
    desk.shot(page, "trace-why")
    page.goto(f"{desk.console.url}#/trace/{sample.KINDS}")
    expect(page.locator(".row .mark.beat")).to_have_count(4)
    expect(page.locator(".row .waited").first).to_be_visible()
    desk.shot(page, "trace")


def test_a_span_opens_with_its_attributes_phases_and_logs(desk: Desk) -> None:
    page = desk.open(f"#/trace/{sample.KINDS}", color_scheme="dark")
    page.click(row(page, "nova-compute/build_instance"))
    panel = page.locator("aside.panel")
    expect(panel.locator("h2")).to_have_text("nova-compute/build_instance")
    expect(panel.locator(".attributes").first).to_contain_text("tracedrpc.msg_id")
    expect(panel.locator(".event")).to_have_count(4)
    lines = panel.locator(".log")
    expect(lines.nth(5)).to_be_visible()
    panel.get_by_label("Find in these log lines").fill("heartbeat")
    expect(lines).to_have_count(4)
    desk.shot(page, "span-dark")
    page.reload()
    expect(panel.locator("h2")).to_have_text("nova-compute/build_instance")


def test_the_keyboard_walks_folds_and_zooms(desk: Desk) -> None:
    page = desk.open(f"#/trace/{sample.KINDS}")
    rows = page.locator(".waterfall .row")
    expect(rows.first).to_be_visible()
    everything = rows.count()
    for key in "jjj":
        page.keyboard.press(key)
    expect(page.locator(".row[aria-selected=true]")).to_have_id("span-2")
    page.keyboard.press("ArrowLeft")
    folded = rows.count()
    assert folded < everything
    expect(page.locator("#span-2")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("z")
    page.wait_for_url("**zoom=**")
    page.keyboard.press("0")
    page.keyboard.press("]")
    expect(page.locator("#span-2")).to_have_attribute("aria-expanded", "true")
    assert rows.count() > folded
    page.keyboard.press("Escape")
    expect(page.locator("aside.panel")).to_be_hidden()


def test_words_are_found_in_the_trace_and_stepped_through(desk: Desk) -> None:
    page = desk.open(f"#/trace/{sample.KINDS}")
    page.get_by_label("Find in this trace").fill("allocate_network")
    expect(page.locator(".row.found").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".row[aria-selected=true] .name")).to_contain_text("allocate_network")
    assert "find=allocate_network" in page.url


def test_an_error_is_marked_and_one_key_leads_to_it(desk: Desk) -> None:
    page = desk.open(f"#/trace/{sample.TIMED_OUT}")
    expect(page.locator(".row.error")).to_have_count(2)
    page.keyboard.press("e")
    expect(page.locator(".panel .failure")).to_contain_text("MessagingTimeout")
    desk.shot(page, "time-out")


def test_a_trace_can_be_taken_along(desk: Desk) -> None:
    page = desk.open(f"#/trace/{sample.KINDS}")
    page.get_by_text("Export").click()
    links = page.locator(".choices a")
    formats = [str(link.get_attribute("href")).rpartition("=")[2] for link in links.all()]
    assert formats == ["html", "svg", "otlp", "jaeger", "chrome"]


def test_a_trace_that_is_not_stored_is_told(desk: Desk) -> None:
    desk.excused.append("404")
    page = desk.open("#/trace/0123")
    expect(page.get_by_role("heading", name="Not stored here")).to_be_visible()


def test_ten_thousand_spans_open_and_scroll_with_few_rows_in_the_document(desk: Desk) -> None:
    sample.stored()
    began = time.monotonic()
    page = desk.open(f"#/trace/{sample.HUGE}")
    rows = page.locator(".waterfall .row")
    expect(rows.first).to_be_visible()
    assert time.monotonic() - began < OPEN_LIMIT_S
    assert rows.count() <= MOST_ROWS
    began = time.monotonic()
    for step in range(1, 21):
        page.locator("main").evaluate(SCROLL, step / 20)
        assert rows.count() <= MOST_ROWS
    expect(page.locator("#span-10000")).to_be_visible()
    assert time.monotonic() - began < SCROLL_LIMIT_S
    desk.shot(page, "ten-thousand-spans")
    page.keyboard.press("[")
    assert rows.count() <= MOST_ROWS
