"""What the suite does with the application's own code: `python -m tests.bench.memory.inside VERB`.

The last line of the output is the answer as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")
django.setup()

from django.db import connection  # noqa: E402

from flowledger.clients.models import Client  # noqa: E402
from flowledger.clients.services import create_client  # noqa: E402
from flowledger.tenancy.actors import Actor, Origin  # noqa: E402
from flowledger.tenancy.models import Membership, Organization, User  # noqa: E402
from flowledger.tenancy.scope import org_scope, system_scope  # noqa: E402
from memory.models import Atom, AtomLink, MemoryCard  # noqa: E402
from memory.services.atoms import write_atom  # noqa: E402
from memory.services.cards import build_card, card_of  # noqa: E402
from memory.services.ledger import held_ledger  # noqa: E402
from memory.services.redaction import Target, redact  # noqa: E402
from memory.services.terms import refresh_terms  # noqa: E402
from memory.services.writing import Draft, write_atoms  # noqa: E402
from tests.bench.memory import corpus, retrieval  # noqa: E402
from tests.bench.memory.playing import Player  # noqa: E402

_WORDS = sorted({word for story in corpus.background(60) for step in story.steps for word in step.text.split()})
_AT_ONCE = 200


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory.inside", description=__doc__)
    parser.add_argument("verb", choices=["retrieval", "cards", "write", "redact"])
    parser.add_argument("--org", type=int, required=True)
    parser.add_argument("--drawn", type=int, default=180)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--atoms", type=int, default=1_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    verbs: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "retrieval": _retrieval,
        "cards": _cards,
        "write": _write,
        "redact": _redact,
    }
    print(json.dumps(verbs[given.verb](given)), flush=True)


def _retrieval(given: argparse.Namespace) -> dict[str, Any]:
    """Play the whole corpus, and ask FlowLedger and PostgreSQL all questions; BM25's input goes to files of `out`."""
    org, actor, owner = _people(given.org)
    at, written = datetime.now(UTC), corpus.written()
    began = time.perf_counter()
    player = Player(org, actor, owner, at)
    # The drawn deals stand before, between and after those with questions, as they would.
    stories = [*written.stories, *corpus.background(given.drawn)]
    player.dice.shuffle(stories)
    player.play(stories)
    with org_scope(org):
        _count_terms(org, at)
        atoms = Atom.objects.for_org(org).active().count()
    _analyse()
    print(f"   {atoms:,} atoms of {len(stories):,} deals in {time.perf_counter() - began:.0f} s", flush=True)
    questions = [question.text for question in written.questions]
    evidence = retrieval.evidence_of(org, written, player.clients)
    rankings = {"flowledger": retrieval.ask_flowledger(org, questions, actor=actor, at=at)}
    documents = retrieval.Documents(os.environ["DATABASE_URL"], org)
    for way in retrieval.TEXTS:
        for joined in ("or", "and"):
            rankings[f"pg_fts {joined} {way}"] = documents.ask(questions, joined=joined, way=way)
        (given.out / f"bm25-{way}.json").write_text(json.dumps(documents.for_bm25(questions, way=way)))
    return {"atoms": atoms, "evidence": evidence, "rankings": rankings}


def _cards(given: argparse.Namespace) -> dict[str, Any]:
    """Cards of the clients of which most is known: built anew with nothing stored, and read as they stand."""
    org, actor, _ = _people(given.org)
    at = datetime.now(UTC)
    with org_scope(org):
        links = AtomLink.objects.for_org(org).filter(client__isnull=False)
        linked = list(links.values_list("client_id", flat=True))
        busiest = sorted(set(linked), key=lambda pk: (-linked.count(pk), pk))[: given.rounds]
        MemoryCard.objects.for_org(org).delete()
    cold, warm = [], []
    for client_id in busiest:
        with org_scope(org):
            cold.append(_timed(lambda pk=client_id: build_card(org, ("client", pk), "everyone", at)))
    for client_id in busiest:
        asked = {"org": org, "entity_type": "client", "entity_id": client_id, "actor": actor, "at": at}
        card_of(**asked)
        warm.append(_timed(lambda of=asked: card_of(**of)))
    return {"cold": cold, "warm": warm}


def _write(given: argparse.Namespace) -> dict[str, Any]:
    """Atoms written one after the other, each in a transaction of its own."""
    org, actor, _ = _people(given.org)
    clients = _client_ids(org)
    times = []
    for number in range(given.rounds + 20):
        fields = {"kind": "note", "content": _remark(number)}
        entity = {"entity_type": "client", "entity_id": clients[number % len(clients)]}
        at = datetime.now(UTC)
        times.append(
            _timed(lambda all_of={**fields, **entity}, at=at: write_atom(org=org, actor=actor, at=at, **all_of))
        )
    return {"single": times[20:]}


def _redact(given: argparse.Namespace) -> dict[str, Any]:
    """All that is known of a client with so many atoms, gone in one call."""
    org, actor, _ = _people(given.org)
    times = []
    for number in range(given.rounds):
        at = datetime.now(UTC)
        client = create_client(org=org, fields={"name": f"Forgotten {number}"}, actor=actor, at=at)
        drafts = [
            Draft("note", _remark(place), "client", client.pk, at, source_type="manual", slot=f"{number}-{place}")
            for place in range(given.atoms)
        ]
        for start in range(0, len(drafts), _AT_ONCE):
            with org_scope(org):
                held_ledger(org)
                write_atoms(org=org, drafts=drafts[start : start + _AT_ONCE], actor=actor, at=at)
        with org_scope(org):
            _count_terms(org, at)
        target = Target(entity=("client", client.pk))
        times.append(_timed(lambda t=target, at=at: redact(org=org, target=t, reason="Trial", actor=actor, at=at)))
        with org_scope(org):
            left = AtomLink.objects.for_org(org).filter(client=client).exclude(atom__state="redacted").count()
        assert left == 0, left
    return {"times": times}


def _remark(number: int) -> str:
    """A sentence that is like no other: nearly the same about one client would be taken for a repetition."""
    dice = random.Random(number)
    return " ".join(dice.choice(_WORDS) for _ in range(12)).capitalize() + "."


def _timed(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _people(org_id: int) -> tuple[Organization, Actor, User]:
    with system_scope("bench"):
        org: Organization = Organization.objects.get(pk=org_id)
    with org_scope(org):
        membership = Membership.objects.for_org(org).select_related("user").order_by("pk")[0]
        return org, Actor.for_membership(membership, origin=Origin.USER), membership.user


def _client_ids(org: Organization) -> list[int]:
    with org_scope(org):
        return list(Client.objects.for_org(org).order_by("pk").values_list("pk", flat=True))


def _count_terms(org: Organization, at: datetime) -> None:
    """One whole pass over the words."""
    while refresh_terms(org=org, actor=Actor.system("bench"), at=at):
        pass


def _analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
