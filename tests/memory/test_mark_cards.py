"""Marks: set with every change, put off while changes come, never beyond a minute, and built in their order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowledger.tenancy.scope import org_scope, system_scope
from memory.models import CardMark, MemoryCard
from memory.services.card_building import due_marks, put_off
from memory.services.cards import mark_cards
from tests.factories import ClientFactory, ContactFactory
from tests.memory.card_rows import build_due, card, marks_of, remember, stored_cards, texts
from tests.memory.factories import CardMarkFactory
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT
from tests.workstream.trail import events_of

SECOND = timedelta(seconds=1)


def due_of(row):
    [mark] = marks_of(row)
    return (mark.due_at - AT).total_seconds()


class TestDebounce:
    def test_a_card_is_due_ten_seconds_after_its_last_change_and_a_minute_after_the_first(self, org):
        client = ClientFactory(org=org)
        dues = []
        for second in (0, 5, 14, 23, 32, 41, 49, 55, 59):
            mark_cards(org, [("client", client.pk)], AT + second * SECOND)
            dues.append(due_of(client))

        assert dues == [10, 15, 24, 33, 42, 51, 59, 60, 60]
        [mark] = marks_of(client)
        assert mark.first_marked_at == AT

    def test_a_change_that_is_written_late_brings_nothing_forward(self, org):
        client = ClientFactory(org=org)
        mark_cards(org, [("client", client.pk)], AT + 30 * SECOND)
        mark_cards(org, [("client", client.pk)], AT)

        assert due_of(client) == 40

    def test_five_hundred_writes_in_a_minute_are_few_builds_and_a_fresh_card_soon_after(self, org, rep):
        client = ClientFactory(org=org)
        writes = [AT + number * timedelta(milliseconds=120) for number in range(500)]
        builds, tick = 0, AT
        while marks_of(client) or writes:
            while writes and writes[0] <= tick:
                remember(org, f"Note {len(writes)}.", client=client, at=writes.pop(0))
            tick += 5 * SECOND
            builds += build_due(at=tick)

        assert 1 <= builds <= 7
        assert tick - AT <= 120 * SECOND
        found = card(client, actor_of(rep), at=tick)
        assert (found.atom_count, found.is_stale) == (500, False)
        assert texts(found.summary["recent_activity"])[0] == "Note 1."


class TestMarking:
    def test_marks_every_kind_of_entity_once_with_one_statement_a_kind(self, org):
        clients = [ClientFactory(org=org) for _ in range(20)]
        contact = ContactFactory(org=org)
        pairs = [("contact", contact.pk), *(("client", each.pk) for each in clients)] * 2

        with org_scope(org), counted_queries() as statements:
            assert mark_cards(org, pairs, AT) == 21

        assert len(statements) == 2
        assert CardMark.all_orgs.count() == 21

    def test_passes_over_what_is_not_there_and_what_is_not_ours(self, org, other_org):
        stranger = ClientFactory(org=other_org)

        with org_scope(org):
            assert mark_cards(org, [("client", stranger.pk), ("pursuit", 2**40), ("client", 2**40)], AT) == 0

        assert not CardMark.all_orgs.exists()

    def test_refuses_what_is_no_kind_of_entity(self, org):
        with pytest.raises(ValueError, match="'task' is no entity of memory"):
            mark_cards(org, [("task", 1)], AT)

    def test_marks_nothing_of_nothing(self, org):
        with org_scope(org), counted_queries() as statements:
            assert mark_cards(org, [], AT) == 0
        assert statements == []


class TestBuilding:
    def test_builds_what_is_due_and_takes_the_mark(self, org, rep):
        early, late = ClientFactory(org=org), ClientFactory(org=org)
        remember(org, "They prefer email.", client=early)
        remember(org, "They prefer calls.", client=late, at=AT + 5 * SECOND)

        assert build_due(at=AT + 10 * SECOND - timedelta(microseconds=1)) == 0
        assert build_due(at=AT + 10 * SECOND) == 1

        assert [each.atom_count for each in stored_cards(early)] == [1, 1]
        assert (marks_of(early), stored_cards(late), len(marks_of(late))) == ([], [], 1)
        assert events_of(early) == ["memory.summary.rebuilt"]

    def test_of_every_organisation_the_oldest_are_found(self, org, other_org):
        """A hundred thousand marks of one do not hold up the others."""
        mine = [CardMarkFactory(org=org, first_marked_at=AT + number * SECOND) for number in range(5)]
        [theirs] = [CardMarkFactory(org=other_org, first_marked_at=AT + 5 * SECOND)]
        CardMarkFactory(org=other_org, first_marked_at=AT + 60 * SECOND)

        with system_scope("tests"):
            found = due_marks(at=AT + 30 * SECOND, each=3)

        assert found == {org.pk: [mark.pk for mark in mine[:3]], other_org.pk: [theirs.pk]}

    def test_what_cannot_be_built_waits_for_a_minute(self, org):
        mark = CardMarkFactory(org=org)
        now = AT + 20 * SECOND

        put_off(org=org, mark_id=mark.pk, at=now)

        assert build_due(at=now) == 0
        assert build_due(at=now + 60 * SECOND) == 1

    def test_a_card_that_lost_everything_is_empty_and_says_so(self, org):
        client = ClientFactory(org=org)
        atom = remember(org, "They prefer email.", client=client)
        build_due(at=AT + 10 * SECOND)
        atom.delete()
        mark_cards(org, [("client", client.pk)], AT + 20 * SECOND)

        assert build_due(at=AT + 30 * SECOND) == 1

        assert [each.atom_count for each in stored_cards(client)] == [0, 0]
        assert events_of(client) == ["memory.summary.rebuilt"] * 2

    def test_of_what_nothing_was_ever_known_nothing_is_told(self, org):
        client = ClientFactory(org=org)
        mark_cards(org, [("client", client.pk)], AT)

        assert build_due(at=AT + 10 * SECOND) == 1

        assert MemoryCard.all_orgs.filter(client=client).count() == 2
        assert events_of(client) == []
