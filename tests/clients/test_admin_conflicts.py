"""The review queue in the back office: two side by side, merged or kept apart by those who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from flowledger.clients.models import Contact, IdentityConflict, MergeRecord
from flowledger.clients.services import merge_contacts
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.scope import org_scope
from tests.backoffice.houses import House
from tests.clients.pairs import AT, suggestion, two_contacts
from tests.factories import ClientFactory
from tests.workstream.back_office import address, said, stored
from tests.workstream.trail import nothing_changes

SYSTEM = Actor.system("tests")
AsRole = Callable[[Role], Browser]


def page_of(row: Any) -> str:
    return address(row, "change", row.pk)


def decide(browser: Browser, pair: IdentityConflict, resolution: str, **values: Any) -> Any:
    return browser.post(address(pair, "resolve", pair.pk), {"resolution": resolution, **values}, follow=True)


class TestTheQueue:
    def test_shows_what_is_to_be_decided_and_the_rest_when_asked(self, home: House, as_role: AsRole) -> None:
        pair, decided = suggestion(home.org), suggestion(home.org, status="kept_apart", resolved_at=AT)
        browser = as_role(Role.VIEWER)
        link = address(IdentityConflict, "changelist")

        queue = browser.get(link)
        assert [row.pk for row in queue.context["cl"].result_list] == [pair.pk]
        text = queue.content.decode()
        for shown in ("Ann Moss", "Annie Moss", "84 %", "One given name is a short form of the other."):
            assert shown in text
        assert [row.pk for row in browser.get(link, {"status": "kept_apart"}).context["cl"].result_list] == [decided.pk]
        assert len(browser.get(link, {"status": "all"}).context["cl"].result_list) == 2
        assert len(browser.get(link, {"about": "client"}).context["cl"].result_list) == 0

    def test_the_menu_says_how_many_wait(self, home: House, abroad: House, as_role: AsRole) -> None:
        for _ in range(3):
            suggestion(home.org)
        suggestion(home.org, status="kept_apart", resolved_at=AT)
        suggestion(abroad.org)
        page = as_role(Role.VIEWER).get(address(MergeRecord, "changelist"))
        items = [item for group in page.context["sidebar_navigation"] for item in group["items"]]

        assert {item["title"]: item["badge"] for item in items if "badge" in item} == {"Identity review": 3}

    def test_asks_the_same_for_few_and_many_pairs(self, home: House, as_role: AsRole) -> None:
        browser = as_role(Role.VIEWER)
        link = address(IdentityConflict, "changelist")
        asked: list[int] = []
        browser.get(address(IdentityConflict, "changelist"))
        for more in (2, 20):
            for _ in range(more):
                suggestion(home.org)
            with CaptureQueriesContext(connection) as captured:
                page = browser.get(link)
            asked.append(len(captured))
        assert len(page.context["cl"].result_list) == 22
        assert asked[0] == asked[1]

    def test_a_stranger_sees_none_of_it(self, home: House, abroad: House, as_role: AsRole) -> None:
        pair = suggestion(abroad.org)
        browser = as_role(Role.ADMIN)
        assert browser.get(page_of(pair)).status_code == 302
        with nothing_changes():
            assert decide(browser, pair, "keep_apart").status_code == 404
        assert len(browser.get(address(IdentityConflict, "changelist")).context["cl"].result_list) == 0


class TestSideBySide:
    def test_marks_what_differs_and_says_why_and_what_would_move(self, home: House, as_role: AsRole) -> None:
        pair = suggestion(home.org)
        page = as_role(Role.MANAGER).get(page_of(pair))
        rows = {row.name: row for row in page.context["rows"]}

        assert {name for name, row in rows.items() if row.differs} == {
            "name",
            "title",
            "email",
            "phone",
            "preferences",
        }
        # What is blank on the one that stays is filled from the other.
        picked = {name: [each.value for each in row.options if each.is_chosen] for name, row in rows.items()}
        assert (picked["name"], picked["phone"], picked["title"]) == (["survivor"], ["loser"], ["loser"])
        text = page.content.decode()
        assert "One given name is a short form of the other." in text
        assert "+5.5 points" in text
        assert "Merge into Ann Moss" in text
        assert "Not the same" in text

    def test_the_other_one_may_stay(self, home: House, as_role: AsRole) -> None:
        pair = suggestion(home.org)
        page = as_role(Role.MANAGER).get(page_of(pair), {"survivor": pair.other_contact_id})

        assert page.context["survivor"].pk == pair.other_contact_id
        assert "Merge into Annie Moss" in page.content.decode()

    def test_who_may_not_merge_is_offered_less(self, home: House, as_role: AsRole) -> None:
        pair = suggestion(home.org)
        rep, viewer = (as_role(role).get(page_of(pair)).content.decode() for role in (Role.REP, Role.VIEWER))

        assert "Merge into" not in rep
        assert "Merge into" not in viewer
        assert "Not the same" in rep
        assert "Not the same" not in viewer
        assert 'type="radio"' not in rep

    def test_a_pair_that_became_one_says_so(self, home: House, as_role: AsRole) -> None:
        pair = suggestion(home.org)
        merge_contacts(org=home.org, survivor_id=pair.contact_id, loser_id=pair.other_contact_id, actor=SYSTEM, at=AT)
        text = as_role(Role.MANAGER).get(page_of(pair)).content.decode()

        assert "They are one by now" in text
        assert "Not the same" not in text

    def test_hostile_texts_are_shown_as_texts(self, home: House, as_role: AsRole) -> None:
        one, two = two_contacts(home.org)
        with org_scope(home.org):
            Contact.objects.for_org(home.org).filter(pk=one.pk).update(
                name="<script>alert(1)</script>", preferences={"<b>x</b>": "<i>y</i>"}
            )
        rules = [
            {"rule": "<u>r</u>", "key_type": "<s>t</s>", "key_value": "<em>v</em>", "terms": [{"sentence": "<q>"}]}
        ]
        pair = suggestion(home.org, one, two, explanation={"rules": [*rules, "nonsense", {"points_at": None}]})
        text = as_role(Role.MANAGER).get(page_of(pair)).content.decode()

        for tag in ("<script>alert", "<b>x", "<i>y", "<u>r", "<s>t", "<em>v", "<q>"):
            assert tag not in text


class TestDeciding:
    def test_a_manager_merges_with_the_fields_that_were_chosen(self, home: House, as_role: AsRole) -> None:
        pair = suggestion(home.org)
        answer = decide(
            as_role(Role.MANAGER),
            pair,
            "merge",
            survivor_id=pair.other_contact_id,
            field_name="loser",
            field_preferences="both",
            reason="Same person",
        )

        assert "The two are one contact now" in said(answer)
        assert answer.redirect_chain[-1][0] == address(IdentityConflict, "changelist")
        survivor = stored(pair.other_contact)
        assert (survivor["name"], survivor["email"], survivor["preferences"]) == (
            "Ann Moss",
            pair.other_contact.email,
            {"language": "en"},
        )
        assert stored(pair.contact)["canonical_id"] == pair.other_contact_id
        assert stored(pair)["status"] == "merged"
        with org_scope(home.org):
            record = MergeRecord.objects.for_org(home.org).get()
        assert (record.reason, record.merged_by_id) == ("Same person", home.people[Role.MANAGER].pk)

    def test_a_representative_keeps_them_apart(self, home: House, as_role: AsRole) -> None:
        pair = suggestion(home.org)
        answer = decide(as_role(Role.REP), pair, "keep_apart", reason="Sisters")

        assert "stay apart" in said(answer)
        after = stored(pair)
        assert (after["status"], after["note"]) == ("kept_apart", "Sisters")
        assert stored(pair.contact)["canonical_id"] is None

    @pytest.mark.parametrize(
        ("role", "resolution", "values"),
        [
            (Role.REP, "merge", {"survivor_id": "first"}),
            (Role.VIEWER, "keep_apart", {}),
            (Role.MANAGER, "merge", {}),
            (Role.MANAGER, "merge", {"survivor_id": "9" * 40}),
            (Role.MANAGER, "merge", {"survivor_id": "first", "field_name": "nobody's"}),
            (Role.MANAGER, "merge", {"survivor_id": "first", "field_org": "loser"}),
            (Role.MANAGER, "", {}),
        ],
    )
    def test_what_is_refused_changes_nothing(
        self, home: House, as_role: AsRole, role: Role, resolution: str, values: dict[str, str]
    ) -> None:
        pair = suggestion(home.org)
        sent = {name: str(pair.contact_id) if value == "first" else value for name, value in values.items()}
        with nothing_changes():
            answer = decide(as_role(role), pair, resolution, **sent)
        assert answer.status_code == 200
        assert [message.level_tag for message in answer.context["messages"]] == ["error"]

    def test_only_a_post_decides(self, home: House, as_role: AsRole) -> None:
        pair = suggestion(home.org)
        browser = as_role(Role.MANAGER)
        with nothing_changes():
            assert browser.get(address(pair, "resolve", pair.pk), {"resolution": "keep_apart"}).status_code == 405
            assert browser.post(page_of(pair), {"resolution": "keep_apart"}).status_code == 403

    def test_two_clients_are_merged_too(self, home: House, as_role: AsRole) -> None:
        one, two = (ClientFactory(org=home.org, name=name) for name in ("Northwind", "Northwind Ltd"))
        pair = suggestion(home.org, one, two)
        answer = decide(as_role(Role.MANAGER), pair, "merge", survivor_id=one.pk)

        assert "one client now" in said(answer)
        assert stored(two)["canonical_id"] == one.pk
