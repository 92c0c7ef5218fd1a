"""A profile is built in a browser with its live preview, tried and taken back; scores are read and set on a signal."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import User
from flowledger.tenancy.scope import org_scope, system_scope
from spotlight import services
from spotlight.models import ScoreOverride, Spotlight, SpotlightCriterion
from tests.backoffice.houses import House
from tests.spotlight.factories import (
    AT,
    CLERK,
    WORKED_DATA,
    WORKED_EXAMPLE,
    FieldRuleFactory,
    SpotlightFieldFactory,
    open_spotlight,
)
from tests.workstream.factories import SignalFactory

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import Watch

PICTURES = os.environ.get("FLOWLEDGER_PICTURES", "")


@pytest.fixture(autouse=True)
def no_wake(settings) -> None:
    settings.OUTBOX_WAKE = False


def picture(page: Page, name: str) -> None:
    """For people who want to see the pages: FLOWLEDGER_PICTURES names a directory."""
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/spotlight-{name}.png", full_page=True)


def width_fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def line(page: Page, place: int) -> Locator:
    """A line of the builder."""
    return page.get_by_role("list", name="Criteria", exact=True).first.locator("> li").nth(place)


def make_fields(house: House) -> None:
    with system_scope("tests"):
        sector = SpotlightFieldFactory(
            org=house.org, field_name="industry", field_type="enum", enum_values=["Banking", "Insurance", "Retail"]
        )
        SpotlightFieldFactory(org=house.org, field_name="budget", field_type="number")
        shops = SpotlightFieldFactory(org=house.org, field_name="shops", field_type="number")
        FieldRuleFactory(
            org=house.org, field=shops, condition_field=sector, operator="=", condition_value="Retail", effect="show"
        )
        SignalFactory(org=house.org, company_name="Birch Bank", attributes={"industry": "Banking", "budget": "80k"})


def test_a_profile_is_built_with_its_preview(
    page: Page, home: House, watch: Watch, log_in: Callable[[Page, User], None]
) -> None:
    make_fields(home)
    # A preview that a newer one overtakes is aborted, which htmx tells the console.
    watch.expect("console: htmx:sendAbort")
    watch.expect("console: htmx:afterRequest")
    log_in(page, home.people[Role.MANAGER])
    page.goto("/admin/spotlight/spotlight/add/")
    page.get_by_label("Name").fill("Banks with money")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("is never evaluated")

    # A line takes the inputs that field and comparison ask for, and the preview follows.
    page.get_by_role("button", name="Add a criterion").click()
    expect(line(page, 0).get_by_label("Field")).to_be_focused()
    line(page, 0).get_by_label("Field").select_option("industry")
    line(page, 0).get_by_label("Comparison").select_option("one of")
    line(page, 0).get_by_label("Banking").check()
    expect(preview.locator("[data-score]")).to_have_text("1.00")
    page.get_by_role("button", name="Add a criterion").click()
    line(page, 1).get_by_label("Field").select_option("budget")
    expect(preview).to_contain_text("1 criterion is not complete yet and left out.")
    line(page, 1).get_by_label("Value").fill("100k")
    # 80 of 100 thousand with a margin of half: six tenths of the second criterion.
    expect(preview.locator("[data-score]")).to_have_text("0.80")
    preview.get_by_text("Why").click()
    expect(preview).to_contain_text("Budget below range: 80k of 100k+ (60% credit)")
    picture(page, "builder")

    # A line that was added and is not wanted goes again, by keyboard.
    page.get_by_role("button", name="Add a criterion").click()
    expect(line(page, 2)).to_be_visible()
    line(page, 2).get_by_role("button", name="Remove the criterion").press("Enter")
    expect(line(page, 2)).to_have_count(0)
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    with org_scope(home.org):
        spotlight = Spotlight.objects.for_org(home.org).get()
        rows = SpotlightCriterion.objects.for_org(home.org).order_by("position")
        stored = list(rows.values_list("field__field_name", "operator", "value"))
    assert spotlight.name == "Banks with money"
    assert stored == [("industry", "in", ["Banking"]), ("budget", ">=", 100_000)]

    # Values are tried by the draft; a rule shows the field of shops for retail only.
    page.get_by_text("Try values").click()
    tried = page.locator("#tried")
    expect(page.get_by_label("Shops")).to_be_hidden()
    page.get_by_role("combobox", name="Industry").select_option("Retail")
    expect(page.get_by_label("Shops")).to_be_visible()
    expect(tried).to_contain_text("Industry no match: Retail")
    page.get_by_role("textbox", name="Budget").fill("100k")
    expect(tried.locator("[data-score]")).to_have_text("0.50")

    # Another weight makes version 2; the versions page says what changed and leads back.
    line(page, 1).get_by_label("Weight").fill("30")
    expect(preview).to_contain_text("0.80 →")
    page.get_by_label("Note on this change").fill("Money first")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("table").get_by_role("link", name="Banks with money").click()
    page.get_by_role("link", name="Versions, compare and go back").click()
    expect(page.locator("[data-version='2']")).to_contain_text("Weight of budget: 10 → 30")
    picture(page, "versions")
    page.get_by_role("button", name="Go back to this").click()
    expect(page.get_by_text("Version 3 asks what version 1 asked.")).to_be_visible()


def test_a_score_is_read_and_set_by_hand_on_a_signal(
    page: Page, home: House, log_in: Callable[[Page, User], None]
) -> None:
    open_spotlight(home.org, name="Banks")
    with system_scope("tests"):
        signal = SignalFactory(org=home.org, attributes=dict(WORKED_DATA))
    log_in(page, home.people[Role.MANAGER])
    page.goto(f"/admin/workstream/signal/{signal.pk}/change/")
    panel = page.get_by_role("region", name="Customer fit")
    expect(panel).to_contain_text("Not scored yet.")
    panel.get_by_role("button", name="Score again").click()
    expect(page.get_by_text("Scored again; the score has moved.")).to_be_visible()
    expect(panel.locator("[data-best]")).to_have_text("0.80")
    expect(panel).to_contain_text("Budget below range: 60k of 100k+ (20% credit)")
    expect(panel).to_contain_text("If budget were 100k or more: 1.00, high_match (+0.20)")

    panel.get_by_role("link", name="Set by hand").click()
    page.get_by_label("Score", exact=False).last.fill("0.45")
    page.get_by_label("Reason").fill("They went to a competitor.")
    page.get_by_role("button", name="Set the score by hand").click()
    expect(panel.locator("[data-best]")).to_have_text("0.45")
    expect(panel).to_contain_text("Computed: 0.80, high match.")
    with org_scope(home.org):
        assert ScoreOverride.objects.for_org(home.org).get().reason == "They went to a competitor."
    panel.get_by_text("How it moved").click()
    expect(panel.locator("[data-moves]")).to_contain_text("0.80 → 0.45 −0.35, high match → low match")
    picture(page, "panel")
    panel.get_by_role("button", name="Take it back").click()
    expect(panel.locator("[data-best]")).to_have_text("0.80")


@pytest.mark.parametrize(("dark", "width"), [(False, 390), (True, 1280), (True, 390)])
def test_every_page_fits_on_a_phone_and_in_the_dark(open_page, home, log_in, dark, width) -> None:
    make_fields(home)
    spotlight = open_spotlight(home.org, [*WORKED_EXAMPLE[1:3]], name="Banks")
    with system_scope("tests"):
        signal = SignalFactory(org=home.org, attributes=dict(WORKED_DATA))
        rule = FieldRuleFactory(org=home.org)
    services.evaluate_items(org=home.org, item_type="signal", item_ids=[signal.pk], cause="new", actor=CLERK, at=AT)
    page = open_page(dark=dark, width=width)
    log_in(page, home.people[Role.MANAGER])
    look = f"{'dark' if dark else 'light'}-{width}"
    for name, link in {
        "list": "/admin/spotlight/spotlight/",
        "builder": f"/admin/spotlight/spotlight/{spotlight.pk}/change/",
        "versions": f"/admin/spotlight/spotlight/{spotlight.pk}/versions/",
        "copy": f"/admin/spotlight/spotlight/{spotlight.pk}/transition/clone/",
        "fields": "/admin/spotlight/spotlightfield/",
        "field": f"/admin/spotlight/spotlightfield/{rule.field_id}/change/",
        "rule": f"/admin/spotlight/fieldrule/{rule.pk}/change/",
        "signal": f"/admin/workstream/signal/{signal.pk}/change/",
        "override": f"/admin/spotlight/scores/signal/{signal.pk}/override/{spotlight.pk}/",
    }.items():
        page.goto(link)
        expect(page.locator("#main, main, #content").first).to_be_visible()
        if name == "builder":
            expect(page.locator("#preview [data-score]").first).to_be_visible()
        picture(page, f"{name}-{look}")
        assert width_fits(page), f"{name} is wider than {width} pixels"
