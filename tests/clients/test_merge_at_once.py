"""Merges beside each other, beside the arrival of signals, and beside those who still hold the loser."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from flowledger.clients.models import Client, Contact, IdentityKey, MergeRecord
from flowledger.clients.services import (
    create_contact,
    delete_contact,
    merge_clients,
    merge_contacts,
    undo_merge,
    update_contact,
)
from flowledger.errors import Conflict, NotFound
from flowledger.outbox.drain import drain_all
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.clients.merge_world import AT, CLERK, LATER, contents, moved_tables
from tests.factories import ClientFactory, ContactFactory
from tests.workstream.trail import at_once
from workstream import services as pipeline
from workstream.models import Candidate, Signal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]


def person(org: Organization, name: str) -> Contact:
    return create_contact(
        org=org, fields={"name": name, "email": f"{name}@acme.example", "phone": "+49301234500"}, actor=CLERK, at=AT
    )


def merge(survivor: Any, loser: Any) -> Any:
    service = merge_contacts if isinstance(survivor, Contact) else merge_clients
    return service(org=survivor.org, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK, at=LATER)


def received(org: Organization, **fields: Any) -> Signal:
    fields = {"source_type": "email", "snippet": "Our press stops", **fields}
    return pipeline.create_signal(org=org, fields=fields, actor=CLERK, at=LATER).signal


def naming(org: Organization, model: Any, column: str) -> set[int | None]:
    with org_scope(org):
        return set(model.objects.for_org(org).values_list(column, flat=True))


class TestMerges:
    def test_of_the_same_pair_happen_once(self, org: Organization) -> None:
        ann, anna = person(org, "ann"), person(org, "anna")
        found = at_once(*[partial(merge, ann, anna)] * 6)
        records = [each for each in found if isinstance(each, MergeRecord)]
        refused = [each for each in found if isinstance(each, Conflict)]
        assert (len(records), len(refused)) == (1, 5), found
        assert {each.details["contact_id"] for each in refused} == {ann.pk}
        with org_scope(org):
            assert MergeRecord.objects.for_org(org).count() == 1

    @pytest.mark.parametrize("factory", [ContactFactory, ClientFactory])
    def test_crosswise_leave_one_survivor(self, org: Organization, factory: Any) -> None:
        for _ in range(5):
            one, two = factory(org=org), factory(org=org)
            before = contents(org)
            found = at_once(*[partial(merge, one, two), partial(merge, two, one)] * 3)
            (record,) = [each for each in found if isinstance(each, MergeRecord)]
            assert sum(isinstance(each, Conflict) for each in found) == 5, found
            with org_scope(org):
                standing = type(one).objects.for_org(org).filter(pk__in=(one.pk, two.pk), canonical=None)
                assert list(standing.values_list("pk", flat=True)) == [record.survivor_id]
            undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
            assert moved_tables(before, contents(org)) == set()

    def test_in_a_ring_end_with_one(self, org: Organization) -> None:
        """A into B, B into C, C into A, all at once: whoever comes later is told whom the tombstone stands for."""
        ring = [person(org, name) for name in ("ann", "bea", "cleo", "dora")]
        with org_scope(org):
            for each in ring:
                Signal.objects.for_org(org).create(org=org, source_type="note", ts=AT, contact=each)
        found = at_once(*[lambda a=a, b=b: merge(a, b) for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)])
        assert {type(each) for each in found} <= {MergeRecord, Conflict}, found
        with org_scope(org):
            rows = Contact.objects.for_org(org).in_bulk()
            tombstones = {row.pk: row.canonical_id for row in rows.values() if row.canonical_id is not None}
        # Nobody is a tombstone of a tombstone, and nothing names one.
        assert not set(tombstones.values()) & set(tombstones)
        assert not naming(org, Signal, "contact_id") & set(tombstones)
        assert not naming(org, IdentityKey, "contact_id") & set(tombstones)

    def test_and_their_undos(self, org: Organization) -> None:
        ann, anna = person(org, "ann"), person(org, "anna")
        before = contents(org)
        record = merge(ann, anna)
        found = at_once(*[lambda: undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)] * 4)
        assert sum(isinstance(each, Conflict) for each in found) == 3, found
        assert moved_tables(before, contents(org)) == set()


class TestBesideOthers:
    def test_signals_with_the_same_keys_find_one_of_the_two(self, org: Organization) -> None:
        """Nobody waits for ever, nothing is lost, and afterwards everything names the survivor."""
        ann, anna = person(org, "ann"), person(org, "anna")
        calls = [lambda n=n: received(org, contact_email=f"{('ann', 'anna')[n % 2]}@acme.example") for n in range(12)]
        found = at_once(*calls[:6], partial(merge, ann, anna), *calls[6:])
        assert {type(each) for each in found} == {Signal, MergeRecord}, found
        drain_all()
        assert naming(org, Signal, "contact_id") == {ann.pk}
        # The company's own keys name no contact.
        assert naming(org, IdentityKey, "contact_id") == {ann.pk, None}

    def test_edits_of_both_sides(self, org: Organization) -> None:
        """Edits that move keys and merges take keys and rows in one order."""
        for round_ in range(4):
            ann, anna = person(org, f"ann{round_}"), person(org, f"anna{round_}")

            def edit(who: Contact, number: int) -> Any:
                fields = {"email": f"{who.name}-{number}@acme.example", "phone": f"+4930123456{number}"}
                return update_contact(org=org, contact_id=who.pk, fields=fields, actor=CLERK, at=LATER)

            edits = [lambda who=who, n=n: edit(who, n) for n in range(3) for who in (ann, anna)]
            found = at_once(*edits, partial(merge, ann, anna))
            assert {type(each) for each in found} <= {Contact, MergeRecord, Conflict}, found
            with org_scope(org):
                row = Contact.objects.for_org(org).get(pk=ann.pk)
                key = IdentityKey.objects.for_org(org).get(key_type="email", key_value=row.email)
            assert key.contact_id == ann.pk

    def test_a_delete_of_the_loser(self, org: Organization) -> None:
        for _ in range(5):
            ann, anna = person(org, "ann"), person(org, "anna")
            found = at_once(
                partial(merge, ann, anna), partial(delete_contact, org=org, contact_id=anna.pk, actor=CLERK, at=LATER)
            )
            merged, deleted = found
            with org_scope(org):
                left = Contact.objects.for_org(org).filter(pk=anna.pk).values_list("canonical", flat=True)
                if deleted is None:
                    assert isinstance(merged, NotFound), found
                    assert list(left) == []
                else:
                    assert isinstance(deleted, Conflict), found
                    assert list(left) == [ann.pk]
                    undo_merge(org=org, merge_id=merged.pk, actor=CLERK, at=LATER)
                    delete_contact(org=org, contact_id=anna.pk, actor=CLERK, at=LATER)
                delete_contact(org=org, contact_id=ann.pk, actor=CLERK, at=LATER)

    def test_candidates_made_of_the_losers_signals(self, org: Organization) -> None:
        client, other = ClientFactory(org=org), ClientFactory(org=org)
        with org_scope(org):
            signals = Signal.objects.for_org(org).bulk_create(
                Signal(org=org, source_type="note", ts=AT, snippet=f"Sign {number}", client=other)
                for number in range(8)
            )

        def open_one(signal: Signal) -> Candidate:
            return pipeline.create_candidate(org=org, fields={}, signal_ids=[signal.pk], actor=CLERK, at=LATER)

        calls = [lambda signal=signal: open_one(signal) for signal in signals]
        found = at_once(*calls[:4], partial(merge, client, other), *calls[4:])
        assert {type(each) for each in found} == {Candidate, MergeRecord}, found
        drain_all()
        for model in (Signal, Candidate):
            assert naming(org, model, "client_id") == {client.pk}


class TestStragglers:
    def test_that_were_written_by_then_and_committed_later_are_moved_by_the_handler(self, org: Organization) -> None:
        """Somebody read the loser before the merge and writes a row that names it while the merge is through."""
        client, other = ClientFactory(org=org), ClientFactory(org=org)
        before = contents(org)
        written, may_commit = threading.Event(), threading.Event()

        def straggle() -> int:
            with org_scope(org), transaction.atomic():
                row = Candidate(org=org, title="Late", client=other, state_entered_at=AT, last_touch_at=AT)
                row.save()
                written.set()
                assert may_commit.wait(30)
            return row.pk

        def merge_meanwhile() -> Any:
            assert written.wait(30)
            record = merge(client, other)
            with org_scope(org):
                assert record.moved == {}
            # The handler waits for whoever has written already.
            threading.Timer(0.5, may_commit.set).start()
            drain_all()
            return record

        late, record = at_once(straggle, merge_meanwhile)
        assert naming(org, Candidate, "client_id") == {client.pk}
        undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
        assert naming(org, Candidate, "client_id") == {other.pk}
        with org_scope(org):
            Candidate.objects.for_org(org).filter(pk=late).delete()
        # The tally of candidates only grows, by one and by minus one.
        moved = {table for table in moved_tables(before, contents(org)) if not table.startswith("memory_")}
        assert moved <= {"workstream_itemtally", "workstream_slaclock"}

    def test_a_merge_waits_for_nobody_who_only_refers(self, org: Organization) -> None:
        """A reference under way holds the loser's key, which a merge does not take: they cannot wait for each other."""
        client, other = ClientFactory(org=org), ClientFactory(org=org)
        with org_scope(org), transaction.atomic():
            Signal(org=org, source_type="note", ts=AT, client=other).save()
            (record,) = at_once(partial(merge, client, other))
            assert isinstance(record, MergeRecord)
        drain_all()
        assert naming(org, Signal, "client_id") == {client.pk}
        with org_scope(org), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM clients_client WHERE canonical_id IS NOT NULL")
            assert cursor.fetchone() == (1,)
            assert Client.objects.for_org(org).get(pk=other.pk).canonical_id == client.pk
