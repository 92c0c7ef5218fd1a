"""Contacts are entered, changed, retired and deleted, and their identity keys follow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from flowledger.clients.models import Contact, IdentityKey
from flowledger.clients.services import create_contact, delete_contact, update_contact
from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.factories import ClientFactory, ContactFactory
from workstream.models import Candidate

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def keys_of(org: Organization) -> dict[str, int | None]:
    with org_scope(org):
        return dict(IdentityKey.objects.for_org(org).values_list("key_value", "contact_id"))


def enter(org: Organization, actor: Actor, **fields: Any) -> Contact:
    return create_contact(org=org, fields=fields, actor=actor, at=AT)


class TestCreateContact:
    def test_stores_normal_forms_and_keys(self, org: Organization, rep: Actor) -> None:
        contact = enter(org, rep, name=" Ann ", email="A.nn+crm@Gmail.com", phone="030 123456")
        assert (contact.name, contact.email, contact.phone) == ("Ann", "a.nn+crm@gmail.com", "+4930123456")
        assert contact.client_id is None
        assert keys_of(org) == {"ann@gmail.com": contact.pk, "+4930123456": contact.pk}

    def test_a_phone_may_be_shared_and_its_key_stays_with_the_first(self, org: Organization, rep: Actor) -> None:
        ann = enter(org, rep, name="Ann", phone="030 123456")
        bob = enter(org, rep, name="Bob", phone="+49 30 123456")
        assert bob.phone == ann.phone
        assert keys_of(org) == {"+4930123456": ann.pk}

    def test_refuses_the_address_of_another_in_any_spelling(self, org: Organization, rep: Actor) -> None:
        ann = enter(org, rep, name="Ann", email="ann@gmail.com")
        with pytest.raises(Conflict) as refusal:
            enter(org, rep, name="Anna", email="a.n.n@googlemail.com")
        assert refusal.value.details["contact_id"] == ann.pk
        with org_scope(org):
            assert Contact.objects.for_org(org).count() == 1

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({}, "name"),
            ({"name": " ", "email": ""}, "name"),
            ({"name": "Ann", "email": "ann"}, "email"),
            ({"name": "Ann", "phone": "ring me"}, "phone"),
            ({"name": "Ann", "preferences": "none"}, "preferences"),
            ({"name": "Ann", "social_links": None}, "social_links"),
        ],
    )
    def test_refuses_wrong_input(self, org: Organization, rep: Actor, fields: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            enter(org, rep, **fields)
        assert list(refusal.value.details["fields"]) == [field]
        with org_scope(org):
            assert Contact.objects.for_org(org).count() == 0


class TestUpdateContact:
    def test_keys_follow_address_and_phone(self, org: Organization, rep: Actor) -> None:
        contact = enter(org, rep, name="Ann", email="ann@acme.com", phone="030 123456")
        update_contact(org=org, contact_id=contact.pk, fields={"email": "ann@apex.com", "phone": ""}, actor=rep, at=AT)
        assert keys_of(org) == {"ann@apex.com": contact.pk}

    def test_another_spelling_keeps_the_key(self, org: Organization, rep: Actor) -> None:
        contact = enter(org, rep, email="ann@gmail.com")
        changed = update_contact(org=org, contact_id=contact.pk, fields={"email": "a.nn@gmail.com"}, actor=rep, at=AT)
        assert changed.email == "a.nn@gmail.com"
        assert keys_of(org) == {"ann@gmail.com": contact.pk}

    def test_refuses_the_address_of_another_and_changes_nothing(self, org: Organization, rep: Actor) -> None:
        ann = enter(org, rep, name="Ann", email="ann@acme.com")
        bob = enter(org, rep, name="Bob", email="bob@acme.com")
        with pytest.raises(Conflict):
            update_contact(org=org, contact_id=bob.pk, fields={"name": "X", "email": "ann@acme.com"}, actor=rep, at=AT)
        with org_scope(org):
            stored = Contact.objects.for_org(org).get(pk=bob.pk)
        assert (stored.name, stored.email, stored.row_version) == ("Bob", "bob@acme.com", 1)
        assert keys_of(org) == {"ann@acme.com": ann.pk, "bob@acme.com": bob.pk}

    def test_cannot_become_nobody(self, org: Organization, rep: Actor) -> None:
        contact = enter(org, rep, email="ann@acme.com")
        with pytest.raises(InvalidInput):
            update_contact(org=org, contact_id=contact.pk, fields={"email": ""}, actor=rep, at=AT)
        assert keys_of(org) == {"ann@acme.com": contact.pk}

    def test_a_strangers_contact_does_not_exist(self, org: Organization, other_org: Organization, rep: Actor) -> None:
        theirs = ContactFactory(org=other_org, name="Theirs")
        with pytest.raises(NotFound):
            update_contact(org=org, contact_id=theirs.pk, fields={"name": "Mine"}, actor=rep, at=AT)


class TestDeleteContact:
    def test_takes_the_keys_along(self, org: Organization, rep: Actor, manager: Actor) -> None:
        contact = enter(org, rep, email="ann@acme.com")
        delete_contact(org=org, contact_id=contact.pk, actor=manager, at=AT)
        assert keys_of(org) == {}
        assert enter(org, rep, email="ann@acme.com").pk != contact.pk

    def test_is_refused_while_pipeline_items_name_it(self, org: Organization, manager: Actor) -> None:
        contact = ContactFactory(org=org, client=ClientFactory(org=org))
        with system_scope("tests"):
            Candidate.all_orgs.create(org=org, title="Talk", contact=contact, last_touch_at=AT, state_entered_at=AT)
        with pytest.raises(Conflict) as refusal:
            delete_contact(org=org, contact_id=contact.pk, actor=manager, at=AT)
        assert refusal.value.details == {"used_by": {"candidates": 1}}
        with org_scope(org):
            assert Contact.objects.for_org(org).count() == 1

    def test_needs_a_manager(self, org: Organization, rep: Actor) -> None:
        contact = enter(org, rep, email="ann@acme.com")
        with pytest.raises(PermissionRefused):
            delete_contact(org=org, contact_id=contact.pk, actor=rep, at=AT)
        assert keys_of(org) == {"ann@acme.com": contact.pk}


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"name": ""}, "contact_is_somebody"),
        ({"email": "Ann@acme.com"}, "contact_email_shape"),
        ({"email": "ann acme.com"}, "contact_email_shape"),
        ({"phone": "030123456"}, "contact_phone_shape"),
        ({"preferences": []}, "contact_preferences_object"),
    ],
)
def test_the_database_refuses_what_no_use_case_writes(
    org: Organization, fields: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        ContactFactory(org=org, **fields)


def test_the_database_keeps_addresses_unique_but_for_tombstones(org: Organization) -> None:
    survivor = ContactFactory(org=org, email="ann@acme.com")
    ContactFactory(org=org, email="ann@acme.com", canonical=survivor)
    with pytest.raises(IntegrityError, match="contact_email"), transaction.atomic():
        ContactFactory(org=org, email="ann@acme.com")
