"""Asking for a card: built when there is none, served as it is stored, never of an older epoch, for who may read it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowledger.errors import InvalidInput, NotFound
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.scope import org_scope
from memory import services
from memory.models import Atom, Audience, CardLook, MemoryCard, MemoryLedger
from memory.services.cards import LASTS, LATEST, drop_cards
from tests.factories import ClientFactory, ContactFactory
from tests.memory.card_rows import build_due, card, marks_of, remember, stored_cards, texts
from tests.memory.factories import AtomConflictFactory, AtomFactory, MailThreadFactory, MemoryLedgerFactory
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_pursuit
from tests.workstream.trail import events_of, newest_event, nothing_changes

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def client(org):
    return ClientFactory(org=org, name="Harbour Works")


@pytest.fixture
def reader(rep) -> Actor:
    return actor_of(rep)


@pytest.fixture
def boss(manager) -> Actor:
    return actor_of(manager)


class TestContent:
    def test_says_what_is_known_with_where_it_comes_from(self, client, reader):
        pursuit = open_pursuit(client.org)
        remember(client.org, "Dana decided for the annual plan.", kind="decision", pursuit=pursuit, through=[client])
        remember(client.org, "They prefer email.", kind="preference", client=client)
        remember(client.org, "The budget is frozen.", kind="risk", client=client)
        remember(client.org, "Their budget is 40,000 euros.", client=client, tags=["amount"])
        remember(client.org, "They asked for the manual.", client=client)

        found = card(client, reader)

        assert texts(found.summary["decisions"]) == ["Dana decided for the annual plan."]
        assert [(line["entity_type"], line["entity_id"]) for line in found.summary["decisions"]] == [
            ("pursuit", pursuit.pk)
        ]
        assert texts(found.summary["preferences"]) == ["They prefer email."]
        assert texts(found.summary["risks"]) == ["The budget is frozen."]
        assert texts(found.summary["key_facts"]) == ["Their budget is 40,000 euros."]
        assert texts(found.summary["recent_activity"]) == ["They asked for the manual."]
        assert found.top_atoms[0]["text"] == "Dana decided for the annual plan."
        assert (found.top_atoms[0]["score"], found.top_atoms[0]["role"]) == (100.0, "through")
        assert found.top_atoms[0]["source"]["source_type"] == "activity"
        assert (found.atom_count, found.is_empty, found.is_stale) == (5, False, False)

    def test_an_entity_of_which_nothing_is_known_has_an_empty_card(self, client, reader):
        found = card(client, reader)

        assert found.is_empty
        assert found.top_atoms == []
        assert set(found.summary) == {"key_facts", "recent_activity", "decisions", "risks", "preferences"}
        assert not any(found.summary.values())
        assert events_of(client) == []

    @pytest.mark.parametrize("state", ["superseded", "archived"])
    def test_what_is_no_longer_active_is_not_on_it(self, client, reader, state):
        remember(client.org, "Gone.", client=client, state=state)

        assert card(client, reader).is_empty

    def test_what_is_no_longer_valid_is_not_on_it(self, client, reader):
        remember(client.org, "On holiday until Friday.", client=client, valid_until=AT + DAY)

        assert card(client, reader, at=AT + DAY - SECOND).atom_count == 1
        assert card(client, reader, at=AT + 2 * DAY).is_empty

    def test_what_is_pinned_stands_there_however_much_is_newer(self, client, reader):
        remember(client.org, "Never call before ten.", client=client, is_pinned=True, at=AT - 300 * DAY)
        for number in range(101):
            AtomFactory(org=client.org, client=client, content=f"Note {number}.", occurred_at=AT - number * MINUTE)

        found = card(client, reader)

        assert texts(found.summary["key_facts"]) == ["Never call before ten."]
        assert found.top_atoms[0]["is_pinned"]
        assert found.atom_count == 102

    def test_both_sides_of_a_conflict_are_shown_as_one(self, client, reader):
        older = remember(client.org, "They prefer calls.", kind="preference", client=client)
        newer = remember(client.org, "They prefer email.", kind="preference", client=client)
        conflict = AtomConflictFactory(org=client.org, older=older, newer=newer)

        lines = card(client, reader).summary["preferences"]

        assert {(line["atom_id"], line["conflict_id"]) for line in lines} == {
            (older.pk, conflict.pk),
            (newer.pk, conflict.pk),
        }

    def test_an_older_decision_stands_beside_a_thousand_newer_statuses(self, client, reader):
        remember(client.org, "They decided for us.", kind="decision", client=client, at=AT - 200 * DAY)
        for number in range(150):
            AtomFactory(org=client.org, client=client, kind="status", occurred_at=AT - number * MINUTE)

        assert texts(card(client, reader).summary["decisions"]) == ["They decided for us."]

    def test_a_thread_has_one_too(self, org, reader):
        thread = MailThreadFactory(org=org)
        remember(org, "They ask for an offer.", thread=thread)

        assert texts(card(thread, reader).summary["recent_activity"]) == ["They ask for an offer."]


class TestRefusal:
    def test_of_what_is_no_type_of_entity(self, org, reader):
        with nothing_changes(), pytest.raises(InvalidInput, match="is not one of: client, contact, signal"):
            services.card_of(org=org, entity_type="task", entity_id=1, actor=reader, at=AT)

    def test_of_another_organisations_entity(self, client, other_org, member_of):
        stranger = actor_of(member_of(other_org, Role.ADMIN))
        remember(client.org, "They prefer email.", client=client)

        with nothing_changes(), pytest.raises(NotFound):
            services.card_of(org=other_org, entity_type="client", entity_id=client.pk, actor=stranger, at=AT)

    def test_what_was_merged_away_answers_with_its_survivors(self, client, reader):
        gone = ClientFactory(org=client.org, canonical=client)
        remember(client.org, "They prefer email.", client=client)

        found = card(gone, reader)

        assert (found.entity_id, texts(found.summary["recent_activity"])) == (client.pk, ["They prefer email."])


class TestAudiences:
    def test_what_is_for_managers_is_on_no_other_card_and_in_no_other_count(self, client, reader, boss):
        remember(client.org, "They prefer email.", kind="preference", client=client)
        remember(client.org, "We may drop them.", kind="risk", client=client, audience=Audience.MANAGERS)
        remember(client.org, "My own view.", client=client, audience=Audience.AUTHOR, author_id=reader.user_id)

        mine, theirs = card(client, reader), card(client, boss)

        assert (mine.atom_count, texts(mine.summary["risks"])) == (1, [])
        assert (theirs.atom_count, texts(theirs.summary["risks"])) == (2, ["We may drop them."])
        assert mine.etag != theirs.etag
        assert "My own view." not in f"{mine}{theirs}"
        assert "We may drop them." not in str(mine)
        # Built for both audiences at once; each is served its own again.
        assert [each.audience for each in stored_cards(client)] == ["everyone", "managers"]
        assert card(client, reader).atom_count == 1
        assert card(client, boss).atom_count == 2

    def test_a_conflict_with_what_only_managers_read_is_none_for_others(self, client, reader, boss):
        older = remember(client.org, "They stay.", kind="risk", client=client)
        newer = remember(client.org, "They leave.", kind="risk", client=client, audience=Audience.MANAGERS)
        conflict = AtomConflictFactory(org=client.org, older=older, newer=newer)

        assert [line["conflict_id"] for line in card(client, reader).summary["risks"]] == [None]
        assert [line["conflict_id"] for line in card(client, boss).summary["risks"]] == [conflict.pk] * 2

    def test_new_atoms_are_counted_among_those_that_one_may_read(self, client, reader, boss):
        for actor in (reader, boss):
            card(client, actor)
        later = AT + 60 * MINUTE
        remember(client.org, "We may drop them.", client=client, audience=Audience.MANAGERS, at=later)

        assert card(client, reader, at=later + SECOND).since.new_count == 0
        assert texts(card(client, boss, at=later + SECOND).since.new_atoms) == ["We may drop them."]


class TestStored:
    def test_a_stored_card_is_served_as_it_is_and_says_when_changes_wait(self, client, reader):
        remember(client.org, "They prefer email.", client=client)
        build_due(at=AT + MINUTE)
        assert not card(client, reader, at=AT + 2 * MINUTE).is_stale
        remember(client.org, "They prefer calls.", client=client, at=AT + 3 * MINUTE)

        found = card(client, reader, at=AT + 3 * MINUTE + 30 * SECOND)

        assert (found.atom_count, found.is_stale, found.age_seconds) == (1, True, 150)
        assert found.last_built_at == AT + MINUTE

    def test_a_card_that_waits_too_long_for_its_worker_is_built_by_who_asks(self, client, reader):
        card(client, reader)
        remember(client.org, "They prefer email.", client=client)

        assert card(client, reader, at=AT + LATEST).is_empty
        found = card(client, reader, at=AT + LATEST + SECOND)

        assert (found.atom_count, found.is_stale) == (1, False)
        assert marks_of(client) == []

    def test_a_card_that_is_a_day_old_is_made_anew_because_relevance_decays(self, client, reader):
        remember(client.org, "They asked for the manual.", client=client)
        build_due(at=AT + MINUTE)

        assert card(client, reader, at=AT + LASTS).last_built_at == AT + MINUTE
        later = AT + 90 * DAY
        found = card(client, reader, at=later)
        assert found.last_built_at == later
        # A note halves in ninety days.
        assert found.top_atoms[0]["score"] == pytest.approx(30.0, abs=0.01)

    def test_a_card_of_another_template_is_made_anew(self, client, reader):
        remember(client.org, "They prefer email.", client=client)
        build_due(at=AT + MINUTE)
        MemoryCard.all_orgs.update(template_version="0", summary={})

        assert card(client, reader, at=AT + 2 * MINUTE).summary["recent_activity"]

    def test_being_built_is_told_once_for_all_audiences_and_with_counts_only(self, client, reader):
        remember(client.org, "They prefer email.", client=client)

        card(client, reader)
        card(client, reader)

        assert events_of(client) == ["memory.summary.rebuilt"]
        payload = newest_event(client.org, "memory.summary.rebuilt").payload
        assert payload == {"item_type": "client", "item_id": client.pk, "atoms": 1}

    def test_is_read_with_one_statement_when_it_is_warm(self, client, reader):
        remember(client.org, "They prefer email.", client=client)
        build_due(at=AT + MINUTE)
        card(client, reader, at=AT + 2 * MINUTE)

        with org_scope(client.org), counted_queries() as statements:
            found = card(client, reader, at=AT + 2 * MINUTE + SECOND)

        assert found.atom_count == 1
        assert len(statements) == 1, "\n".join(statements)

    def test_is_built_with_as_many_statements_for_many_atoms_as_for_few(self, org, reader):
        counts = []
        MemoryLedgerFactory(org=org)
        for size in (1, 60):
            client = ClientFactory(org=org)
            for number in range(size):
                AtomFactory(org=org, client=client, kind=["decision", "risk", "note"][number % 3])
            with org_scope(org), counted_queries() as statements:
                card(client, reader)
            counts.append(len(statements))
        assert counts[0] == counts[1]
        # What is stored; the epoch, the atoms, two counts; the epoch held, the cards, their event; the look.
        assert counts[0] == 9


class TestRedacted:
    def test_a_card_of_an_older_epoch_is_never_served(self, client, reader):
        """Also one that no redaction knew of: the epoch alone decides."""
        atom = remember(client.org, "The secret word is marzipan.", client=client)
        build_due(at=AT + MINUTE)
        known = card(client, reader, at=AT + 2 * MINUTE).etag
        Atom.all_orgs.filter(pk=atom.pk).delete()
        MemoryLedger.all_orgs.filter(org=client.org).update(epoch=1)

        found = card(client, reader, at=AT + 2 * MINUTE, is_known=lambda etag: etag == known)

        assert not found.is_known
        assert "marzipan" not in str(found)
        assert [each.source_epoch for each in stored_cards(client)] == [1, 1]
        assert "marzipan" not in str([(each.summary, each.top_atoms) for each in stored_cards(client)])

    def test_dropping_takes_the_cards_of_all_that_the_atoms_are_linked_to(self, client, reader, boss):
        contact, other = ContactFactory(org=client.org, client=client), ClientFactory(org=client.org)
        merged = ClientFactory(org=client.org)
        atom = remember(client.org, "The secret word is marzipan.", contact=contact, through=[client])
        for row in (client, contact, other, merged):
            card(row, reader)
        # What a merge could not move stays with the one that was merged away.
        merged.canonical = client
        merged.save()

        with org_scope(client.org):
            dropped = drop_cards(client.org, [atom.pk])

        assert dropped == 6
        assert [len(stored_cards(row)) for row in (client, contact, merged, other)] == [0, 0, 0, 2]

    def test_dropping_nothing_asks_nothing(self, client):
        with org_scope(client.org), counted_queries() as statements:
            assert drop_cards(client.org, []) == 0
        assert statements == []


class TestSinceLastLook:
    def test_at_the_first_look_everything_is_new(self, client, reader):
        remember(client.org, "They prefer email.", client=client)

        since = card(client, reader).since

        assert (since.looked_at, since.new_count, list(since.new_atoms)) == (None, 1, [])

    def test_a_later_visit_is_told_what_came_meanwhile(self, client, reader):
        remember(client.org, "They prefer email.", client=client)
        card(client, reader, at=AT + MINUTE)
        for number in range(7):
            remember(client.org, f"News {number}.", client=client, at=AT + 120 * MINUTE + number * SECOND)
        visit = AT + 180 * MINUTE

        since = card(client, reader, at=visit).since

        assert (since.looked_at, since.new_count) == (AT + MINUTE, 7)
        assert texts(since.new_atoms) == [f"News {number}." for number in (6, 5, 4, 3, 2)]

    def test_within_a_visit_it_stays_what_it_was(self, client, reader):
        """Loading the page again must not make the news disappear."""
        card(client, reader)
        remember(client.org, "News.", client=client, at=AT + 120 * MINUTE)
        first = card(client, reader, at=AT + 180 * MINUTE)
        again = card(client, reader, at=AT + 190 * MINUTE)

        assert first.since == again.since
        assert (again.since.looked_at, texts(again.since.new_atoms)) == (AT, ["News."])
        assert again.etag == first.etag
        # After a pause it is the next visit.
        assert card(client, reader, at=AT + 300 * MINUTE).since.looked_at == AT + 190 * MINUTE

    def test_who_has_the_card_already_has_not_looked_again(self, client, reader):
        known = card(client, reader).etag
        with nothing_changes():
            found = card(client, reader, at=AT + 5 * MINUTE, is_known=lambda etag: etag == known)
        assert found.is_known
        assert CardLook.all_orgs.get(client=client).looked_at == AT

    def test_people_look_for_themselves_and_machines_do_not(self, client, reader, boss):
        card(client, reader)
        card(client, CLERK)

        assert card(client, CLERK).since is None
        assert card(client, boss, at=AT + DAY).since.looked_at is None
        assert set(CardLook.all_orgs.values_list("user_id", flat=True)) == {reader.user_id, boss.user_id}
