"""Two records of one person in a browser: found in the queue, compared, merged by keyboard, and the merge undone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from flowledger.clients.models import Contact
from flowledger.clients.services import update_contact
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import User
from flowledger.tenancy.scope import org_scope, system_scope
from tests.backoffice.houses import House
from tests.clients.pairs import AT, suggestion
from tests.workstream.factories import CLERK, CandidateFactory, ClientFactory, SignalFactory
from workstream import services
from workstream.models import CandidateSignal

if TYPE_CHECKING:
    from playwright.sync_api import Page

PRESS = "Our press stops twice a day and we need help before the summer."
PICTURES = os.environ.get("FLOWLEDGER_PICTURES", "")


@pytest.fixture(autouse=True)
def no_wake(settings) -> None:
    settings.OUTBOX_WAKE = False


def picture(page: Page, name: str) -> None:
    """For people who want to see the pages: FLOWLEDGER_PICTURES names a directory."""
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def width_fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_two_contacts_are_merged_from_the_queue_and_parted_again(
    page: Page, home: House, log_in: Callable[[Page, User], None]
) -> None:
    with system_scope("tests"):
        pair = suggestion(home.org)
        signals = SignalFactory.create_batch(2, org=home.org, contact=pair.other_contact)
    log_in(page, home.people[Role.MANAGER])

    # The menu says how much waits and leads to the queue.
    entry = page.get_by_role("link", name="Identity review")
    expect(entry).to_contain_text("1")
    entry.click()
    expect(page.get_by_role("row").filter(has_text="Annie Moss")).to_contain_text("84 %")
    picture(page, "queue")
    page.get_by_role("link", name="Ann Moss").first.click()

    # Side by side: what differs is marked, the other may be the one that stays.
    expect(page.locator("tr[data-field='title']")).to_have_attribute("data-differs", "")
    expect(page.locator("tr[data-field='client']")).not_to_have_attribute("data-differs", "")
    expect(page.get_by_text("Signals: 2")).to_be_visible()
    picture(page, "conflict")
    page.get_by_role("link", name="Keep the other one instead").click()
    expect(page.get_by_role("button", name="Merge into Annie Moss")).to_be_visible()
    page.get_by_role("link", name="Keep the other one instead").click()

    # By keyboard: the next value of the name, then the button.
    page.locator("input[name='field_name']:checked").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Note").fill("The same person")
    page.get_by_role("button", name="Merge into Ann Moss").press("Enter")
    expect(page.get_by_text("The two are one contact now.")).to_be_visible()
    expect(page.get_by_role("link", name="Identity review")).not_to_contain_text("1")
    with org_scope(home.org):
        row = Contact.objects.for_org(home.org).get(pk=pair.contact_id)
    assert (row.name, row.title) == ("Annie Moss", "Buyer")

    # The loser's address leads to the survivor.
    page.goto(f"/admin/clients/contact/{pair.other_contact_id}/change/")
    page.wait_for_url(f"**/clients/contact/{pair.contact_id}/change/")
    expect(page.get_by_text("was merged into this contact")).to_be_visible()

    # Somebody changes the survivor; the undo keeps that and says so.
    update_contact(
        org=home.org, contact_id=pair.contact_id, fields={"title": "Head of buying"}, actor=Actor.system("x"), at=AT
    )
    page.goto("/admin/clients/mergerecord/")
    picture(page, "merges")
    page.get_by_role("link", name="Annie Moss into Ann Moss").click()
    expect(page.get_by_text("Signals: 2")).to_be_visible()
    picture(page, "merge")
    page.get_by_role("button", name="Undo the merge").click()
    expect(page.get_by_text("1 change made since stays")).to_be_visible()
    expect(page.get_by_role("list", name="Changed since the merge")).to_contain_text("Head of buying")
    picture(page, "undone")
    with org_scope(home.org):
        parted = Contact.objects.for_org(home.org).get(pk=pair.other_contact_id)
        assert parted.canonical_id is None
        assert {each.pk for each in parted.signals.all()} == {each.pk for each in signals}
    expect(page.get_by_role("link", name="Identity review")).to_contain_text("1")


@pytest.mark.parametrize(("dark", "width"), [(False, 390), (True, 1280), (True, 390)])
def test_every_page_fits_on_a_phone_and_in_the_dark(open_page, home, log_in, dark, width) -> None:
    with system_scope("tests"):
        pair = suggestion(home.org)
    page = open_page(dark=dark, width=width)
    log_in(page, home.people[Role.MANAGER])
    look = f"{'dark' if dark else 'light'}-{width}"
    for name, link in {
        "queue": "/admin/clients/identityconflict/",
        "conflict": f"/admin/clients/identityconflict/{pair.pk}/change/",
        "with": f"/admin/clients/contact/{pair.contact_id}/merge/",
        "compare": f"/admin/clients/contact/{pair.contact_id}/merge/?other={pair.other_contact_id}",
    }.items():
        page.goto(link)
        expect(page.locator("#main, main, #content").first).to_be_visible()
        picture(page, f"{name}-{look}")
        assert width_fits(page), f"{name} is wider than {width} pixels"


def test_the_rest_of_a_cluster_is_linked_in_one_click(page: Page, home: House, log_in) -> None:
    with system_scope("tests"):
        client = ClientFactory(org=home.org, name="Northwind")
        signals = [
            SignalFactory(org=home.org, client=client, snippet=text, contact_name=name)
            for text, name in (
                (PRESS, "Ann Moss"),
                (f"Hello, {PRESS} Best regards, Bo", "Bo Lind"),
                (f"{PRESS} Can you come on Monday or Tuesday?", "Cy Stone"),
            )
        ]
        candidate = CandidateFactory(org=home.org, client=client, title="Press line")
    keys = [each.pk for each in signals]
    services.cluster_signals(org=home.org, signal_ids=keys, actor=CLERK, at=AT)
    services.link_signal(org=home.org, signal_id=keys[0], candidate_id=candidate.pk, actor=CLERK, at=AT)
    log_in(page, home.people[Role.REP])
    page.goto(f"/admin/workstream/signal/{keys[0]}/change/")

    expect(page.get_by_role("heading", name="2 other signals of the same buying event")).to_be_visible()
    expect(page.get_by_role("list", name="Other signals of the cluster")).to_contain_text("100 % alike")
    picture(page, "signal")
    page.get_by_role("button", name="Link the rest (2) to Press line").click()
    expect(page.get_by_text("2 signals were linked.")).to_be_visible()
    expect(page.get_by_role("button", name="Link the rest")).to_have_count(0)
    with org_scope(home.org):
        linked = CandidateSignal.objects.for_org(home.org).filter(candidate=candidate)
        assert set(linked.values_list("signal", flat=True)) == set(keys)
