"""A foreign key that nobody told the merge about is moved, and moved back, whatever it looks like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Lower
from django.test.utils import CaptureQueriesContext

from flowledger.clients.merge_graph import references_to
from flowledger.clients.models import Client, Contact
from flowledger.clients.services import merge_clients, merge_contacts, move_stragglers, preview_merge, undo_merge
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import Organization, OrgModel
from flowledger.tenancy.scope import org_scope, system_scope
from tests.clients.merge_world import AT, CLERK, LATER, contents, moved_tables
from tests.factories import ClientFactory, ContactFactory, OrganizationFactory
from workstream.models import Signal

pytestmark = pytest.mark.django_db


@pytest.fixture
def crate_model(db: None) -> Iterator[Any]:
    """A tenant model that the application knows nothing about, with its table; gone when the test ends."""

    class Crate(OrgModel):
        __module__ = "tests.clients.models"
        # Needed, nullable, without a way back, twice to one model, in unique constraints of every kind.
        client = OrgForeignKey(Client, models.CASCADE, related_name="+")
        sender = OrgForeignKey(Contact, models.PROTECT, null=True, related_name="+")
        receiver = OrgForeignKey(Contact, models.SET_NULL, null=True, related_name="crates")
        label = models.CharField(max_length=20)
        place = models.IntegerField(null=True)
        is_open = models.BooleanField(default=True)

        class Meta(OrgModel.Meta):
            app_label = "clients"
            constraints = [
                *tenant_constraints(
                    "crate", client="clients.Client", sender="clients.Contact", receiver="clients.Contact"
                ),
                models.UniqueConstraint(fields=["org", "sender", "label"], name="crate_label_of_sender"),
                models.UniqueConstraint("org", "receiver", Lower("label"), name="crate_label_of_receiver"),
                models.UniqueConstraint(
                    fields=["org", "client", "place"],
                    condition=Q(is_open=True),
                    nulls_distinct=False,
                    name="crate_place",
                ),
            ]

    with system_scope("a table for a test"):
        connection.check_constraints()
    with connection.schema_editor() as editor:
        editor.create_model(Crate)
    yield Crate
    del apps.all_models["clients"]["crate"]
    apps.clear_cache()


def crate(model: Any, org: Organization, client: Client, **fields: Any) -> Any:
    with org_scope(org):
        return model.objects.for_org(org).create(org=org, client=client, **{"label": "A", **fields})


def facts(model: Any, org: Organization, *columns: str) -> dict[int, Any]:
    with org_scope(org):
        return {pk: found for pk, *found in model.objects.for_org(org).order_by("pk").values_list("pk", *columns)}


def merged(kind: str, survivor: Any, loser: Any) -> Any:
    merge = merge_contacts if kind == "contact" else merge_clients
    return merge(org=survivor.org, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK, at=LATER)


class TestANewForeignKey:
    def test_is_moved_and_moved_back(self, org: Organization, crate_model: Any) -> None:
        client, other = ClientFactory(org=org), ClientFactory(org=org)
        ann, anna = ContactFactory(org=org), ContactFactory(org=org)
        sent = crate(crate_model, org, client, sender=anna)
        both = crate(crate_model, org, client, sender=anna, receiver=anna, label="B", place=1)
        apart = crate(crate_model, org, other, label="C", place=1)
        before = contents(org)

        record = merged("contact", ann, anna)
        assert facts(crate_model, org, "sender_id", "receiver_id", "row_version") == {
            sent.pk: [ann.pk, None, 2],
            both.pk: [ann.pk, ann.pk, 3],
            apart.pk: [None, None, 1],
        }
        assert record.moved == {"clients.crate.receiver": 1, "clients.crate.sender": 2}
        undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
        assert moved_tables(before, contents(org)) == set()

        record = merged("client", other, client)
        # Two open crates in place 1 would be one too many: the loser's stays with the tombstone.
        assert facts(crate_model, org, "client_id") == {sent.pk: [other.pk], both.pk: [client.pk], apart.pk: [other.pk]}
        assert (record.moved, record.left) == ({"clients.crate.client": 1}, {"clients.crate.client": 1})
        undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
        assert moved_tables(before, contents(org)) == set()

    @pytest.mark.parametrize(
        ("column", "kind", "mine", "twin", "no_twin"),
        [
            ("sender", "contact", {"label": "A"}, {"label": "A"}, {"label": "a"}),
            ("receiver", "contact", {"label": "Abc"}, {"label": "aBC"}, {"label": "abd"}),
            ("client", "client", {"place": None}, {"place": None}, {"place": 0}),
            ("client", "client", {"place": 1}, {"place": 1}, {"place": 1, "is_open": False}),
        ],
        ids=["columns", "expression", "nulls alike", "condition"],
    )
    def test_leaves_the_twins_of_the_survivors_rows(
        self, org: Organization, crate_model: Any, column: str, kind: str, mine: Any, twin: Any, no_twin: Any
    ) -> None:
        survivor, loser = (
            (ContactFactory if kind == "contact" else ClientFactory)(org=org, name=name) for name in ("One", "Two")
        )
        clients = [ClientFactory(org=org) for _ in range(3)]

        def row(number: int, of: Any, fields: Any) -> Any:
            named = {column: of} if kind == "contact" else {}
            return crate(crate_model, org, of if kind == "client" else clients[number], **named, **fields)

        row(0, survivor, mine)
        left, moved = row(1, loser, twin), row(2, loser, no_twin)
        before = contents(org)
        preview = preview_merge(org=org, kind=kind, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK)
        assert [(each.moved, each.left) for each in preview.moves] == [(1, 1)]
        assert moved_tables(before, contents(org)) == set()
        record = merged(kind, survivor, loser)
        named = facts(crate_model, org, f"{column}_id")
        assert (named[left.pk], named[moved.pk]) == ([loser.pk], [survivor.pk])
        # Again nothing is left to do: the twin stays where it is.
        assert move_stragglers(org=org, merge_id=record.pk, actor=CLERK, at=LATER) == 0
        undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
        assert moved_tables(before, contents(org)) == set()

    def test_a_twin_that_came_since_keeps_a_row_with_the_survivor(self, org: Organization, crate_model: Any) -> None:
        client, ann, anna = ClientFactory(org=org), ContactFactory(org=org), ContactFactory(org=org)
        moved = crate(crate_model, org, client, sender=anna, place=1)
        record = merged("contact", ann, anna)
        # Past the use cases: nobody lets a row name a tombstone.
        crate(crate_model, org, client, sender=anna, place=2)
        report = undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
        assert facts(crate_model, org, "sender_id")[moved.pk] == [ann.pk]
        assert [(change.id, change.reason) for change in report.kept] == [
            (moved.pk, "Has a twin there by now; it stays.")
        ]

    def test_of_another_organisation_stays(self, org: Organization, crate_model: Any) -> None:
        other = OrganizationFactory()
        stranger = ContactFactory(org=other)
        theirs = crate(crate_model, other, ClientFactory(org=other), sender=stranger)
        merged("contact", ContactFactory(org=org), ContactFactory(org=org))
        assert facts(crate_model, other, "sender_id", "row_version") == {theirs.pk: [stranger.pk, 1]}

    def test_of_a_model_that_says_so_is_not_moved(self, org: Organization, crate_model: Any) -> None:
        labels = {each.label for each in references_to(Contact)}
        assert {"clients.crate.sender", "clients.crate.receiver"} <= labels
        crate_model.follows_merges = False
        assert {each.label for each in references_to(Contact)} == labels - {
            "clients.crate.sender",
            "clients.crate.receiver",
        }

    def test_of_a_model_without_organisation_is_refused(self) -> None:
        class Box(models.Model):
            __module__ = "tests.clients.models"
            contact = models.ForeignKey(Contact, models.CASCADE, related_name="+")

            class Meta:
                app_label = "clients"

        try:
            with pytest.raises(
                ImproperlyConfigured, match=r"clients.Box refers to clients.Contact and is no tenant model"
            ):
                references_to(Contact)
        finally:
            del apps.all_models["clients"]["box"]
            apps.clear_cache()


class TestHowMuchItCosts:
    @pytest.mark.parametrize("kind", ["contact", "client"])
    def test_the_statements_are_the_same_for_one_row_and_for_thousands(self, org: Organization, kind: str) -> None:
        counts = []
        for size in (1, 3000):
            factory = ContactFactory if kind == "contact" else ClientFactory
            survivor, loser = factory(org=org), factory(org=org)
            with org_scope(org):
                Signal.objects.for_org(org).bulk_create(
                    Signal(org=org, source_type="note", ts=AT, snippet="A sign", **{kind: loser}) for _ in range(size)
                )
            with CaptureQueriesContext(connection) as merging:
                record = merged(kind, survivor, loser)
            assert record.moved == {f"workstream.signal.{kind}": size}
            with CaptureQueriesContext(connection) as undoing:
                report = undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
            assert report.returned == record.moved
            counts.append((len(merging), len(undoing)))
        assert counts[0] == counts[1]
        # Each foreign key is locked and moved twice, its twins are looked for, and a merge writes about itself.
        references = references_to(Contact if kind == "contact" else Client)
        assert counts[0][0] <= 4 * len(references) + 3 * sum(each.is_unique for each in references) + 19


def test_only_pairs_to_be_decided_and_re_scores_do_not_follow_merges() -> None:
    """Every other foreign key to a contact or client is moved; whoever opts out says why in the model."""
    opted_out = {model.__name__ for model in apps.get_models() if not getattr(model, "follows_merges", True)}
    assert opted_out == {"IdentityConflict", "RescoreRun"}
    for target in (Contact, Client):
        names = {
            f"{relation.related_model._meta.label_lower}.{relation.field.name}"
            for relation in target._meta.get_fields(include_hidden=True)
            if isinstance(relation, models.ManyToOneRel) and relation.related_model.__name__ not in opted_out
        }
        assert names == {each.label for each in references_to(target)}
        assert {"clients.identitykey", "workstream.signal"} <= {each.model_label for each in references_to(target)}
