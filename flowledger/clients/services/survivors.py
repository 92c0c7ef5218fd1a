"""Whom a tombstone stands for: a merge keeps the loser, and everybody who names it means the survivor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowledger.clients.models import Client, Contact
from flowledger.errors import Conflict
from flowledger.tenancy.models import Organization


def survivor_of(row: Any) -> Any:
    """The contact or client itself, or the one that it was merged into; one query for a tombstone, none otherwise."""
    if row.canonical_id is None:
        return row
    return type(row).objects.for_org(row.org_id).fetch(row.canonical_id)


def standing(model: type[Client] | type[Contact], *, org: Organization, pk: int) -> Any:
    """The row with this id, or the one that it was merged into. Raises NotFound."""
    return survivor_of(model.objects.for_org(org).fetch(pk))


def survivor_ids(model: type[Client] | type[Contact], *, org: Organization, ids: Iterable[int]) -> dict[int, int]:
    """For each of the ids that is a tombstone's the id of its survivor, from one query; the others are left out."""
    rows = model.objects.for_org(org).filter(pk__in=list(ids), canonical__isnull=False)
    return dict(rows.values_list("pk", "canonical_id"))


def require_standing(row: Client | Contact) -> None:
    """Raise Conflict, which names the survivor, for a tombstone: it cannot be written."""
    if row.canonical_id is not None:
        kind = row._meta.model_name
        raise Conflict(
            f"This {kind} was merged into {kind} {row.canonical_id}; make your change there.",
            **{f"{kind}_id": row.canonical_id},
        )
