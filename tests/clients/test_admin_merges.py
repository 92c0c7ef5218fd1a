"""Merges in the back office: begun on a row's page, listed with what moved, undone with a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from flowledger.clients.models import Client, Contact, MergeRecord
from flowledger.clients.services import merge_clients, merge_contacts, update_contact
from flowledger.tenancy.actors import Actor, Role
from tests.backoffice.houses import House
from tests.clients.pairs import AT, two_contacts
from tests.factories import ClientFactory, ContactFactory
from tests.workstream.back_office import address, buttons_on, press, said, stored
from tests.workstream.factories import SignalFactory
from tests.workstream.trail import nothing_changes

SYSTEM = Actor.system("tests")
AsRole = Callable[[Role], Browser]


def page_of(row: Any) -> str:
    return address(row, "change", row.pk)


def merged(home: House, one: Contact, two: Contact, **more: Any) -> MergeRecord:
    return merge_contacts(org=home.org, survivor_id=one.pk, loser_id=two.pk, actor=SYSTEM, at=AT, **more)


class TestMergingFromAPage:
    def test_asks_for_the_other_one_then_shows_both(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        browser = as_role(Role.MANAGER)
        assert "Merge with…" in browser.get(page_of(one)).content.decode()
        link = address(one, "merge", one.pk)
        asked = browser.get(link)
        assert (asked.status_code, "The other contact" in asked.content.decode()) == (200, True)
        page = browser.get(link, {"other": two.pk})
        assert (page.context["survivor"].pk, page.context["loser"].pk) == (one.pk, two.pk)
        swapped = browser.get(link, {"other": two.pk, "survivor": two.pk})
        assert (swapped.context["survivor"].pk, swapped.context["loser"].pk) == (two.pk, one.pk)

    def test_merges_as_the_form_says(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        answer = as_role(Role.MANAGER).post(
            address(one, "merge", one.pk),
            {"other": two.pk, "survivor": one.pk, "field_name": "loser", "field_phone": "loser"},
            follow=True,
        )
        assert "The two are one contact now" in said(answer)
        assert answer.redirect_chain[-1][0] == page_of(one)
        row = stored(one)
        assert (row["name"], row["phone"], row["email"]) == ("Annie Moss", "+4930123456", one.email)
        assert stored(two)["canonical_id"] == one.pk

    def test_says_how_much_a_merge_moves(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        SignalFactory.create_batch(3, org=home.org, contact=two)
        text = as_role(Role.MANAGER).get(address(one, "merge", one.pk), {"other": two.pk}).content.decode()
        assert "Signals: 3" in text

    @pytest.mark.parametrize("other", ["itself", "abroad", "nonsense", "tombstone"])
    def test_who_cannot_be_chosen_is_refused(self, home: House, abroad: House, as_role: AsRole, other: str) -> None:
        one, two = two_contacts(home.org)
        third = ContactFactory(org=home.org)
        merged(home, one, third)
        keys = {
            "itself": one.pk,
            "abroad": ContactFactory(org=abroad.org).pk,
            "nonsense": "x",
            "tombstone": third.pk,
        }
        browser = as_role(Role.MANAGER)
        with nothing_changes():
            for send in (browser.get, browser.post):
                answer = send(address(two, "merge", two.pk if other == "tombstone" else one.pk), {"other": keys[other]})
                assert answer.status_code == 400
        assert "cannot be chosen" in answer.content.decode()

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_needs_a_manager(self, home: House, as_role: AsRole, role: Role) -> None:
        one, two = two_contacts(home.org)
        browser = as_role(role)
        assert "Merge with…" not in browser.get(page_of(one)).content.decode()
        with nothing_changes():
            answer = browser.post(address(one, "merge", one.pk), {"other": two.pk}, follow=True)
        assert "Merging needs a manager" in said(answer)

    def test_a_strangers_row_does_not_exist(self, home: House, abroad: House, as_role: AsRole) -> None:
        theirs = ContactFactory(org=abroad.org)
        mine = ContactFactory(org=home.org)
        with nothing_changes():
            answer = as_role(Role.ADMIN).post(address(theirs, "merge", theirs.pk), {"other": mine.pk})
        assert answer.status_code == 404

    def test_clients_are_merged_too(self, home: House, as_role: AsRole) -> None:
        one, two = ClientFactory.create_batch(2, org=home.org)
        ContactFactory(org=home.org, client=two)
        browser = as_role(Role.MANAGER)
        assert "Contacts: 1" in browser.get(address(one, "merge", one.pk), {"other": two.pk}).content.decode()
        browser.post(address(one, "merge", one.pk), {"other": two.pk, "survivor": one.pk})
        assert stored(two)["canonical_id"] == one.pk


class TestTombstones:
    def test_lead_to_the_survivor_and_are_in_no_list(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        merged(home, one, two)
        browser = as_role(Role.VIEWER)
        answer = browser.get(page_of(two), follow=True)
        assert answer.redirect_chain[-1][0] == page_of(one)
        assert "Annie Moss was merged into this contact." in said(answer)
        listed = browser.get(address(Contact, "changelist")).context["cl"].result_list
        assert [row.pk for row in listed] == [one.pk]
        found = browser.get(address(Contact, "changelist"), {"q": "Annie"}).context["cl"].result_list
        assert [row.pk for row in found] == []

    def test_are_not_changed(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        merged(home, one, two)
        with nothing_changes():
            as_role(Role.MANAGER).post(
                page_of(two), {"name": "Other", "email": two.email, "preferences": "{}", "social_links": "{}"}
            )

    def test_clients_lead_to_theirs(self, home: House, as_role: AsRole) -> None:
        one, two = ClientFactory.create_batch(2, org=home.org)
        merge_clients(org=home.org, survivor_id=one.pk, loser_id=two.pk, actor=SYSTEM, at=AT)
        answer = as_role(Role.VIEWER).get(page_of(two))
        assert (answer.status_code, answer["Location"]) == (302, page_of(one))
        listed = as_role(Role.VIEWER).get(address(Client, "changelist")).context["cl"].result_list
        assert [row.pk for row in listed] == [one.pk]


class TestMerges:
    def test_show_both_sides_and_what_moved(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        SignalFactory.create_batch(2, org=home.org, contact=two)
        record = merged(home, one, two, reason="Same person")
        browser = as_role(Role.VIEWER)
        (row,) = browser.get(address(MergeRecord, "changelist")).context["cl"].result_list
        assert row.pk == record.pk
        page = browser.get(page_of(record))
        text = page.content.decode()
        for shown in ("Annie Moss", "Signals: 2", "Same person", "+4930123456"):
            assert shown in text
        assert {each.label: each.result for each in page.context["states"]}["client"] == "Northwind"
        assert buttons_on(page) == set()

    def test_undo_restores_and_reports_what_was_changed_since(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        signal = SignalFactory(org=home.org, contact=two)
        record = merged(home, one, two)
        update_contact(org=home.org, contact_id=one.pk, fields={"title": "Head of buying"}, actor=SYSTEM, at=AT)
        browser = as_role(Role.MANAGER)
        assert buttons_on(browser.get(page_of(record))) == {"undo"}
        answer = press(browser, record, "undo")

        assert "The merge is undone: 1 row went back. 1 change made since stays" in said(answer)
        assert stored(two)["canonical_id"] is None
        assert stored(signal)["contact_id"] == two.pk
        assert (stored(one)["title"], stored(one)["phone"]) == ("Head of buying", "")
        text = answer.content.decode()
        assert "Changed since the merge (1)" in text
        assert "Now “Head of buying”" in text
        assert buttons_on(answer) == set()

    def test_a_refused_undo_says_why_and_changes_nothing(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        first = merged(home, one, two)
        merged(home, one, ContactFactory(org=home.org))
        with nothing_changes():
            answer = press(as_role(Role.MANAGER), first, "undo")
        assert "Undo merge" in said(answer)

    def test_undoing_needs_a_manager_and_a_post(self, home: House, as_role: AsRole) -> None:
        record = merged(home, *two_contacts(home.org))
        link = address(record, "transition", record.pk, "undo")
        with nothing_changes():
            press(as_role(Role.REP), record, "undo")
            assert as_role(Role.MANAGER).get(link).status_code == 405

    def test_a_stranger_sees_none_of_it(self, home: House, abroad: House, as_role: AsRole) -> None:
        record = merged(abroad, *two_contacts(abroad.org))
        browser = as_role(Role.ADMIN)
        with nothing_changes():
            assert browser.post(address(record, "transition", record.pk, "undo")).status_code == 404
        assert browser.get(page_of(record)).status_code in {302, 404}
        assert len(browser.get(address(MergeRecord, "changelist")).context["cl"].result_list) == 0

    def test_the_list_asks_the_same_for_few_and_many(self, home: House, as_role: AsRole) -> None:
        browser = as_role(Role.VIEWER)
        asked: list[int] = []
        browser.get(address(MergeRecord, "changelist"))
        for more in (2, 12):
            for _ in range(more):
                merged(home, *two_contacts(home.org))
            with CaptureQueriesContext(connection) as captured:
                browser.get(address(MergeRecord, "changelist"))
            asked.append(len(captured))
        assert asked[0] == asked[1]
