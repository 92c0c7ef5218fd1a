"""The statements of legal holds."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from memory.models.entities import ENTITY_MODELS

# A hold covers all that its entity is linked to; one branch a kind of entity, each by the index of standing holds.
_HELD = " UNION ".join(
    f"SELECT link.atom_id FROM memory_legalhold hold "
    f"JOIN memory_atomlink link ON link.org_id = hold.org_id AND link.{name}_id = hold.{name}_id "
    f"WHERE hold.org_id = %(org_id)s AND hold.{name}_id IS NOT NULL AND hold.released_at IS NULL "
    f"AND link.atom_id = ANY(%(atom_ids)s)"
    for name in ENTITY_MODELS
)
_HOLDS = "SELECT EXISTS (SELECT FROM memory_legalhold WHERE org_id = %s AND released_at IS NULL)"
_TAKE_LEDGER = "SELECT id FROM memory_memoryledger WHERE org_id = %s FOR UPDATE"


def held(*, org_id: int, atom_ids: Collection[int]) -> set[int]:
    """Which of the atoms a standing hold covers."""
    with connection.cursor() as cursor:
        # Most organisations have none, and then nothing else is looked at.
        cursor.execute(_HOLDS, [org_id])
        (standing,) = cursor.fetchone() or (False,)
        if not standing:
            return set()
        cursor.execute(_HELD, {"org_id": org_id, "atom_ids": list(atom_ids)})
        return {atom_id for (atom_id,) in cursor.fetchall()}


def take_ledger(*, org_id: int) -> None:
    """Hold the ledger alone to the end of the transaction: nobody archives, redacts or writes meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_LEDGER, [org_id])
