"""What is remembered of a conversation outlives that it is found to be part of another."""

from __future__ import annotations

import pytest

from flowledger.tenancy.scope import org_scope
from memory.models import LegalHold, MemoryCard
from tests.memory.capturing import atoms_of, captured, draft, links_of_atom, written
from tests.memory.factories import LegalHoldFactory, MemoryCardFactory
from tests.workstream.factories import AT, CLERK
from workstream.models import MailThread
from workstream.services.mail import receive_mail

pytestmark = pytest.mark.django_db


def receive(org, number, *, references=()):
    """A message that answers others; answers its signal."""
    lines = [
        "From: Ann <ann@baltic.example>",
        f"Subject: Offer {number}",
        f"Message-ID: <{number}@baltic.example>",
        f"References: {' '.join(f'<{each}@baltic.example>' for each in references)}",
        "",
        f"We have looked at offer number {number} with the whole team.",
    ]
    raw = "\r\n".join(lines).encode()
    outcome = receive_mail(org=org, source=None, raw=raw, actor=CLERK, at=AT)
    return outcome.signal_id


def threads(org):
    with org_scope(org):
        return list(MailThread.objects.for_org(org).order_by("pk"))


class TestJoined:
    @pytest.fixture
    def joined(self, org):
        """Two conversations with all that memory keeps of them, and a message that answers both."""
        first, second = receive(org, 1), receive(org, 2)
        captured(org)
        one, other = threads(org)
        written(org, _said(one, "They decide in May"), _said(other, "They ask for a discount"))
        LegalHoldFactory(org=org, thread=other)
        for thread in (one, other):
            MemoryCardFactory(org=org, thread=thread)
        receive(org, 3, references=[1, 2])
        captured(org)
        return one, first, second

    def test_all_of_it_is_about_the_one_that_stays(self, org, joined):
        one, first, second = joined
        assert threads(org) == [one]
        by_hand = atoms_of(org, thread=one)
        assert {atom.content for atom in by_hand} == {"They decide in May", "They ask for a discount"}
        for atom in [*by_hand, *atoms_of(org, signal__in=[first, second])]:
            assert atom.thread_key == f"thread:{one.pk}"
            assert {pk for kind, pk, _ in links_of_atom(atom) if kind == "thread"} == {one.pk}

    def test_a_hold_holds_on_and_there_is_one_card(self, org, joined):
        one, *_ = joined
        with org_scope(org):
            assert LegalHold.objects.for_org(org).get().thread_id == one.pk
            assert MemoryCard.objects.for_org(org).get().thread_id == one.pk


def _said(thread, content):
    base = draft(content, thread)
    return type(base)(**{**base.__dict__, "entity_type": "thread"})
