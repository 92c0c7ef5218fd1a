"""A real browser against a live server; console errors, failed requests and requests to strangers fail the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from flowledger.tenancy.models import User
from flowledger.tenancy.scope import system_scope
from tests.backoffice.houses import House, make_house

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

PASSWORD = "correct horse battery staple"
BINARIES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 10_000

_skipped: list[str] = []


def chromium() -> str | None:
    """Where the browser is: named by FLOWLEDGER_CHROMIUM or found on the path."""
    named = os.environ.get("FLOWLEDGER_CHROMIUM")
    return named or next((found for name in BINARIES if (found := shutil.which(name))), None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _skipped:
        terminalreporter.section("NO BROWSER", sep="!", red=True, bold=True)
        terminalreporter.line(
            "chromium was not found, so no page was tested in a browser. Install it, or name it in "
            "FLOWLEDGER_CHROMIUM; FLOWLEDGER_REQUIRE_BROWSER=1 turns this into a failure."
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a module.

    While it lives, its event loop runs in this thread, and Django would refuse the database to a thread with one. The
    tests here are plain functions, so the refusal is switched off for as long, and only then.
    """
    binary = chromium()
    if binary is None:
        if os.environ.get("FLOWLEDGER_REQUIRE_BROWSER") == "1":
            pytest.fail("FLOWLEDGER_REQUIRE_BROWSER is set and there is no chromium.")
        _skipped.append("browser")
        pytest.skip("no chromium")
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        running = playwright.chromium.launch(executable_path=binary, args=ARGUMENTS)
        yield running
        running.close()


@dataclass
class Watch:
    """What went wrong on the pages of one test. `expect` takes out what the test provokes."""

    server: str
    troubles: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, text: str) -> None:
        """Do not count troubles that contain this text."""
        self.expected.append(text)

    def on(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._note(f"script error on {page.url}: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def unexpected(self) -> list[str]:
        return [trouble for trouble in self.troubles if not any(text in trouble for text in self.expected)]

    def _note(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != urlsplit(self.server).netloc:
            self._note(f"request to a stranger: {request.url}")

    def _failed(self, request: Request) -> None:
        # A page that is left cancels what it was still loading.
        if request.failure != "net::ERR_ABORTED":
            self._note(f"request failed: {request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self._note(f"answer {response.status}: {response.request.method} {response.url}")


@pytest.fixture
def watch(live_server: Any) -> Iterator[Watch]:
    watch = Watch(live_server.url)
    yield watch
    assert not watch.unexpected(), "\n".join(watch.unexpected())


@pytest.fixture
def open_page(browser: Browser, live_server: Any, watch: Watch) -> Iterator[Callable[..., Page]]:
    """A page in a context of its own: `open_page(dark=True, width=390)`. Addresses are relative to the server."""
    contexts = []

    def make(*, dark: bool = False, width: int = 1280, height: int = 900) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        watch.on(page)
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()


@pytest.fixture
def log_in() -> Callable[[Page, User], None]:
    """Log in through the form, as a person does."""

    def log_in(page: Page, user: User) -> None:
        user.set_password(PASSWORD)
        user.save()
        page.goto("/admin/login/")
        page.get_by_label("Username").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(lambda url: "/login/" not in url)

    return log_in


@pytest.fixture
def home(transactional_db: None) -> House:
    return make_house("Alder")


@pytest.fixture
def abroad(transactional_db: None) -> House:
    return make_house("Birch")


@pytest.fixture
def join() -> Callable[..., None]:
    """Make somebody a member of another organisation as well."""
    from flowledger.tenancy.models import Membership

    def join(house: House, user: User, role: str = "admin") -> None:
        with system_scope("tests"):
            Membership.all_orgs.create(org=house.org, user=user, role=role)

    return join
