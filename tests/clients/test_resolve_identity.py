"""Signals find or make their contact and client, once, however many arrive at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from flowledger.clients.models import Client, Contact, IdentityKey, KeyStatus
from flowledger.clients.services import (
    ResolvedIdentity,
    create_client,
    create_contact,
    delete_contact,
    resolve_identity,
    update_contact,
)
from flowledger.errors import Conflict, FlowLedgerError, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.factories import ClientFactory, ContactFactory

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SYSTEM = Actor.system("tests")


def resolved(org: Organization, *, actor: Actor = SYSTEM, at: datetime = AT, **said: str) -> ResolvedIdentity:
    texts = dict.fromkeys(("email", "phone", "name", "company_name", "company_domain"), "") | said
    with org_scope(org):
        return resolve_identity(org=org, actor=actor, at=at, **texts)


def in_org(org: Organization, question: Callable[[], Any]) -> Any:
    with org_scope(org):
        return question()


def names_of_events(org: Organization) -> list[str]:
    with org_scope(org):
        return list(WorkEvent.objects.for_org(org).order_by("pk").values_list("event_name", flat=True))


class TestUnknownSender:
    def test_becomes_a_contact_of_a_new_client(self, org: Organization) -> None:
        found = resolved(org, email="Ann.Lee@Acme.com", phone="030 123456", name=" Ann  Lee ", company_name="ACME GmbH")
        with org_scope(org):
            contact = Contact.objects.for_org(org).get()
            client = Client.objects.for_org(org).get()
            keys = {
                (key.key_type, key.key_value): (key.contact_id, key.client_id, key.status)
                for key in IdentityKey.objects.for_org(org)
            }
        assert (found.status, found.contact_id, found.client_id) == ("created", contact.pk, client.pk)
        assert (contact.name, contact.email, contact.phone) == ("Ann Lee", "ann.lee@acme.com", "+4930123456")
        assert contact.client_id == client.pk
        assert (client.name, client.domain) == ("ACME GmbH", "acme.com")
        assert keys == {
            ("email", "ann.lee@acme.com"): (contact.pk, None, KeyStatus.AUTO),
            ("phone", "+4930123456"): (contact.pk, None, KeyStatus.AUTO),
            ("company_domain", "acme.com"): (None, client.pk, KeyStatus.AUTO),
            ("company_name", "acme"): (None, client.pk, KeyStatus.AUTO),
            ("company_name", "acme @at ch de li"): (None, client.pk, KeyStatus.AUTO),
        }
        assert names_of_events(org) == ["identity.resolved"]

    def test_of_free_mail_has_no_client(self, org: Organization) -> None:
        found = resolved(org, email="ann@gmail.com")
        assert found.contact_id is not None
        assert found.client_id is None
        assert in_org(org, Client.objects.for_org(org).count) == 0

    def test_without_keys_stays_unresolved(self, org: Organization) -> None:
        found = resolved(org, email="no address", name="Ann")
        assert found.as_dict() == {
            "status": "unresolved",
            "contact_id": None,
            "client_id": None,
            "confidence_score": 0.0,
            "rules": [],
            "conflict_ids": [],
        }
        assert in_org(org, IdentityKey.objects.for_org(org).count) == 0
        assert names_of_events(org) == []

    def test_is_explained(self, org: Organization) -> None:
        found = resolved(org, email="ann@acme.com")
        assert found.as_dict() == {
            "status": "created",
            "contact_id": found.contact_id,
            "client_id": found.client_id,
            "confidence_score": 1.0,
            "rules": [
                {
                    "rule": "new_contact",
                    "key_type": "email",
                    "key_value": "ann@acme.com",
                    "points_at": {"contact_id": found.contact_id, "client_id": None},
                },
                {
                    "rule": "new_client",
                    "key_type": "company_domain",
                    "key_value": "acme.com",
                    "points_at": {"contact_id": None, "client_id": found.client_id},
                },
            ],
            "conflict_ids": [],
        }


class TestKnownSender:
    def test_is_linked_and_counted(self, org: Organization) -> None:
        first = resolved(org, email="ann@acme.com")
        again = resolved(org, email="ANN@acme.com", at=AT + timedelta(days=2))
        assert (again.status, again.contact_id, again.client_id) == ("linked", first.contact_id, first.client_id)
        with org_scope(org):
            key = IdentityKey.objects.for_org(org).get(key_type="email")
            assert (Contact.objects.for_org(org).count(), Client.objects.for_org(org).count()) == (1, 1)
        assert (key.occurrences, key.first_seen, key.last_seen) == (2, AT, AT + timedelta(days=2))

    def test_an_older_signal_moves_only_the_first_sighting(self, org: Organization) -> None:
        resolved(org, email="ann@acme.com")
        resolved(org, email="ann@acme.com", at=AT - timedelta(days=30))
        key = in_org(org, lambda: IdentityKey.objects.for_org(org).get(key_type="email"))
        assert (key.first_seen, key.last_seen) == (AT - timedelta(days=30), AT)

    def test_costs_three_statements(self, org: Organization) -> None:
        resolved(org, email="ann@acme.com", phone="030 123456", name="Ann", company_name="Acme")
        with org_scope(org), CaptureQueriesContext(connection) as queries:
            resolved(org, email="ann@acme.com", phone="030 123456", name="Ann", company_name="Acme")
        assert len(queries) == 3, [query["sql"] for query in queries]

    def test_fills_what_is_blank_and_leaves_the_rest(self, org: Organization) -> None:
        known = ContactFactory(org=org, name="", email="ann@gmail.com")
        in_org(org, lambda: update_contact(org=org, contact_id=known.pk, fields={"title": "CTO"}, actor=SYSTEM, at=AT))
        first = resolved(org, phone="030 123456")
        second = resolved(org, phone="030 123456", email="bob@gmail.com", name="Bob", company_domain="acme.com")
        third = resolved(org, phone="030 123456", email="bob@gmail.com", name="Robert", company_domain="other.com")
        contact = in_org(org, lambda: Contact.objects.for_org(org).get(pk=first.contact_id))
        assert first.contact_id == second.contact_id == third.contact_id
        assert (contact.name, contact.email, contact.client_id) == ("Bob", "bob@gmail.com", second.client_id)
        assert third.client_id == second.client_id

    def test_entered_by_hand_is_found(self, org: Organization, rep: Actor) -> None:
        with org_scope(org):
            client = create_client(
                org=org, fields={"name": "Acme", "domain": "https://www.acme.com/"}, actor=rep, at=AT
            )
            contact = create_contact(
                org=org, fields={"email": "j.doe+crm@gmail.com", "client": client}, actor=rep, at=AT
            )
        found = resolved(org, email="jdoe@gmail.com", company_domain="acme.com")
        assert (found.status, found.contact_id, found.client_id) == ("linked", contact.pk, client.pk)


class TestContradiction:
    def test_follows_the_strongest_key_and_is_recorded(self, org: Organization) -> None:
        ann = resolved(org, email="ann@acme.com")
        bob = resolved(org, email="bob@other.com", phone="030 123456")
        found = resolved(org, email="ann@acme.com", phone="030 123456", company_domain="other.com")
        assert (found.status, found.contact_id, found.client_id) == ("conflict", ann.contact_id, bob.client_id)
        assert found.as_dict()["confidence_score"] == 0.6
        with org_scope(org):
            event = WorkEvent.objects.for_org(org).get(event_name="identity.conflict")
            phone = IdentityKey.objects.for_org(org).get(key_type="phone")
        assert event.payload == {
            "contact_id": ann.contact_id,
            "client_id": bob.client_id,
            "other_contact_ids": [bob.contact_id],
            "other_client_ids": [ann.client_id],
            "rules": ["exact_email", "exact_phone", "exact_company_domain"],
        }
        assert (phone.status, phone.contact_id) == (KeyStatus.CONFLICT, bob.contact_id)

    def test_colleagues_share_a_line(self, org: Organization) -> None:
        ann = resolved(org, email="ann@acme.com", phone="030 123456")
        bob = resolved(org, email="bob@acme.com", phone="030 123456")
        again = resolved(org, email="bob@acme.com", phone="030 123456")
        assert bob.contact_id != ann.contact_id
        assert bob.client_id == ann.client_id
        assert (again.status, again.contact_id) == ("linked", bob.contact_id)


class TestWalls:
    def test_keys_of_another_organisation_are_unknown(self, org: Organization, other_org: Organization) -> None:
        here = resolved(org, email="ann@acme.com")
        there = resolved(other_org, email="ann@acme.com")
        assert there.status == "created"
        assert (there.contact_id, there.client_id) != (here.contact_id, here.client_id)
        assert in_org(org, Contact.objects.for_org(org).count) == 1

    def test_a_viewer_is_refused(self, org: Organization, actor_of: Callable[[Role], Actor]) -> None:
        viewer = actor_of(Role.VIEWER)
        with pytest.raises(PermissionRefused):
            resolved(org, email="ann@acme.com", actor=viewer)
        assert in_org(org, IdentityKey.objects.for_org(org).count) == 0


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work` in as many threads with their own connections, all started at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            barrier.wait(timeout=30)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_a_hundred_signals_of_one_new_company_make_one_client(self, org: Organization) -> None:
        people = 5

        def deliver(number: int) -> ResolvedIdentity:
            person = f"person{number % people}"
            # Keys in another order per thread: sorted locking is what keeps them from deadlocking.
            return resolved(
                org,
                email=f"{person}@acme.com",
                phone=f"030 12345{number % people}",
                company_name=("Acme GmbH", "ACME", "Acme Inc.")[number % 3],
            )

        found = at_once(25, deliver) + at_once(25, deliver) + at_once(25, deliver) + at_once(25, deliver)
        with org_scope(org):
            assert Client.objects.for_org(org).count() == 1
            assert Contact.objects.for_org(org).count() == people
            sightings = dict(IdentityKey.objects.for_org(org).values_list("key_value", "occurrences"))
            events = WorkEvent.objects.for_org(org).filter(event_name="identity.resolved").count()
        assert len({one.client_id for one in found}) == 1
        assert len({one.contact_id for one in found}) == people
        assert sightings["acme.com"] == 100
        assert sum(one.status == "created" for one in found) == people
        assert events == 100

    def test_one_new_person_by_different_keys_is_made_once(self, org: Organization) -> None:
        def deliver(number: int) -> ResolvedIdentity:
            given = [{"email": "ann@gmail.com", "phone": "030 123456"}, {"email": "a.nn+x@gmail.com"}][number % 2]
            return resolved(org, **given)

        found = at_once(20, deliver)
        assert len({one.contact_id for one in found}) == 1
        assert in_org(org, Contact.objects.for_org(org).count) == 1

    def test_a_rolled_back_winner_leaves_the_key_to_the_next(self, org: Organization) -> None:
        holding, release = threading.Event(), threading.Event()

        def lose() -> None:
            try:
                with org_scope(org):
                    resolved(org, email="ann@acme.com")
                    holding.set()
                    release.wait(timeout=30)
                    transaction.set_rollback(True)
            finally:
                connection.close()

        def win() -> ResolvedIdentity:
            try:
                return resolved(org, email="ann@acme.com")
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            loser = pool.submit(lose)
            assert holding.wait(timeout=30)
            winner = pool.submit(win)
            release.set()
            loser.result()
            assert winner.result().status == "created"
        assert in_org(org, Contact.objects.for_org(org).count) == 1

    def test_editing_deleting_and_recognising_together_neither_deadlock_nor_disagree(self, org: Organization) -> None:
        with org_scope(org):
            client = create_client(org=org, fields={"name": "Acme", "domain": "acme.com"}, actor=SYSTEM, at=AT)
            ann = create_contact(
                org=org, fields={"name": "Ann", "email": "ann@acme.com", "client": client}, actor=SYSTEM, at=AT
            )

        def work(number: int) -> str:
            try:
                with org_scope(org):
                    if number % 4 == 0:
                        update_contact(
                            org=org,
                            contact_id=ann.pk,
                            fields={"email": f"ann{number}@acme.com", "phone": "030 123456"},
                            actor=SYSTEM,
                            at=AT,
                        )
                    elif number == 3:
                        delete_contact(org=org, contact_id=ann.pk, actor=SYSTEM, at=AT)
                    else:
                        resolved(org, email="ann@acme.com", phone="030 123456", name="Ann")
            except FlowLedgerError as refusal:
                return refusal.code
            return "done"

        answers = at_once(20, work)
        assert set(answers) <= {"done", "not_found", "conflict"}
        with org_scope(org):
            for contact in Contact.objects.for_org(org).exclude(email=""):
                assert (
                    IdentityKey.objects.for_org(org).get(key_type="email", key_value=contact.email).contact_id
                    == contact.pk
                )

    def test_two_clients_cannot_take_one_domain(self, org: Organization) -> None:
        def enter(number: int) -> str:
            try:
                create_client(org=org, fields={"name": f"Acme {number}", "domain": "acme.com"}, actor=SYSTEM, at=AT)
            except Conflict as refusal:
                return refusal.code
            return "made"

        assert sorted(at_once(20, enter)) == ["conflict"] * 19 + ["made"]
        assert in_org(org, Client.objects.for_org(org).count) == 1


def test_a_key_without_owner_is_taken_by_whoever_is_entered(org: Organization, rep: Actor) -> None:
    ClientFactory(org=org)
    resolved(org, email="ann@acme.com", company_domain="labs.io")
    unowned = resolved(org, email="ann@acme.com", company_domain="acme-labs.io")
    with org_scope(org):
        key = IdentityKey.objects.for_org(org).get(key_value="acme-labs.io")
        assert key.status == KeyStatus.UNRESOLVED
        labs = create_client(org=org, fields={"name": "Labs", "domain": "acme-labs.io"}, actor=rep, at=AT)
        key.refresh_from_db()
    assert unowned.client_id != labs.pk
    assert (key.status, key.client_id) == (KeyStatus.MANUAL, labs.pk)
