"""The statements that archive what is due, and that move expiry to rules that changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from memory.rules import Kinds
from memory.sql import relevance

# By the partial index over expires_at, in its order, across organisations.
_DUE = """
SELECT org_id, id, expires_at FROM memory_atom
 WHERE state = 'active' AND NOT is_pinned AND expires_at IS NOT NULL AND expires_at <= %(at)s
   AND (expires_at, id) > (%(after_at)s, %(after_id)s)
 ORDER BY expires_at, id LIMIT %(limit)s
"""
# Locked by key; what somebody else holds is left for the next time.
_TAKE = """
SELECT id FROM memory_atom
 WHERE org_id = %(org_id)s AND id = ANY(%(atom_ids)s) AND state = 'active' AND NOT is_pinned
   AND expires_at IS NOT NULL AND expires_at <= %(at)s
 ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
_ARCHIVE = """
UPDATE memory_atom
   SET state = 'archived', archived_at = %(at)s, updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org_id)s AND id = ANY(%(atom_ids)s)
RETURNING id, CASE
    WHEN valid_until IS NOT NULL AND valid_until <= %(at)s THEN 'validity'
    WHEN last_seen_at + make_interval(days => (%(rel_kept_days)s::jsonb ->> kind)::int) <= %(at)s THEN 'retention'
    ELSE 'expiry' END
"""
# A batch of active atoms by key: how many there were, the last of them, and those with another expiry than the rules.
_RENEW = f"""
WITH batch AS (
    SELECT id FROM memory_atom
     WHERE org_id = %(org_id)s AND id > %(after_id)s AND state = 'active'
     ORDER BY id LIMIT %(limit)s
), held AS (
    SELECT atom.id, {relevance.points("atom")} AS points,
           {relevance.expires_at("atom", points=relevance.points("atom"))} AS expires_at
      FROM memory_atom atom
     WHERE atom.org_id = %(org_id)s AND atom.id IN (SELECT id FROM batch) AND atom.state = 'active'
     ORDER BY atom.id FOR NO KEY UPDATE OF atom
), renewed AS (
    UPDATE memory_atom atom
       SET base_score = held.points, expires_at = held.expires_at, updated_at = %(rel_at)s,
           row_version = atom.row_version + 1
      FROM held
     WHERE atom.org_id = %(org_id)s AND atom.id = held.id
       AND (atom.base_score, atom.expires_at) IS DISTINCT FROM (held.points, held.expires_at)
    RETURNING atom.id
)
SELECT (SELECT count(*) FROM batch), (SELECT max(id) FROM batch),
       coalesce((SELECT array_agg(id ORDER BY id) FROM renewed), '{{}}')
"""
_FOLLOWED = "SELECT org_id, expiry_rule, expiry_after FROM memory_memoryledger ORDER BY org_id"


class Due(NamedTuple):
    """An atom whose time has come."""

    org_id: int
    atom_id: int
    expires_at: datetime


class Renewed(NamedTuple):
    """A batch that was looked at: how many atoms, the last one's key, and those that got another expiry."""

    seen: int
    last_id: int | None
    atom_ids: list[int]


class Followed(NamedTuple):
    """The digest of the rules that an organisation's expiries follow, and up to which atom; null for all."""

    org_id: int
    rule: str
    after_id: int | None


def due(*, at: datetime, after: tuple[datetime, int], limit: int) -> list[Due]:
    """Atoms of all organisations that are due, after one of them; in a system scope."""
    after_at, after_id = after
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"at": at, "after_at": after_at, "after_id": after_id, "limit": limit})
        return [Due(*row) for row in cursor.fetchall()]


def take_due(*, org_id: int, atom_ids: Sequence[int], at: datetime) -> list[int]:
    """Lock those of the atoms that are still due."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"org_id": org_id, "atom_ids": list(atom_ids), "at": at})
        return [atom_id for (atom_id,) in cursor.fetchall()]


def archive(*, org_id: int, atom_ids: Sequence[int], kinds: Kinds, at: datetime) -> list[tuple[int, str]]:
    """Archive locked atoms; answers each with the cause."""
    known: dict[str, Any] = {"org_id": org_id, "atom_ids": list(atom_ids), "at": at}
    with connection.cursor() as cursor:
        cursor.execute(_ARCHIVE, known | relevance.parameters(kinds, at=at))
        return sorted(cursor.fetchall())


def renew(*, org_id: int, kinds: Kinds, after_id: int, limit: int, at: datetime) -> Renewed:
    """Give a batch of active atoms the points and the expiry of the rules."""
    known: dict[str, Any] = {"org_id": org_id, "after_id": after_id, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, known | relevance.parameters(kinds, at=at))
        seen, last_id, atom_ids = cursor.fetchone() or (0, None, [])
        return Renewed(seen, last_id, list(atom_ids))


def followed_rules() -> list[Followed]:
    """What the expiries of every organisation with a memory follow; in a system scope."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOWED)
        return [Followed(*row) for row in cursor.fetchall()]
