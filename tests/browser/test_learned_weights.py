"""Learned weights in a browser: asked for, drawn, accepted and taken back, by day and by night, on a phone too."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from spotlight.models import SpotlightCriterion
from tests.browser.test_analytics import DRAWN
from tests.spotlight.closed_pursuits import learned_world
from tests.spotlight.factories import open_spotlight


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)], ids=["light", "dark phone"])
def test_a_manager_learns_looks_accepts_and_takes_back(open_page, home, log_in, dark, width):
    with system_scope("tests"):
        spotlight = open_spotlight(home.org, name="Banks")
        learned_world(home.org)
    page = open_page(dark=dark, width=width)
    log_in(page, home.people[Role.MANAGER])

    page.goto("/admin/spotlight/weightproposal/")
    expect(page.get_by_text("There are 300 closed pursuits to learn from")).to_be_visible()
    page.get_by_label("Profile", exact=True).select_option("Banks")
    page.get_by_role("button", name="Propose weights").click()

    expect(page.get_by_role("heading", name="What the outcomes say of Banks")).to_be_visible()
    page.wait_for_function(f"Array.from(document.querySelectorAll('canvas.chart')).every({DRAWN})")
    assert page.locator("canvas.chart").count() == 4
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("The profile has these weights now")).to_be_visible()
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("The profile is again what it was before")).to_be_visible()
    with system_scope("tests"):
        weights = SpotlightCriterion.all_orgs.filter(spotlight=spotlight).values_list("weight", flat=True)
        assert set(weights) == {10}
