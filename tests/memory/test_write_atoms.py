"""Writing atoms: new ones with links, sources and events; what was said before; what changed; what contradicts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, ActorKind, Origin, Role
from flowledger.tenancy.scope import org_scope
from memory.machines import AtomState
from memory.models import Atom, AtomConflict, AtomVersion, CardMark, MemoryLedger
from memory.services.ledger import held_ledger, ledger_of
from memory.sql.redaction import empty_atoms
from tests.factories import ClientFactory, ContactFactory
from tests.memory.capturing import DAY, atoms_of, draft, links_of_atom, sources_of_atom, written
from tests.queries import counted_queries
from tests.workstream.factories import AT, open_pursuit

pytestmark = pytest.mark.django_db

EMAIL = "Priya prefers email over phone calls"


@pytest.fixture
def client(org):
    return ClientFactory(org=org, name="Baltic Freight")


@pytest.fixture
def pursuit(org):
    return open_pursuit(org)


@pytest.fixture
def blanked(org):
    """Remove the content of an atom for good, as a redaction does."""

    def blank(atom_id):
        with org_scope(org):
            empty_atoms(org_id=org.pk, atom_ids=[atom_id], at=AT)

    return blank


def told(org, name):
    rows = WorkEvent.all_orgs.filter(org=org, event_name=name).order_by("pk")
    return [event.payload for event in rows]


class TestNewAtoms:
    def test_carries_all_that_is_known_of_it(self, org, pursuit):
        rita = Actor(kind=ActorKind.USER, pk=7, role=Role.REP, label="rita", origin=Origin.API, user_id=7)

        found = written(
            org,
            draft(
                "  The budget is 120k ",
                pursuit,
                kind="risk",
                source_id=5,
                slot="body:risk::1",
                span=(10, 28),
                confidence=Decimal("0.80"),
                tags=("amount", "call", "amount"),
                extractor="rules:1",
                actor=rita,
            ),
        )

        (atom,) = atoms_of(org)
        assert found.created == [atom.pk]
        assert (atom.content, atom.kind, atom.base_score, atom.confidence) == (
            "The budget is 120k",
            "risk",
            90,
            Decimal("0.80"),
        )
        assert (atom.tags, atom.thread_key, atom.seen_count) == (["amount", "call"], f"pursuit:{pursuit.pk}", 1)
        assert atom.occurred_at == atom.valid_from == atom.last_seen_at == AT
        assert AT < atom.expires_at <= AT + 365 * DAY
        (source,) = sources_of_atom(atom)
        assert (source.source_type, source.source_id, source.source_field) == ("activity", 5, "body")
        assert (source.span_start, source.span_end, source.extractor) == (10, 28, "rules:1")
        assert (source.actor_kind, source.actor_id, source.actor_label) == ("user", 7, "rita")
        assert (source.event_name, source.event_id) == ("activity.logged", 1)

    def test_is_visible_from_all_that_its_subject_belongs_to(self, org, pursuit):
        written(org, draft("They like it", pursuit))

        (atom,) = atoms_of(org)
        assert links_of_atom(atom) == {
            ("pursuit", pursuit.pk, "subject"),
            ("candidate", pursuit.candidate_id, "through"),
            ("client", pursuit.client_id, "through"),
        }
        marked = {(mark.entity_type, mark.entity_id) for mark in CardMark.all_orgs.filter(org=org)}
        assert marked == {(kind, pk) for kind, pk, _ in links_of_atom(atom)}

    def test_tells_of_each_with_ids_only(self, org, pursuit, client):
        written(org, draft("They like it", pursuit), draft("They are growing", client))

        atoms = atoms_of(org)
        assert told(org, "memory.atom.created") == [
            {"atom_id": atom.pk, "kind": "note", "entity_type": atom.entity_type, "entity_id": atom.entity_id}
            for atom in atoms
        ]

    def test_names_make_a_contact_of_the_client_a_mention(self, org, client):
        priya = ContactFactory(org=org, client=client, name="Priya Nair")
        ContactFactory(org=org, client=ClientFactory(org=org), name="Priya Nair")
        ContactFactory(org=org, client=client, name="Priya Naira")

        written(org, draft("priya  NAIR's word counts", client))

        (atom,) = atoms_of(org)
        assert links_of_atom(atom) == {("client", client.pk, "subject"), ("contact", priya.pk, "mention")}

    def test_leaves_out_what_is_about_nothing_or_says_nothing(self, org, client):
        gone = ClientFactory(org=org)
        lost = draft("Said of nobody", gone)
        with org_scope(org):
            gone.delete()

        found = written(org, lost, draft("   ", client), draft("They are growing", client))

        assert [atom.content for atom in atoms_of(org)] == ["They are growing"]
        assert len(found.created) == 1

    def test_a_thousand_take_as_many_statements_as_two(self, org, client):
        others = [ClientFactory(org=org) for _ in range(20)]
        written(org, draft("The first of all", client))

        with counted_queries() as few:
            written(org, *(draft(f"Fact {number} of it", client) for number in range(2)))
        with counted_queries() as many:
            written(org, *(draft(f"Word {number} of {each.pk}", each) for each in others for number in range(50)))

        assert len(atoms_of(org)) == 1003
        assert len(many) == len(few)


class TestSaidAgain:
    def test_the_same_key_writes_nothing(self, org, client):
        one = draft(EMAIL, client, source_id=5, slot="1")
        first = written(org, one)

        assert written(org, one, one).unchanged == first.created
        assert len(atoms_of(org)) == 1
        assert len(told(org, "memory.atom.created")) == 1
        assert told(org, "memory.atom.confirmed") == []

    @pytest.mark.parametrize(
        "again", [EMAIL, "PRIYA prefers e\u00admail over phone calls!", "Priya prefers email over phone call"]
    )
    def test_another_source_confirms_what_is_known(self, org, client, again):
        again = again.replace("\u00ad", "")
        (atom_id,) = written(org, draft(EMAIL, client, kind="preference")).created

        found = written(org, draft(again, client, kind="preference", occurred_at=AT + 10 * DAY), at=AT + 10 * DAY)

        (atom,) = atoms_of(org)
        assert (found.confirmed, found.created) == ([atom_id], [])
        assert (atom.content, atom.seen_count, atom.occurred_at, atom.last_seen_at) == (EMAIL, 2, AT, AT + 10 * DAY)
        assert len(sources_of_atom(atom)) == 2
        assert atom.expires_at == AT + 375 * DAY
        assert told(org, "memory.atom.confirmed") == [{"atom_id": atom_id, "seen_count": 2}]

    @pytest.mark.parametrize(
        "other",
        [
            "The budget of the migration to the new warehouse is 60,000 euros",
            "The budget of the migration to the new warehouse is not 50,000 euros",
            "The budget of the new warehouse to the migration is 50,000 euros",
        ],
    )
    def test_other_numbers_negations_or_order_are_another_statement(self, org, client, other):
        written(org, draft("The budget of the migration to the new warehouse is 50,000 euros", client))
        written(org, draft(other, client))
        assert [atom.seen_count for atom in atoms_of(org)] == [1, 1]

    def test_never_across_entities_kinds_or_audiences(self, org, client):
        other = ClientFactory(org=org)
        written(
            org,
            draft(EMAIL, client),
            draft(EMAIL, other),
            draft(EMAIL, client, kind="preference"),
            draft(EMAIL, client, audience="managers"),
        )
        assert [atom.seen_count for atom in atoms_of(org)] == [1, 1, 1, 1]

    def test_the_order_of_coming_does_not_count(self, org, other_org):
        texts = [(EMAIL, 3), ("Priya prefers email over phone call", 1), ("priya prefers email over phone calls", 2)]
        found = []
        for where, order in ((org, texts), (other_org, texts[::-1])):
            client = ClientFactory(org=where)
            for text, day in order:
                written(where, draft(text, client, occurred_at=AT + day * DAY))
            (atom,) = atoms_of(where)
            found.append((atom.content, atom.occurred_at, atom.last_seen_at, atom.seen_count, atom.expires_at))
        assert found[0] == found[1]
        assert found[0][:2] == ("Priya prefers email over phone call", AT + DAY)

    def test_a_template_says_the_same_only_in_the_same_words(self, org, client):
        said = {"kind": "status", "source_field": "", "extractor": "template:1"}
        written(
            org,
            draft("The pursuit Press line for Baltic Freight moved from Pink to Red.", client, **said),
            draft("The pursuit Press lines for Baltic Freight moved from Pink to Red.", client, **said),
            draft("The pursuit Press line for Baltic Freight moved from Pink to Red.", client, **said),
        )
        assert [atom.seen_count for atom in atoms_of(org)] == [2, 1]


class TestTombstones:
    def test_the_same_key_never_comes_back(self, org, client, blanked):
        one = draft(EMAIL, client, source_id=5, slot="1")
        (atom_id,) = written(org, one).created
        blanked(atom_id)

        changed = draft("Priya likes letters", client, source_id=5, slot="1")
        assert written(org, one).unchanged == [atom_id]
        assert written(org, changed).unchanged == [atom_id]
        (atom,) = atoms_of(org)
        assert (atom.content, atom.state) == ("", AtomState.REDACTED)

    def test_nor_from_another_source_but_a_person_may_write_it_anew(self, org, client, blanked):
        (atom_id,) = written(org, draft(EMAIL, client)).created
        blanked(atom_id)

        assert written(org, draft(EMAIL, client)).created == []
        (tomb,) = atoms_of(org)
        assert len(sources_of_atom(tomb)) == 2

        by_hand = draft(EMAIL, client, source_type="manual", source_field="", event_id=None, event_name="", slot="a")
        (new,) = written(org, by_hand).created
        assert new != atom_id


class TestChangedSources:
    def test_a_changed_text_is_a_new_version(self, org, client):
        (atom_id,) = written(org, draft("The budget is 50k", client, source_id=5, slot="1")).created
        with org_scope(org):
            CardMark.all_orgs.filter(org=org).delete()

        found = written(org, draft("The budget is 70k", client, source_id=5, slot="1", span=(3, 20)), at=AT + DAY)

        assert found.changed == [atom_id]
        (atom,) = atoms_of(org)
        assert (atom.content, atom.version) == ("The budget is 70k", 2)
        with org_scope(org):
            versions = AtomVersion.objects.for_org(org).filter(atom=atom).order_by("version")
            assert [(row.version, row.content, row.because) for row in versions] == [
                (1, "The budget is 50k", "written"),
                (2, "The budget is 70k", "change"),
            ]
        assert told(org, "memory.corrected") == [{"atom_id": atom_id, "version": 2, "because": "change"}]
        (source,) = sources_of_atom(atom)
        assert (source.span_start, source.span_end) == (3, 20)
        assert CardMark.all_orgs.filter(org=org, client=client).count() == 1

    def test_what_a_person_put_right_stays(self, org, client):
        (atom_id,) = written(org, draft("The budget is 50k", client, source_id=5, slot="1")).created
        with org_scope(org):
            Atom.objects.for_org(org).filter(pk=atom_id).update(is_locked=True)
        assert written(org, draft("The budget is 70k", client, source_id=5, slot="1")).unchanged == [atom_id]
        assert [atom.content for atom in atoms_of(org)] == ["The budget is 50k"]

    def test_a_source_leaves_the_others_that_still_say_it(self, org, client):
        written(org, draft(EMAIL, client, source_id=5, slot="1"), draft(EMAIL, client, source_id=6, slot="1"))

        found = written(org, draft("Priya wants letters on paper now", client, source_id=6, slot="1"))

        first, second = atoms_of(org)
        assert found.created == [second.pk]
        assert (first.content, first.seen_count, len(sources_of_atom(first))) == (EMAIL, 1, 1)
        assert [source.source_id for source in sources_of_atom(second)] == [6]


class TestContradictions:
    def test_a_newer_statement_takes_the_place_of_an_older_one(self, org, client):
        (older,) = written(org, draft("Priya prefers email", client, kind="preference")).created

        (newer,) = written(
            org, draft("Priya now prefers phone calls", client, kind="preference", occurred_at=AT + DAY), at=AT + DAY
        ).created

        first, second = atoms_of(org)
        assert (first.pk, first.state, first.superseded_by_id, first.valid_until) == (
            older,
            AtomState.SUPERSEDED,
            newer,
            AT + DAY,
        )
        assert second.state == AtomState.ACTIVE
        assert told(org, "memory.atom.superseded") == [{"atom_id": older, "superseded_by_id": newer}]

    def test_in_the_order_in_which_it_was_said(self, org, client):
        written(org, draft("Priya now prefers phone calls", client, kind="preference", occurred_at=AT + DAY))
        (late,) = written(org, draft("Priya prefers email", client, kind="preference")).created
        assert {atom.pk: atom.state for atom in atoms_of(org)}[late] == AtomState.SUPERSEDED

    def test_when_it_is_not_sure_a_person_decides(self, org, client):
        (older,) = written(org, draft("Their budget is 50,000 euros", client)).created
        (newer,) = written(
            org, draft("We heard that the budget is 80,000 euros", client, occurred_at=AT + DAY), at=AT + DAY
        ).created

        assert [atom.state for atom in atoms_of(org)] == [AtomState.ACTIVE, AtomState.ACTIVE]
        (conflict,) = AtomConflict.all_orgs.filter(org=org)
        assert (conflict.older_id, conflict.newer_id, conflict.slot) == (older, newer, "budget")
        assert told(org, "memory.conflict.found") == [
            {"conflict_id": conflict.pk, "older_id": older, "newer_id": newer}
        ]

    @pytest.mark.parametrize("protected", [{"is_pinned": True}, {"is_locked": True}, {}])
    def test_neither_an_outsider_nor_a_machine_overrules_a_person(self, org, client, protected):
        written(org, draft("Priya prefers email", client, kind="preference"))
        with org_scope(org):
            Atom.objects.for_org(org).update(**protected or {"is_pinned": False})

        written(
            org,
            draft(
                "Priya now prefers phone calls",
                client,
                kind="preference",
                occurred_at=AT + DAY,
                is_outsiders=not protected,
            ),
        )

        assert [atom.state for atom in atoms_of(org)] == [AtomState.ACTIVE, AtomState.ACTIVE]
        assert AtomConflict.all_orgs.filter(org=org).count() == 1

    def test_other_subjects_and_readers_are_left_alone(self, org, client):
        written(org, draft("Priya prefers email", client, kind="preference"))
        later = {"kind": "preference", "occurred_at": AT + timedelta(days=1)}
        written(
            org,
            draft("Priya now prefers phone calls", ClientFactory(org=org), **later),
            draft("Priya now prefers phone calls", client, audience="managers", **later),
        )
        assert {atom.state for atom in atoms_of(org)} == {AtomState.ACTIVE}


class TestLedger:
    def test_there_is_one_with_a_secret_of_its_own(self, org, other_org):
        with org_scope(org):
            first, again = ledger_of(org), held_ledger(org)
        with org_scope(other_org):
            theirs = held_ledger(other_org)
        assert first.pk == again.pk
        assert bytes(first.secret) != bytes(theirs.secret)
        assert len(bytes(first.secret)) == 32
        assert MemoryLedger.all_orgs.filter(org=org).count() == 1

    def test_equal_texts_have_equal_hashes_in_one_organisation_only(self, org, other_org):
        for where in (org, other_org):
            client = ClientFactory(org=where)
            written(where, draft(EMAIL, client))
        (ours,), (theirs,) = atoms_of(org), atoms_of(other_org)
        assert ours.content == theirs.content
        assert ours.content_hash != theirs.content_hash
