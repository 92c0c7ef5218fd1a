"""The main job in a browser: a call becomes a signal, a candidate, a pursuit, and at the end an engagement."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from flowledger.outbox.drain import drain_all
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import User
from flowledger.tenancy.scope import org_scope
from tests.backoffice.houses import House
from workstream.machines import PursuitStage
from workstream.models import Engagement, GateCheck, Proposal, Pursuit

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PINK = ("Budget confirmed", "Technical scope defined", "Decision makers identified", "Timeline agreed")
RED = ("Proposal reviewed", "Pricing approved", "Legal terms agreed", "Delivery plan finalised")


@pytest.fixture(autouse=True)
def no_wake(settings) -> None:
    """The test drains by itself, between its steps."""
    settings.OUTBOX_WAKE = False


def press(page: Page, name: str) -> None:
    bar = state(page)
    bar.get_by_role("button", name=name, exact=True).or_(bar.get_by_role("link", name=name, exact=True)).click()


def state(page: Page) -> Locator:
    return page.get_by_role("region", name="State and next steps")


def tick(page: Page, name: str, evidence: str = "") -> None:
    if evidence:
        page.get_by_label(f"Evidence for {name}").fill(evidence)
    page.locator(f"[data-item='{name}']").get_by_role("button", name="Done").click()
    expect(page.get_by_text(f"Done: {name}.")).to_be_visible()


def test_from_a_call_to_an_engagement(page: Page, home: House, log_in: Callable[[Page, User], None]) -> None:
    manager = home.people[Role.MANAGER]
    log_in(page, manager)

    # A call is logged as a signal.
    page.goto("/admin/workstream/signal/add/")
    page.get_by_label("Source type").select_option("call")
    page.get_by_label("Snippet").fill("Their packing line stops twice a day; they want help before the summer.")
    page.get_by_label("Contact name").fill("Ann Moss")
    page.get_by_label("Contact email").fill("ann@northwind-traders.com")
    page.get_by_label("Company name").fill("Northwind Traders")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(state(page)).to_contain_text("New")

    # The signal is opened as a candidate.
    press(page, "Open candidate")
    page.get_by_label("Title").fill("Packing line for Northwind")
    page.get_by_label("Value band").select_option("high")
    page.get_by_label("Owner").select_option(label=manager.username)
    page.get_by_role("button", name="Open candidate").click()
    expect(page).to_have_url(re.compile(r"/workstream/candidate/\d+/change/$"))
    expect(page.get_by_label("Title")).to_have_value("Packing line for Northwind")

    # Triage and promotion.
    press(page, "Triage")
    expect(state(page)).to_contain_text("Triaged")
    press(page, "Promote")
    page.get_by_label("Forecast value").fill("125000")
    page.get_by_role("button", name="Promote").click()
    expect(page).to_have_url(re.compile(r"/workstream/pursuit/\d+/change/$"))
    expect(state(page)).to_contain_text("Qualification")
    drain_all()
    page.reload()
    expect(page.locator("[data-proposal='1']")).to_contain_text("Draft")

    # Through the reviews; submitting too early lists everything that is missing.
    press(page, "To pink review")
    expect(state(page)).to_contain_text("Pink review")
    press(page, "To red review")
    expect(state(page)).to_contain_text("Red review")
    press(page, "Submit")
    page.get_by_role("button", name="Submit").click()
    for name in PINK:
        expect(page.get_by_text(re.compile(f"blocked.*{name}")).first).to_be_visible()
    expect(page.get_by_text("The pink checklist item is not done.").first).to_be_visible()
    expect(state(page)).to_contain_text("Red review")
    with org_scope(home.org):
        assert GateCheck.objects.for_org(home.org).filter(gate="submit", passed=False).count() == 1

    tick(page, PINK[0], evidence="Mail of 3 March, signed by the CFO")
    for name in PINK[1:]:
        tick(page, name)
    press(page, "Submit")
    page.get_by_role("button", name="Submit").click()
    expect(state(page)).to_contain_text("Submitted")
    drain_all()
    page.reload()
    expect(page.locator("[data-proposal='1']")).to_contain_text("Sent")

    # The red review, one item waived by the manager, and the win.
    for name in RED[:3]:
        tick(page, name)
    last = page.locator(f"[data-item='{RED[3]}']")
    last.get_by_text("Waive").first.click()
    last.get_by_label(f"Why {RED[3]} may be waived").fill("Delivery is the customer's own")
    last.get_by_role("button", name="Waive").click()
    expect(page.get_by_text(f"Waived: {RED[3]}.")).to_be_visible()
    press(page, "Won")
    page.get_by_role("button", name="Won").click()
    expect(state(page)).to_contain_text("Won")
    drain_all()

    with org_scope(home.org):
        pursuit = Pursuit.objects.for_org(home.org).get()
        assert pursuit.stage == PursuitStage.WON
        proposal = Proposal.objects.for_org(home.org).get()
        assert (proposal.status, proposal.recipients) == ("sent", ["ann@northwind-traders.com"])
        engagement = Engagement.objects.for_org(home.org).get()
        assert (engagement.pursuit_id, str(engagement.value)) == (pursuit.pk, "125000.00")

    # The engagement is there with its kickoff tasks; one is done on its page.
    page.goto("/admin/workstream/engagement/")
    page.get_by_role("link", name="Packing line for Northwind").first.click()
    page.locator("#tabs-wrapper").get_by_role("link", name="Tasks").click()
    row = page.get_by_role("row").filter(has_text="Hold the kickoff meeting")
    row.get_by_role("button", name="Done").click()
    expect(page).to_have_url(re.compile(r"/workstream/engagement/\d+/change/$"))
    expect(page.get_by_text("The task is done.")).to_be_visible()
