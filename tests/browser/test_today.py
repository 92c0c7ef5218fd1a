"""The morning review in a browser: Today ranks, filters, snoozes, acts, follows what others do, and fits a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils.timezone import now
from playwright.sync_api import expect

from flowledger.outbox.drain import drain_all
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from tests.browser.conftest import PATIENCE_MS
from tests.workstream.factories import CLERK, SlaRuleFactory, open_candidate, open_pursuit
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import Notification, Pursuit, SlaRule
from workstream.services.sla_sweep import sweep

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

LONG = "Packing line for Northwind Traders in the new hall of their second plant on the other side of the river"


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    """The test drains by itself, between its steps."""
    settings.OUTBOX_WAKE = False


@pytest.fixture
def work(home: Any) -> dict[str, Any]:
    """A pursuit of the representative that is late, a calm candidate of the manager, both by the real clocks."""
    rep, manager = home.people[Role.REP], home.people[Role.MANAGER]
    late = open_pursuit(home.org, at=now() - timedelta(hours=80), title=LONG, owner=rep)
    calm = open_candidate(
        home.org, status="triaged", at=now() - timedelta(hours=1), title="Milling cell", owner=manager
    )
    sweep(at=now())
    drain_all()
    return {"late": late, "calm": calm}


def rows(page: Page) -> Locator:
    return page.locator("#today li[data-item]")


def row(page: Page, item: Any) -> Locator:
    return page.locator(f"#today li[data-item='{item._meta.model_name}-{item.pk}']")


def too_wide(page: Page) -> list[str]:
    """What sticks out of a page that is wider than its window."""
    found: list[str] = page.evaluate(
        """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
            [...document.querySelectorAll("#main *")]
                .filter((each) => each.getBoundingClientRect().right > window.innerWidth + 1)
                .map((each) => `${each.tagName}.${each.className}: ${each.textContent.trim().slice(0, 40)}`)"""
    )
    return found


def test_the_morning_review(page: Page, home: Any, work: Any, log_in: Callable[..., None]) -> None:
    log_in(page, home.people[Role.REP])

    # The breached pursuit is on top, and says why it is there and why so high.
    expect(rows(page)).to_have_count(2)
    top = rows(page).first
    expect(top).to_have_attribute("data-badge", "red")
    expect(top).to_contain_text(LONG)
    expect(top).to_contain_text("Proposal overdue since")
    expect(top.locator("time")).to_contain_text("overdue")
    top.get_by_text(re.compile("points$")).click()
    expect(top.locator(".today-points li")).to_have_count(4)
    expect(page.get_by_role("status").filter(has_text="2 items")).to_be_visible()

    # Mine only; the address says so, the counts follow.
    page.get_by_label("Owner", exact=True).select_option("me")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile(r"/admin/\?owner=me$"))
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="1 item")).to_be_visible()
    expect(page.locator("#today-chip-red")).to_contain_text("1")

    # Opened and come back from, the filters are still there.
    page.get_by_role("link", name=LONG).click()
    expect(page).to_have_url(re.compile(r"/workstream/pursuit/\d+/change/$"))
    expect(page.locator("[data-clocks] summary")).to_contain_text("Proposal")
    page.go_back()
    expect(page).to_have_url(re.compile(r"owner=me$"))
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("Owner", exact=True)).to_have_value("me")


def test_the_next_action_is_done_by_its_button(page: Page, home: Any, work: Any, log_in: Callable[..., None]) -> None:
    log_in(page, home.people[Role.MANAGER])
    page.goto("/admin/?type=pursuit")
    row(page, work["late"]).get_by_role("button", name="Start the pink review").click()
    expect(page).to_have_url(re.compile(r"/admin/\?type=pursuit$"))
    expect(page.get_by_text("The pursuit is in pink review.")).to_be_visible()
    with org_scope(home.org):
        assert Pursuit.objects.for_org(home.org).get(pk=work["late"].pk).stage == PursuitStage.PINK

    # One that asks something opens the form that there is, and returns.
    page.goto("/admin/?type=candidate")
    row(page, work["calm"]).get_by_role("link", name="Promote").click()
    expect(page.get_by_label("Forecast value")).to_be_visible()
    page.get_by_role("link", name="Back", exact=True).click()
    expect(page).to_have_url(re.compile(r"/admin/\?type=candidate$"))


def test_an_item_is_snoozed_with_the_keyboard(page: Page, home: Any, work: Any, log_in: Callable[..., None]) -> None:
    log_in(page, home.people[Role.MANAGER])
    summary = row(page, work["calm"]).locator("details[data-menu] > summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(row(page, work["calm"]).get_by_role("button", name="For 1 day")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row(page, work["calm"]).get_by_role("button", name="For 1 day")).to_be_hidden()
    expect(summary).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("Milling cell comes back on"))).to_be_visible()
    expect(row(page, work["calm"])).to_have_count(0)
    expect(rows(page)).to_have_count(1)

    row(page, work["late"]).locator("details[data-menu] > summary").click()
    row(page, work["late"]).get_by_label("Until").fill("2999-05-04")
    row(page, work["late"]).get_by_role("button", name="Snooze until then").click()
    expect(page.get_by_text("Nothing waits for you.")).to_be_visible()


def test_the_list_follows_what_others_do(page: Page, home: Any, work: Any, log_in: Callable[..., None]) -> None:
    log_in(page, home.people[Role.REP])
    page.evaluate("window.untouched = true")
    with page.expect_response(lambda answer: "/today/rows/" in answer.url) as polled:
        pass
    assert polled.value.status == 304

    # What is unfolded and what has the focus survive the change.
    late = row(page, work["late"])
    late.get_by_text(re.compile("points$")).click()
    page.locator(f"#today-link-candidate-{work['calm'].pk}").focus()
    with org_scope(home.org):
        services.nurture_candidate(org=home.org, candidate_id=work["calm"].pk, actor=CLERK, at=now())
    new = open_candidate(home.org, status="triaged", at=now(), title="Laser cutter")
    drain_all()
    expect(rows(page)).to_have_count(3, timeout=PATIENCE_MS)
    expect(row(page, new)).to_be_visible()
    expect(row(page, work["calm"])).to_contain_text("Nurture")
    expect(late.locator(".today-points")).to_be_visible()
    expect(page.locator(f"#today-link-candidate-{work['calm'].pk}")).to_be_focused()
    assert page.evaluate("window.untouched") is True


def test_a_lost_session_leads_to_the_log_in(page: Page, home: Any, work: Any, log_in: Callable[..., None]) -> None:
    log_in(page, home.people[Role.REP])
    expect(rows(page)).to_have_count(2)
    page.context.clear_cookies()
    expect(page.get_by_label("Username")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_of_it_is_wider_than_a_phone(
    open_page: Callable[..., Page], home: Any, work: Any, log_in: Callable[..., None], dark: bool
) -> None:
    manager = home.people[Role.MANAGER]
    with system_scope("tests"):
        rule = SlaRuleFactory(org=home.org, metric="proposal_sla", item_type="pursuit", stage="red")
        Notification.all_orgs.create(
            org=home.org, user=manager, kind="sla.breached", source_key="b", title=LONG, happened_at=now()
        )
    page = open_page(width=390, height=844, dark=dark)
    log_in(page, manager)
    expect(rows(page)).to_have_count(2)
    row(page, work["late"]).locator("details[data-menu] > summary").click()
    for path in (
        "",
        "/admin/notifications/",
        "/admin/notifications/preferences/",
        "/admin/workstream/slarule/",
        f"/admin/workstream/slarule/{rule.pk}/change/",
        "/admin/workstream/businesscalendar/add/",
        "/admin/workstream/slabreach/",
        f"/admin/workstream/pursuit/{work['late'].pk}/change/",
    ):
        if path:
            page.goto(path)
        assert too_wide(page) == [], path or "today"


def test_a_rule_is_changed_after_a_look_at_what_it_would_do(
    page: Page, home: Any, work: Any, log_in: Callable[..., None]
) -> None:
    log_in(page, home.people[Role.MANAGER])
    page.goto("/admin/workstream/slarule/")
    page.get_by_role("link", name="Proposal", exact=True).click()
    preview = page.locator("#preview")
    expect(preview.locator("[data-running]")).to_have_text("1")
    expect(preview.locator("[data-late-after]")).to_have_text("1")
    page.get_by_label("Threshold hours").fill("100")
    page.get_by_label("Threshold hours").press("Tab")
    expect(preview.locator("[data-late-after]")).to_have_text("0")
    with org_scope(home.org):
        rule = SlaRule.objects.for_org(home.org).get(metric="proposal_sla")
        assert (rule.threshold_hours, rule.version) == (72, 1)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    drain_all()
    page.goto("/admin/")
    expect(row(page, work["late"])).not_to_have_attribute("data-badge", "red")


def test_a_notification_is_read_by_opening_it(page: Page, home: Any, work: Any, log_in: Callable[..., None]) -> None:
    log_in(page, home.people[Role.REP])
    page.get_by_role("link", name="Notifications: 1 unread").click()
    page.get_by_role("button", name="Open").click()
    expect(page).to_have_url(re.compile(r"/workstream/pursuit/\d+/change/$"))
    expect(page.get_by_role("link", name="Notifications", exact=True)).to_be_visible()


def test_a_calendar_shows_the_next_due_times_while_it_is_filled_in(
    page: Page, home: Any, log_in: Callable[..., None]
) -> None:
    log_in(page, home.people[Role.MANAGER])
    page.goto("/admin/workstream/businesscalendar/add/")
    page.get_by_label("Name").fill("Office")
    preview = page.locator("#preview")
    expect(preview.locator("[data-due='8']")).to_be_visible()
    page.get_by_label("Monday").fill("17:00-9:00")
    page.get_by_label("Monday").press("Tab")
    expect(preview).to_contain_text("ends before it begins")
    page.get_by_label("Monday").fill("9-12, 13-17:30")
    page.get_by_label("Closing day 1", exact=True).fill("2026-12-24")
    page.get_by_label("Closing day 1 is").fill("Christmas Eve")
    page.get_by_label("Closing day 1 is").press("Tab")
    expect(preview.locator("[data-due='8']")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    expect(page.get_by_text("Mon 09:00–12:00, 13:00–17:30")).to_be_visible()
