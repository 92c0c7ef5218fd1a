"""The demonstration's memory: nobody wrote a note for it, and it answers what a salesperson would ask."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from django.utils.timezone import now

from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from memory import services
from memory.demo import LESSONS, PREFERENCES
from memory.models import Atom, AtomSource
from memory.services.search import search
from tests.workstream.conftest import actor_of
from workstream.demo.organization import ensure_demo_organization, member_actor
from workstream.demo.playing import SIGNALS, play
from workstream.machines import PursuitStage
from workstream.models import Pursuit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("db", "crossing")]

TOP = 10


def asked(org: Organization, question: str) -> list[Any]:
    """The first atoms that answer, each with its sources."""
    actor = member_actor(org, "demo-rep")
    results = search(org=org, question=question, actor=actor, at=now(), limit=TOP)
    return [hit.atom for hit in results.hits]


def closed(org: Organization, stage: str) -> Pursuit:
    rows = Pursuit.all_orgs.filter(org=org, stage=stage, contact__isnull=False).select_related("contact", "client")
    found: Pursuit | None = rows.order_by("-closed_at").first()
    assert found is not None
    return found


def _is_one(content: str, texts: Iterable[str]) -> bool:
    """Whether it is one of the sentences, whoever they are about."""
    return any(re.split(r"[}:]", text)[-1].strip(" .") in content for text in texts)


def learnt_from_the_last_proposal(org: Organization) -> None:
    pursuit = closed(org, PursuitStage.WON)
    found = asked(org, f"What did we learn from the last proposal to {pursuit.client.name}?")
    lessons = [atom for atom in found if atom.pursuit_id == pursuit.pk and _is_one(atom.content, LESSONS["won"])]
    assert lessons, [atom.content for atom in found]
    assert {source.source_type for source in lessons[0].sources.all()} == {"activity"}


def why_the_similar_deal_was_lost(org: Organization) -> None:
    """Said on at least one open pursuit: not every deal has one like it among the lost."""
    told = []
    for pursuit in Pursuit.all_orgs.filter(org=org, closed_at=None).order_by("pk"):
        told += services.recall_similar_deals(
            org=org, pursuit_id=pursuit.pk, outcome="lost", actor=member_actor(org, "demo-rep"), at=now()
        )
    reasons = dict(Pursuit.all_orgs.filter(org=org, stage="lost").values_list("pk", "outcome_reason"))
    explained = [
        lesson.atom
        for deal in told
        for lesson in deal.lessons
        if reasons[deal.similar.deal.pursuit_id] in lesson.atom.content
    ]
    assert explained
    assert all(AtomSource.all_orgs.filter(atom=atom).exists() for atom in explained)


def what_a_contact_prefers(org: Organization) -> None:
    contact = closed(org, PursuitStage.WON).contact
    found = asked(org, f"What does {contact.name} prefer?")
    about = [atom for atom in found if atom.contact_id == contact.pk and _is_one(atom.content, PREFERENCES)]
    assert about, [atom.content for atom in found]
    assert about[0].kind == "preference"
    assert about[0].sources.all()[0].source_type == "activity"


def who_decided(org: Organization) -> None:
    pursuit = closed(org, PursuitStage.LOST)
    found = asked(org, f"Who decided at {pursuit.client.name}?")
    theirs = set(Pursuit.all_orgs.filter(client_id=pursuit.client_id).values_list("pk", flat=True))
    said = [atom for atom in found if atom.pursuit_id in theirs and " decided " in atom.content]
    assert said, "\n".join(f"{atom.kind} {atom.pursuit_id} of {theirs}: {atom.content}" for atom in found)
    assert said[0].sources.all()[0].source_type == "activity"


def every_action_left_its_atoms(org: Organization) -> None:
    sources = Counter(AtomSource.all_orgs.filter(org=org).values_list("event_name", flat=True))
    happened = set(WorkEvent.all_orgs.filter(org=org).values_list("event_name", flat=True))
    for event_name in ("signal.created", "pursuit.won", "pursuit.lost", "activity.logged", "proposal.sent"):
        assert event_name in happened
        assert sources[event_name] > 0, (event_name, sources)
    assert not Atom.all_orgs.filter(org=org, sources__isnull=True).exists()


def the_card_tells_the_story(org: Organization) -> None:
    pursuit, actor = closed(org, PursuitStage.WON), member_actor(org, "demo-rep")
    card = services.card_of(org=org, entity_type="client", entity_id=pursuit.client_id, actor=actor, at=now())
    assert card.summary["decisions"]
    assert card.summary["preferences"]
    assert card.atom_count > 5


def test_the_demo_answers_what_a_salesperson_would_ask() -> None:
    """One demonstration for all of it: founding it takes longer than asking."""
    org = ensure_demo_organization(at=now()).org
    drain_all()
    every_action_left_its_atoms(org)
    learnt_from_the_last_proposal(org)
    what_a_contact_prefers(org)
    who_decided(org)
    why_the_similar_deal_was_lost(org)
    the_card_tells_the_story(org)


def test_the_played_deal_ends_with_its_card(org, rep) -> None:
    steps = {step.name: step.happened for step in play(org=org, path=SIGNALS, rep=actor_of(rep), clock=now)}
    assert steps["memory card"].startswith("Harrowmill Beverages: ")
    assert "remembered by themselves; the card shows" in steps["memory card"]
