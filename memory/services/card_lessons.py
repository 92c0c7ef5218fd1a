"""What deals like an open one teach, on its card: named by id when the card is made, read when it is shown.

No text of another entity is stored with a card, so that a redaction there has nothing to clean here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flowledger.tenancy.models import Organization
from memory.cards.composing import LINE_CHARACTERS, clipped, written
from memory.models import Atom
from memory.services.similar import lessons_for
from workstream.machines import OPEN_STAGES
from workstream.models import Pursuit

LESSONS_SHOWN = 3


def lessons_to_show(
    org: Organization, entity_type: str, entity_id: int, *, audience: str, at: datetime
) -> list[dict[str, Any]]:
    """The lost deals most like an open pursuit and the atoms that say why; nothing for any other entity."""
    if entity_type != "pursuit":
        return []
    if not Pursuit.objects.for_org(org).filter(pk=entity_id, stage__in=OPEN_STAGES).exists():
        return []
    found = lessons_for(org=org, pursuit_id=entity_id, audience=audience, at=at, limit=LESSONS_SHOWN)
    return [
        {
            "pursuit_id": each.similar.deal.pursuit_id,
            "likeness": round(each.similar.likeness.score, 2),
            "alike": [trait.feature for trait in each.similar.likeness.shared],
            "atom_ids": [lesson.atom.pk for lesson in each.lessons],
        }
        for each in found
    ]


def lessons_in_words(org: Organization, named: Sequence[Any], *, audiences: Sequence[str]) -> list[dict[str, Any]]:
    """The lessons that a card names, as they read now: what was archived or redacted since is not among them."""
    if not named:
        return []
    wanted = {atom_id for lesson in named for atom_id in lesson["atom_ids"]}
    rows = Atom.objects.for_org(org).active().filter(pk__in=wanted, audience__in=audiences)
    atoms = {atom.pk: atom for atom in rows.only("kind", "content", "occurred_at")}
    pursuits = Pursuit.objects.for_org(org).only("title", "stage", "closed_at")
    deals = pursuits.in_bulk([lesson["pursuit_id"] for lesson in named])
    return [
        {
            "pursuit_id": lesson["pursuit_id"],
            "title": deals[lesson["pursuit_id"]].title,
            "stage": deals[lesson["pursuit_id"]].stage,
            "likeness": lesson["likeness"],
            "alike": lesson["alike"],
            "atoms": [_line(atoms[atom_id]) for atom_id in lesson["atom_ids"] if atom_id in atoms],
        }
        for lesson in named
        if lesson["pursuit_id"] in deals and any(atom_id in atoms for atom_id in lesson["atom_ids"])
    ]


def _line(atom: Atom) -> dict[str, Any]:
    return {
        "atom_id": atom.pk,
        "atom_type": atom.kind,
        "text": clipped(atom.content, LINE_CHARACTERS),
        "occurred_at": written(atom.occurred_at),
    }
