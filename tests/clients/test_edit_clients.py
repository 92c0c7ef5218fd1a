"""Clients are entered, changed, retired and deleted, and their identity keys follow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, IntegrityError, transaction

from flowledger.clients.models import Client, Contact, IdentityKey, KeyStatus, SizeBand
from flowledger.clients.services import (
    create_client,
    create_contact,
    create_onboarding_task,
    delete_client,
    update_client,
)
from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.factories import ClientFactory, ContactFactory
from workstream.models import Candidate

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def keys_of(org: Organization) -> dict[str, int | None]:
    """Company keys and the clients that they name."""
    with org_scope(org):
        return dict(IdentityKey.objects.for_org(org).values_list("key_value", "client_id"))


def enter(org: Organization, actor: Actor, **fields: Any) -> Client:
    return create_client(org=org, fields=fields, actor=actor, at=AT)


class TestCreateClient:
    def test_stores_normal_forms_and_keys(self, org: Organization, rep: Actor) -> None:
        client = enter(
            org,
            rep,
            name="  Müller & Söhne GmbH ",
            domain="https://www.Mueller.de/kontakt",
            country="de",
            size_band=SizeBand.of(60),
            annual_revenue=Decimal("1200000.50"),
            attributes={"tier": 1},
        )
        with org_scope(org):
            stored = Client.objects.for_org(org).get()
        assert stored == client
        assert (stored.name, stored.domain, stored.country) == ("Müller & Söhne GmbH", "mueller.de", "DE")
        assert (stored.size_band, stored.annual_revenue) == ("51-200", Decimal("1200000.50"))
        assert keys_of(org) == {"mueller.de": client.pk, "muller sohne": client.pk}

    def test_names_may_repeat_and_the_first_keeps_the_name_key(self, org: Organization, rep: Actor) -> None:
        first = enter(org, rep, name="Acme Inc.", domain="acme.com")
        second = enter(org, rep, name="ACME", domain="acme.de")
        assert keys_of(org) == {"acme.com": first.pk, "acme.de": second.pk, "acme": first.pk}

    def test_a_free_mail_domain_is_kept_and_is_no_key(self, org: Organization, rep: Actor) -> None:
        client = enter(org, rep, name="Corner Shop", domain="gmail.com")
        assert client.domain == "gmail.com"
        assert keys_of(org) == {"corner shop": client.pk}

    def test_refuses_the_domain_of_another(self, org: Organization, rep: Actor) -> None:
        first = enter(org, rep, name="Acme", domain="acme.com")
        with pytest.raises(Conflict) as refusal:
            enter(org, rep, name="Copy", domain="shop.acme.com")
        assert refusal.value.details == {"client_id": first.pk, "key_type": "company_domain", "key_value": "acme.com"}
        assert keys_of(org) == {"acme.com": first.pk, "acme": first.pk}
        with org_scope(org):
            assert Client.objects.for_org(org).count() == 1
            assert IdentityKey.objects.for_org(org).get(key_value="acme.com").occurrences == 1

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"name": "  "}, "name"),
            ({}, "name"),
            ({"name": "Acme", "domain": "not a domain"}, "domain"),
            ({"name": "Acme", "country": "Germany"}, "country"),
            ({"name": "Acme", "size_band": "huge"}, "size_band"),
            ({"name": "Acme", "annual_revenue": Decimal("-1")}, "annual_revenue"),
            ({"name": "Acme", "attributes": ["a list"]}, "attributes"),
        ],
    )
    def test_refuses_wrong_input(self, org: Organization, rep: Actor, fields: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            enter(org, rep, **fields)
        assert list(refusal.value.details["fields"]) == [field]
        with org_scope(org):
            assert Client.objects.for_org(org).count() == 0
        assert keys_of(org) == {}

    def test_refuses_a_viewer(self, org: Organization, actor_of: Callable[[Role], Actor]) -> None:
        with pytest.raises(PermissionRefused):
            enter(org, actor_of(Role.VIEWER), name="Acme")
        assert keys_of(org) == {}


class TestUpdateClient:
    def test_keys_follow_domain_and_name(self, org: Organization, rep: Actor) -> None:
        client = enter(org, rep, name="Acme", domain="acme.com")
        changed = update_client(
            org=org, client_id=client.pk, fields={"name": "Apex", "domain": "apex.com"}, actor=rep, at=AT
        )
        assert (changed.name, changed.domain, changed.row_version) == ("Apex", "apex.com", 2)
        assert keys_of(org) == {"apex.com": client.pk, "apex": client.pk}

    def test_only_what_is_named_changes(self, org: Organization, rep: Actor) -> None:
        client = enter(org, rep, name="Acme", domain="acme.com", country="DE")
        update_client(org=org, client_id=client.pk, fields={"is_active": False}, actor=rep, at=AT)
        with org_scope(org):
            client.refresh_from_db()
        assert (client.name, client.domain, client.country, client.is_active) == ("Acme", "acme.com", "DE", False)
        assert keys_of(org) == {"acme.com": client.pk, "acme": client.pk}

    def test_a_name_key_of_another_client_stays(self, org: Organization, rep: Actor) -> None:
        first = enter(org, rep, name="Acme")
        second = enter(org, rep, name="Apex")
        update_client(org=org, client_id=second.pk, fields={"name": "ACME Ltd"}, actor=rep, at=AT)
        update_client(org=org, client_id=second.pk, fields={"name": "Zenith"}, actor=rep, at=AT)
        assert keys_of(org) == {"acme": first.pk, "zenith": second.pk}

    def test_refuses_the_domain_of_another_and_changes_nothing(self, org: Organization, rep: Actor) -> None:
        first = enter(org, rep, name="Acme", domain="acme.com")
        second = enter(org, rep, name="Apex", domain="apex.com")
        with pytest.raises(Conflict):
            update_client(org=org, client_id=second.pk, fields={"name": "X", "domain": "acme.com"}, actor=rep, at=AT)
        with org_scope(org):
            stored = Client.objects.for_org(org).get(pk=second.pk)
        assert (stored.name, stored.domain, stored.row_version) == ("Apex", "apex.com", 1)
        assert keys_of(org) == {"acme.com": first.pk, "acme": first.pk, "apex.com": second.pk, "apex": second.pk}

    def test_a_strangers_client_does_not_exist(self, org: Organization, other_org: Organization, rep: Actor) -> None:
        theirs = ClientFactory(org=other_org, name="Theirs")
        with pytest.raises(NotFound):
            update_client(org=org, client_id=theirs.pk, fields={"name": "Mine"}, actor=rep, at=AT)
        with org_scope(other_org):
            assert Client.objects.for_org(other_org).get().name == "Theirs"


class TestDeleteClient:
    def test_takes_contacts_tasks_and_keys_along(self, org: Organization, rep: Actor, manager: Actor) -> None:
        client = enter(org, rep, name="Acme", domain="acme.com")
        create_contact(org=org, fields={"email": "ann@acme.com", "client": client}, actor=rep, at=AT)
        create_onboarding_task(org=org, client_id=client.pk, fields={"title": "Kick-off"}, actor=rep, at=AT)
        kept = enter(org, rep, name="Apex")
        delete_client(org=org, client_id=client.pk, actor=manager, at=AT)
        with org_scope(org):
            assert [one.pk for one in Client.objects.for_org(org)] == [kept.pk]
            assert Contact.objects.for_org(org).count() == 0
        assert keys_of(org) == {"apex": kept.pk}

    def test_is_refused_while_pipeline_items_name_it_or_its_contacts(self, org: Organization, manager: Actor) -> None:
        client = ClientFactory(org=org)
        contact = ContactFactory(org=org, client=client)
        with system_scope("tests"):
            for _ in range(2):
                Candidate.all_orgs.create(org=org, title="Deal", client=client, last_touch_at=AT, state_entered_at=AT)
            Candidate.all_orgs.create(org=org, title="Talk", contact=contact, last_touch_at=AT, state_entered_at=AT)
        with pytest.raises(Conflict) as refusal:
            delete_client(org=org, client_id=client.pk, actor=manager, at=AT)
        assert refusal.value.details == {"used_by": {"candidates": 3}}
        assert "3 candidates" in refusal.value.message
        with org_scope(org):
            assert Client.objects.for_org(org).count() == 1
            assert Contact.objects.for_org(org).count() == 1

    def test_needs_a_manager(self, org: Organization, rep: Actor) -> None:
        client = enter(org, rep, name="Acme")
        with pytest.raises(PermissionRefused):
            delete_client(org=org, client_id=client.pk, actor=rep, at=AT)
        assert keys_of(org) == {"acme": client.pk}


class TestDatabase:
    @pytest.mark.parametrize(
        ("fields", "constraint"),
        [
            ({"name": ""}, "client_has_name"),
            ({"domain": "Acme.com"}, "client_domain_shape"),
            ({"domain": "acme"}, "client_domain_shape"),
            ({"country": "de"}, "client_country"),
            ({"size_band": "huge"}, "client_size_band"),
            ({"annual_revenue": Decimal(-1)}, "client_revenue"),
            ({"attributes": []}, "client_attributes_object"),
            ({"attributes": None}, "attributes"),
        ],
    )
    def test_refuses_what_no_use_case_writes(self, org: Organization, fields: dict[str, Any], constraint: str) -> None:
        with pytest.raises((IntegrityError, DataError), match=constraint), transaction.atomic():
            ClientFactory(org=org, **fields)

    def test_refuses_a_contact_of_another_organisations_client(
        self, org: Organization, other_org: Organization
    ) -> None:
        theirs = ClientFactory(org=other_org)
        with pytest.raises(IntegrityError, match="contact_client_same_org"), transaction.atomic():
            ContactFactory(org=org, client_id=theirs.pk)

    def test_refuses_a_person_key_that_names_a_client(self, org: Organization) -> None:
        client = ClientFactory(org=org)
        with pytest.raises(IntegrityError, match="identity_key_of_person"), system_scope("tests"):
            IdentityKey.all_orgs.create(
                org=org,
                key_type="email",
                key_value="a@b.de",
                client=client,
                status=KeyStatus.MANUAL,
                first_seen=AT,
                last_seen=AT,
            )


@pytest.mark.parametrize(
    ("employees", "band"),
    [(0, "1-10"), (10, "1-10"), (11, "11-50"), (1000, "201-1000"), (5000, "1001-5000"), (5001, "5001+")],
)
def test_size_band_of_a_head_count(employees: int, band: str) -> None:
    assert SizeBand.of(employees) == band
