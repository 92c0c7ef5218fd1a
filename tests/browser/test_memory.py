"""Memory in a browser: a question is asked and answered with its source, and the card stands on the client's page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.utils.timezone import now
from playwright.sync_api import expect

from flowledger.tenancy.actors import Role
from tests.factories import ClientFactory
from tests.memory.card_rows import remember

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def known(home: Any) -> Any:
    """A client of whom two things are known."""
    client = ClientFactory(org=home.org, name="Kettleworth Bakeries")
    remember(home.org, "Flour dust ruined the belt bearings of Delmontane.", kind="risk", client=client, at=now())
    remember(home.org, "Marion prefers a text message to a call.", kind="preference", client=client, at=now())
    return client


def test_a_question_is_answered_with_passage_and_source(
    page: Page, home: Any, known: Any, log_in: Callable[..., None]
) -> None:
    log_in(page, home.people[Role.REP])
    page.goto("/admin/memory/search/")
    page.get_by_label("Question").fill("What ruined the bearings at Kettleworth?")
    page.get_by_role("button", name="Search").last.click()
    expect(page).to_have_url(re.compile(r"/admin/memory/search/\?q=What"))
    first = page.locator("article[data-atom]").first
    expect(first).to_contain_text("Flour dust ruined the belt bearings")
    expect(first.locator("mark").filter(has_text="bearings")).to_be_visible()
    expect(first).to_contain_text("From activity")
    first.get_by_role("link", name="Kettleworth Bakeries").click()
    expect(page).to_have_url(re.compile(rf"/clients/client/{known.pk}/change/$"))
    expect(page.locator("#memory-card")).to_contain_text("Marion prefers a text message to a call.")


def test_the_search_fits_a_phone(
    open_page: Callable[..., Page], home: Any, known: Any, log_in: Callable[..., None]
) -> None:
    page = open_page(width=390)
    log_in(page, home.people[Role.REP])
    page.goto("/admin/memory/search/?q=bearings")
    expect(page.locator("article[data-atom]")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
