"""Two contacts, or two clients, become one: what is taken, what redirects, what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flowledger.clients.models import Client, Contact, IdentityKey, MergeRecord
from flowledger.clients.services import (
    create_client,
    create_contact,
    create_onboarding_task,
    delete_client,
    delete_contact,
    merge_clients,
    merge_contacts,
    preview_merge,
    update_client,
    update_contact,
)
from flowledger.clients.services.survivors import survivor_ids, survivor_of
from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.clients.merge_world import AT, CLERK, LATER, contents, moved_tables
from tests.factories import ClientFactory, ContactFactory
from workstream import services as pipeline

pytestmark = pytest.mark.django_db

FACTORIES: dict[Any, Any] = {Contact: ContactFactory, Client: ClientFactory}


def entered(org: Organization, **fields: Any) -> Contact:
    return create_contact(org=org, fields={"name": "Ann", **fields}, actor=CLERK, at=AT)


def merge(survivor: Any, loser: Any, **more: Any) -> MergeRecord:
    service = merge_contacts if isinstance(survivor, Contact) else merge_clients
    where = {"org": survivor.org, "survivor_id": survivor.pk, "loser_id": loser.pk, "actor": CLERK, "at": LATER}
    record: MergeRecord = service(**{**where, **more})
    return record


def again(row: Any) -> Any:
    with org_scope(row.org_id):
        return type(row).objects.for_org(row.org_id).get(pk=row.pk)


class TestWhatIsTaken:
    def test_blanks_are_filled_and_objects_joined(self, org: Organization) -> None:
        client = ClientFactory(org=org)
        ann = entered(org, email="ann@acme.example", preferences={"language": "de", "tone": "formal"})
        anna = entered(
            org,
            name="Anna",
            email="anna@acme.example",
            phone="+4930123456",
            title="CTO",
            client=client,
            preferences={"language": "en", "hours": "mornings"},
            social_links={"site": "https://anna.example"},
            is_active=False,
        )
        record = merge(ann, anna)
        row = again(ann)
        assert (row.name, row.email, row.phone, row.title, row.client_id, row.is_active) == (
            *("Ann", "ann@acme.example", "+4930123456", "CTO", client.pk),
            True,
        )
        assert row.preferences == {"language": "de", "tone": "formal", "hours": "mornings"}
        assert row.social_links == {"site": "https://anna.example"}
        assert record.choices == {
            **dict.fromkeys(("name", "email", "is_active"), "survivor"),
            **dict.fromkeys(("client", "phone", "title", "social_links"), "loser"),
            "preferences": "both",
        }

    def test_as_chosen_field_by_field(self, org: Organization) -> None:
        ann = entered(org, email="ann@acme.example", title="CEO", preferences={"language": "de"})
        anna = entered(org, name="Anna", email="anna@acme.example", preferences={"hours": "mornings"})
        choices = {"name": "loser", "email": "loser", "title": "loser", "preferences": "survivor"}
        merge(ann, anna, choices=choices)
        row = again(ann)
        assert (row.name, row.email, row.title, row.preferences) == (
            "Anna",
            "anna@acme.example",
            "",
            {"language": "de"},
        )
        tombstone = again(anna)
        assert (tombstone.canonical_id, tombstone.name, tombstone.email) == (ann.pk, "Anna", "anna@acme.example")

    def test_of_clients(self, org: Organization) -> None:
        one = create_client(org=org, fields={"name": "Acme", "domain": "acme.example"}, actor=CLERK, at=AT)
        two = create_client(
            org=org,
            fields={
                "name": "Acme GmbH",
                "domain": "acme.test.example",
                "annual_revenue": Decimal("12.50"),
                "country": "DE",
            },
            actor=CLERK,
            at=AT,
        )
        merge(one, two, choices={"domain": "loser"})
        row = again(one)
        assert (row.name, row.domain, row.annual_revenue, row.country) == ("Acme", two.domain, Decimal("12.50"), "DE")

    def test_the_record_has_both_states(self, org: Organization, manager: Actor) -> None:
        ann, anna = entered(org, email="ann@acme.example"), entered(org, name="Anna", phone="+4930123456")
        record = merge(ann, anna, reason=" The same person ", actor=manager)
        assert (record.entity_type, record.survivor_id, record.loser_id) == ("contact", ann.pk, anna.pk)
        assert (record.reason, record.merged_at, record.merged_by_id) == ("The same person", LATER, manager.user_id)
        assert record.survivor_before["phone"] == ""
        assert record.survivor_after["phone"] == record.loser_before["phone"] == "+4930123456"
        assert record.survivor_before["updated_at"] == ann.updated_at.isoformat()

    def test_signals_find_the_survivor_by_either_key(self, org: Organization) -> None:
        ann, anna = entered(org, email="ann@acme.example"), entered(org, name="Anna", email="anna@acme.example")
        merge(ann, anna)
        for address in ("ann@acme.example", "anna@acme.example"):
            fields = {"source_type": "email", "snippet": "Hello", "contact_email": address}
            signal = pipeline.create_signal(org=org, fields=fields, actor=CLERK, at=LATER).signal
            assert signal.contact_id == ann.pk
        with org_scope(org):
            assert Contact.objects.for_org(org).count() == 2
            assert set(IdentityKey.objects.for_org(org).filter(key_type="email").values_list("contact", flat=True)) == {
                ann.pk
            }


class TestTombstones:
    def test_stand_for_their_survivor_through_chains(self, org: Organization) -> None:
        one, two, three = (ContactFactory(org=org) for _ in range(3))
        merge(two, one)
        merge(three, two)
        with org_scope(org):
            assert survivor_ids(Contact, org=org, ids=[one.pk, two.pk, three.pk]) == {
                one.pk: three.pk,
                two.pk: three.pk,
            }
            rows = Contact.objects.for_org(org).in_bulk()
            assert survivor_of(rows[one.pk]) == survivor_of(rows[three.pk]) == three

    @pytest.mark.parametrize("kind", ["contact", "client"])
    def test_cannot_be_written(self, org: Organization, kind: str) -> None:
        factory = ContactFactory if kind == "contact" else ClientFactory
        survivor, loser = factory(org=org), factory(org=org)
        merge(survivor, loser)
        on: dict[str, Any] = {"org": org, "actor": CLERK, "at": LATER}
        item: dict[str, Any] = {**on, "item_type": kind, "item_id": loser.pk}
        writes = [
            lambda: pipeline.log_activity(**item, kind="note", summary="Spoke"),
            lambda: pipeline.create_task(**item, title="Call"),
            lambda: pipeline.link_item(**item, link_type="url", target_ref="https://example.com"),
        ]
        if kind == "contact":
            writes += [
                lambda: update_contact(**on, contact_id=loser.pk, fields={"title": "CTO"}),
                lambda: update_contact(**on, contact_id=loser.pk, fields={"email": "x@acme.example"}),
                lambda: delete_contact(**on, contact_id=loser.pk),
            ]
        else:
            writes += [
                lambda: update_client(**on, client_id=loser.pk, fields={"industry": "Steel"}),
                lambda: create_onboarding_task(**on, client_id=loser.pk, fields={"title": "Contract"}),
                lambda: delete_client(**on, client_id=loser.pk),
            ]
        before = contents(org)
        for write in writes:
            with pytest.raises(Conflict, match=f"was merged into {kind} {survivor.pk}") as refusal:
                write()
            assert refusal.value.details == {f"{kind}_id": survivor.pk}
        assert moved_tables(before, contents(org)) == set()

    @pytest.mark.parametrize("kind", ["contact", "client"])
    def test_keep_their_survivor_from_being_deleted(self, org: Organization, kind: str) -> None:
        factory = ContactFactory if kind == "contact" else ClientFactory
        survivor, loser = factory(org=org), factory(org=org)
        merge(survivor, loser)
        delete: Any = delete_contact if kind == "contact" else delete_client
        with pytest.raises(Conflict):
            delete(org=org, **{f"{kind}_id": survivor.pk}, actor=CLERK, at=LATER)
        assert again(survivor).pk == survivor.pk


class TestPreview:
    @pytest.mark.parametrize("kind", ["contact", "client"])
    def test_says_what_the_merge_does_and_does_nothing(self, org: Organization, kind: str, manager: Actor) -> None:
        factory = ContactFactory if kind == "contact" else ClientFactory
        survivor, loser = factory(org=org, name="One"), factory(org=org, name="Two")
        for _ in range(3):
            pipeline.log_activity(
                org=org, item_type=kind, item_id=loser.pk, kind="note", summary="Spoke", actor=CLERK, at=AT
            )
        before = contents(org)
        preview = preview_merge(
            org=org, kind=kind, survivor_id=survivor.pk, loser_id=loser.pk, choices={"name": "loser"}, actor=manager
        )
        assert moved_tables(before, contents(org)) == set()
        (name,) = [pair for pair in preview.fields if pair.differs]
        assert (name.name, name.survivor, name.loser, name.choice, name.result) == (
            "name",
            "One",
            "Two",
            "loser",
            "Two",
        )
        record = merge(survivor, loser, choices={"name": "loser"})
        assert {each.label: each.moved for each in preview.moves} == record.moved == {f"workstream.activity.{kind}": 3}
        assert [each.name for each in preview.moves] == ["activities"]


class TestRefusals:
    @pytest.fixture(params=["contact", "client"])
    def two(self, request: Any, org: Organization) -> tuple[Any, Any]:
        factory = ContactFactory if request.param == "contact" else ClientFactory
        return factory(org=org, name="One"), factory(org=org, name="Two")

    def refused(self, survivor: Any, loser: Any, error: type[Exception], match: str, **more: Any) -> Any:
        org = more.get("org", survivor.org)
        before = contents(org)
        with org_scope(org):
            told = WorkEvent.objects.for_org(org).count()
        with pytest.raises(error, match=match) as refusal:
            merge(survivor, loser, **more)
        assert moved_tables(before, contents(org)) == set()
        with org_scope(org):
            assert WorkEvent.objects.for_org(org).count() == told
            assert MergeRecord.objects.for_org(org).filter(undone_at=None, survivor_id=survivor.pk).count() == 0
        return refusal.value

    def test_with_itself(self, two: Any) -> None:
        kind = two[0]._meta.model_name
        self.refused(two[0], two[0], InvalidInput, f"A {kind} cannot be merged with itself; name two different {kind}s")

    def test_with_a_tombstone_on_either_side(self, org: Organization, two: Any) -> None:
        survivor, loser = two
        third = FACTORIES[type(survivor)](org=org, name="Three")
        kind = survivor._meta.model_name
        merge(third, loser)
        sentence = f"The {kind} {loser.pk} was merged into {kind} {third.pk} already; name {third.pk} instead"
        for pair in ((survivor, loser), (loser, survivor)):
            assert self.refused(*pair, Conflict, sentence).details == {f"{kind}_id": third.pk}

    def test_of_what_does_not_exist(self, two: Any) -> None:
        for changed in ({"survivor_id": 10**12}, {"loser_id": 10**12}):
            self.refused(*two, NotFound, f"There is no .* {10**12} in this organisation", **changed)

    def test_of_a_strangers_row(self, two: Any, other_org: Organization) -> None:
        theirs = FACTORIES[type(two[0])](org=other_org, name="Three")
        self.refused(two[0], theirs, NotFound, f"There is no .* {theirs.pk} in this organisation.$")
        self.refused(*two, NotFound, "There is no", org=other_org)

    def test_across_kinds(self, org: Organization, two: Any) -> None:
        survivor, _ = two
        other = Client if isinstance(survivor, Contact) else Contact
        pk = 10**9
        row = FACTORIES[other](pk=pk, org=org, name="Other")
        kind, other_kind = survivor._meta.model_name, row._meta.model_name
        sentence = f"{pk} is a {other_kind}, and a {kind} merges with a {kind} only"
        self.refused(survivor, row, NotFound, sentence)

    @pytest.mark.parametrize(
        ("choices", "field"),
        [
            ({"shoe_size": "loser"}, "fields.shoe_size"),
            ({"name": "theirs"}, "fields.name"),
            ({"name": "both"}, "fields.name"),
            ({"canonical": "loser"}, "fields.canonical"),
        ],
    )
    def test_of_choices_that_there_are_not(self, two: Any, choices: Any, field: str) -> None:
        refusal = self.refused(*two, InvalidInput, "Choose one of|Unknown field", choices=choices)
        assert set(refusal.details["fields"]) == {field}

    def test_of_a_contact_that_would_be_nobody(self, org: Organization) -> None:
        ann = ContactFactory(org=org, name="Ann")
        by_phone = ContactFactory(org=org, name="", phone="+4930123456")
        choices = {"name": "loser", "phone": "survivor"}
        self.refused(ann, by_phone, InvalidInput, "neither name nor email address nor phone", choices=choices)

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_of_a_role_below_manager(self, two: Any, actor_of: Any, role: Role) -> None:
        self.refused(*two, PermissionRefused, "This needs the role manager", actor=actor_of(role))
