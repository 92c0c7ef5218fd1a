"""Cards beside what else is done about memory: real redactions, merges, and what is written through the use cases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.clients.services import merge_clients
from flowledger.tenancy.actors import Actor
from memory import services
from memory.models import AtomLink, MemoryCard
from memory.services.cards import mark_cards
from memory.services.redaction import Target
from tests.factories import ClientFactory
from tests.memory.card_rows import build_due, card, remember, stored_cards, texts
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK

SECRET = "The secret word is marzipan."
MINUTE = timedelta(minutes=1)


@pytest.fixture
def boss(manager) -> Actor:
    return actor_of(manager)


def redact(atom: Any, actor: Actor) -> None:
    services.redact(org=atom.org, target=Target(atom_ids=(atom.pk,)), reason="They asked", actor=actor, at=AT + MINUTE)


class TestRedacted:
    def test_is_on_no_card_at_once_and_in_no_row(self, org, rep, boss):
        """Before any worker runs, also for who has the card already and for entities that it is linked to."""
        client, contact = ClientFactory(org=org), ClientFactory(org=org)
        atom = remember(org, SECRET, client=client, through=[contact])
        remember(org, "They prefer email.", client=client)
        known = {row.pk: card(row, actor_of(rep)).etag for row in (client, contact)}
        build_due(at=AT + MINUTE)

        redact(atom, boss)

        assert "marzipan" not in str(list(MemoryCard.all_orgs.values_list("summary", "top_atoms", "lessons")))
        for row in (client, contact):
            found = card(row, actor_of(rep), at=AT + 2 * MINUTE, is_known=lambda etag, row=row: etag == known[row.pk])
            assert not found.is_known
            assert "marzipan" not in str(found)
        # The rest of the card stays.
        kept = card(client, actor_of(rep), at=AT + 2 * MINUTE)
        assert texts(kept.summary["recent_activity"]) == ["They prefer email."]
        assert kept.atom_count == 1

    def test_is_not_on_the_card_of_who_was_merged_away(self, org, rep, boss):
        survivor, loser = ClientFactory(org=org), ClientFactory(org=org)
        atom = remember(org, SECRET, client=loser)
        remember(org, "They prefer email.", client=survivor)
        for row in (survivor, loser):
            card(row, actor_of(rep))
        merge_clients(org=org, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK, at=AT)
        # The survivor has a card of its own, so that of the other stays where it was.
        assert stored_cards(loser)

        redact(atom, boss)

        assert stored_cards(loser) == stored_cards(survivor) == []
        assert "marzipan" not in str(card(loser, actor_of(rep), at=AT + 2 * MINUTE))


class TestMerged:
    def test_the_survivors_card_tells_of_both_once_it_is_built(self, org, rep):
        survivor, loser = ClientFactory(org=org), ClientFactory(org=org)
        remember(org, "They prefer email.", client=loser)
        remember(org, "They prefer calls.", client=survivor)
        build_due(at=AT + MINUTE)
        merge_clients(org=org, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK, at=AT + MINUTE)
        mark_cards(org, [("client", survivor.pk)], AT + MINUTE)

        build_due(at=AT + 2 * MINUTE)

        found = card(survivor, actor_of(rep), at=AT + 3 * MINUTE)
        assert sorted(texts(found.summary["recent_activity"])) == ["They prefer calls.", "They prefer email."]
        assert not AtomLink.all_orgs.filter(client=loser).exists()
