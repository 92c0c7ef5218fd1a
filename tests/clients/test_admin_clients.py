"""Clients and contacts in the back office: forms in any spelling, rows below the client, refusals that say why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client as Browser

from flowledger.clients.models import Client, Contact, IdentityKey, OnboardingTask
from flowledger.clients.services import create_client, create_contact, create_onboarding_task
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.scope import org_scope, system_scope
from tests.backoffice.houses import House
from tests.workstream.back_office import address, press, said, save, stored
from workstream.models import Candidate

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SYSTEM = Actor.system("tests")
AsRole = Callable[[Role], Browser]


@pytest.fixture
def acme(home: House) -> Client:
    return create_client(org=home.org, fields={"name": "Acme", "domain": "acme.com"}, actor=SYSTEM, at=AT)


def page_of(row: Any) -> str:
    return address(row, "change", row.pk)


def keys_of(house: House) -> set[str]:
    with org_scope(house.org):
        return set(IdentityKey.objects.for_org(house.org).values_list("key_value", flat=True))


class TestClients:
    def test_a_new_one_takes_a_domain_in_any_spelling(self, home: House, as_role: AsRole) -> None:
        save(
            as_role(Role.REP),
            address(Client, "add"),
            "client_form",
            name="Acme",
            domain="https://www.Acme.com/x",
            country="de",
        )
        with org_scope(home.org):
            client = Client.objects.for_org(home.org).get()
        assert (client.name, client.domain, client.country, client.is_active) == ("Acme", "acme.com", "DE", True)
        assert keys_of(home) == {"acme.com", "acme"}

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"domain": "no domain"}, "This is no domain"),
            ({"domain": "apex.com"}, "already belongs to client"),
            ({"name": " "}, "This field is required"),
            ({"attributes": "[1]"}, "JSON object"),
        ],
    )
    def test_a_refusal_shows_on_the_form_and_changes_nothing(
        self,
        home: House,
        acme: Client,
        as_role: AsRole,
        changes: dict[str, str],
        sentence: str,
    ) -> None:
        create_client(org=home.org, fields={"name": "Apex", "domain": "apex.com"}, actor=SYSTEM, at=AT)
        before, keys = stored(acme), keys_of(home)
        response = save(as_role(Role.REP), page_of(acme), "client_form", **changes)
        assert sentence in response.content.decode()
        assert stored(acme) == before
        assert keys_of(home) == keys

    def test_an_untouched_form_changes_nothing(self, acme: Client, as_role: AsRole) -> None:
        before = stored(acme)
        save(as_role(Role.REP), page_of(acme), "client_form")
        assert stored(acme) == before

    def test_people_and_tasks_are_added_below(self, home: House, acme: Client, as_role: AsRole) -> None:
        save(
            as_role(Role.REP),
            page_of(acme),
            "client_form",
            **{
                "contacts-TOTAL_FORMS": "1",
                "contacts-0-name": "Ann",
                "contacts-0-email": "Ann@Acme.com",
                "contacts-0-phone": "+49 (30) 123-456",
                "onboarding_tasks-TOTAL_FORMS": "1",
                "onboarding_tasks-0-title": "Kick-off",
                "onboarding_tasks-0-assignee": str(home.people[Role.MANAGER].pk),
            },
        )
        with org_scope(home.org):
            contact = Contact.objects.for_org(home.org).get()
            task = OnboardingTask.objects.for_org(home.org).get()
        assert (contact.client_id, contact.email, contact.phone) == (acme.pk, "ann@acme.com", "+4930123456")
        assert (task.client_id, task.title, task.assignee_id) == (acme.pk, "Kick-off", home.people[Role.MANAGER].pk)
        assert keys_of(home) >= {"ann@acme.com", "+4930123456"}

    def test_the_search_is_by_words(self, home: House, acme: Client, as_role: AsRole) -> None:
        create_client(org=home.org, fields={"name": "Apex"}, actor=SYSTEM, at=AT)
        response = as_role(Role.VIEWER).get(address(Client, "changelist"), {"q": "acme.co"})
        assert [row.pk for row in response.context["cl"].result_list] == [acme.pk]

    def test_one_with_pipeline_items_is_not_deleted(
        self,
        home: House,
        acme: Client,
        as_role: AsRole,
    ) -> None:
        with system_scope("tests"):
            Candidate.all_orgs.create(org=home.org, title="Deal", client=acme, last_touch_at=AT, state_entered_at=AT)
        as_role(Role.MANAGER).post(address(acme, "delete", acme.pk), {"post": "yes"}, follow=True)
        assert stored(acme)["name"] == "Acme"

    def test_a_manager_deletes_with_contacts(self, home: House, acme: Client, as_role: AsRole) -> None:
        create_contact(org=home.org, fields={"email": "ann@acme.com", "client": acme}, actor=SYSTEM, at=AT)
        as_role(Role.REP).post(address(acme, "delete", acme.pk), {"post": "yes"})
        assert stored(acme)["name"] == "Acme"
        response = as_role(Role.MANAGER).post(address(acme, "delete", acme.pk), {"post": "yes"}, follow=True)
        assert "deleted" in said(response)
        with org_scope(home.org):
            assert Client.objects.for_org(home.org).count() == 0
            assert Contact.objects.for_org(home.org).count() == 0
        assert keys_of(home) == set()


class TestContacts:
    def test_spellings_and_refusals(self, home: House, acme: Client, as_role: AsRole) -> None:
        browser = as_role(Role.REP)
        save(browser, address(Contact, "add"), "contact_form", name="Ann", email="Ann@Acme.com", client=str(acme.pk))
        with org_scope(home.org):
            contact = Contact.objects.for_org(home.org).get()
        assert (contact.email, contact.client_id) == ("ann@acme.com", acme.pk)
        save(browser, page_of(contact), "contact_form", phone="+49 30 123456")
        assert stored(contact)["phone"] == "+4930123456"
        before = stored(contact)
        for wrong in ({"email": "ann"}, {"phone": "ring me"}, {"name": "", "email": "", "phone": ""}):
            save(browser, page_of(contact), "contact_form", **wrong)
            assert stored(contact) == before


class TestOnboarding:
    def test_buttons_complete_drop_and_reopen(self, home: House, acme: Client, as_role: AsRole) -> None:
        task = create_onboarding_task(
            org=home.org, client_id=acme.pk, fields={"title": "Kick-off"}, actor=SYSTEM, at=AT
        )
        browser = as_role(Role.REP)
        for button, status in (("complete", "done"), ("reopen", "open"), ("cancel", "cancelled")):
            press(browser, task, button)
            assert stored(task)["status"] == status

    def test_a_task_is_edited(self, home: House, acme: Client, as_role: AsRole) -> None:
        task = create_onboarding_task(
            org=home.org, client_id=acme.pk, fields={"title": "Kick-off"}, actor=SYSTEM, at=AT
        )
        save(as_role(Role.REP), page_of(task), "onboardingtask_form", title="Call")
        assert stored(task)["title"] == "Call"
