"""The page in a real headless Chromium, in front of a console of canned answers."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import pytest
from playwright.sync_api import sync_playwright

from tests.console.page.fake_console import FakeConsole, fake_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Request

ARTIFACTS: Final = Path(__file__).parent / "artifacts"
LIMIT_MS: Final = 15_000
MISSING: Final = pytest.StashKey[str]()
DESK: Final = (1360, 860)
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def chromium(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """Give Debian's Chromium; without one tests are skipped, in CI they fail.

    One for each module and not for the session: while Playwright runs, nothing else in this thread can
    have an event loop.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytestconfig.stash[MISSING] = "scripts/install-chromium.sh installs it"
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium: scripts/install-chromium.sh", pytrace=False)
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say loudly, once, that the page was not looked at."""
    if MISSING in config.stash:
        text = f"NO CHROMIUM, so nothing of the console's page was tested: {config.stash[MISSING]}"
        terminalreporter.write_line(text, red=True, bold=True)


@pytest.fixture(scope="session")
def shared_console() -> Iterator[FakeConsole]:
    """Have one console for all: a browser fetches the page's files once."""
    with fake_console() as running:
        yield running


@pytest.fixture
def console(shared_console: FakeConsole) -> FakeConsole:
    """Give a console that has an hour of a small cloud."""
    shared_console.reset()
    return shared_console


@pytest.fixture(scope="module")
def window(chromium: Browser) -> Iterator[BrowserContext]:
    """Have one browser window, whose pages are the tests'."""
    context = chromium.new_context()
    context.set_default_timeout(LIMIT_MS)
    yield context
    context.close()


@dataclass
class Desk:
    """Pages of a browser in front of the page, and all that must not happen in it.

    Attributes:
        complaints: what the browser's console said at level error, exceptions, breaches of the policy.
        strangers: requests to anywhere but the console.
        excused: parts of complaints that the test provokes.
    """

    window: BrowserContext
    console: FakeConsole
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def open(
        self, address: str = "", *, size: tuple[int, int] = DESK, color_scheme: Scheme = "light",
    ) -> Page:
        """Open the page at one of its addresses, "#/logs?level=ERROR", with nothing remembered."""
        page = self.window.new_page()
        self.pages.append(page)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=color_scheme)
        page.add_init_script("localStorage.clear()")
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)
        page.goto(self.console.url + address)
        return page

    def shot(self, page: Page, name: str) -> None:
        """Keep a picture to be looked at."""
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")

    def check(self) -> None:
        """Fail when something happened that must not."""
        found = [each for each in self.complaints if not any(excuse in each for excuse in self.excused)]
        assert not found, found
        assert not self.strangers, self.strangers

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.console.url, "data:", "blob:")):
            self.strangers.append(request.url)


@pytest.fixture
def desk(window: BrowserContext, console: FakeConsole) -> Iterator[Desk]:
    """Give a desk; afterwards no error, no breach of the policy, no request to outside may have been seen."""
    one = Desk(window, console)
    yield one
    for page in one.pages:
        page.close()
    one.check()
