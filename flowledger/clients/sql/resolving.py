"""Writing what the resolution of many signals decided: one statement for each kind of change, however many rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from django.db import connection

from flowledger.clients.identity_keys import Key

Side = Literal["contact", "client"]


class Pointed(NamedTuple):
    """A key that pointed nowhere and names somebody now."""

    key: Key
    contact_id: int | None
    client_id: int | None
    confidence: Decimal


class Completed(NamedTuple):
    """What a contact gets where it has nothing."""

    contact_id: int
    name: str
    email: str
    phone: str
    client_id: int | None


class Pair(NamedTuple):
    """Two contacts or two clients that want a person's judgement; the smaller id is first."""

    side: Side
    one: int
    other: int
    kind: str
    score: Decimal
    rules: list[dict[str, Any]]

    @property
    def ids(self) -> tuple[Side, int, int]:
        return (self.side, self.one, self.other)


class StoredPair(NamedTuple):
    """A pair as it stands in the review queue."""

    pk: int
    status: str
    is_new: bool


def point_keys(org_id: int, pointed: Sequence[Pointed]) -> None:
    """Make keys that are locked name whom they were resolved to."""
    if not pointed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE clients_identitykey k
               SET contact_id = w.contact_id, client_id = w.client_id, status = 'auto', confidence = w.confidence,
                   row_version = k.row_version + 1, updated_at = statement_timestamp()
              FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::numeric[])
                   AS w (key_type, key_value, contact_id, client_id, confidence)
             WHERE k.org_id = %s AND k.key_type = w.key_type AND k.key_value = w.key_value
            """,
            [
                [one.key.type for one in pointed],
                [one.key.value for one in pointed],
                [one.contact_id for one in pointed],
                [one.client_id for one in pointed],
                [one.confidence for one in pointed],
                org_id,
            ],
        )


def mark_keys(org_id: int, *, conflicting: Iterable[Key], shared: Mapping[Key, Decimal]) -> None:
    """Note on keys that are locked that they contradicted another one, or that several people share them."""
    contradicted = set(conflicting)
    keys = sorted(contradicted | set(shared))
    if not keys:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE clients_identitykey k
               SET status = coalesce(w.status, k.status), confidence = least(w.confidence, k.confidence),
                   row_version = k.row_version + 1, updated_at = statement_timestamp()
              FROM unnest(%s::text[], %s::text[], %s::text[], %s::numeric[])
                   AS w (key_type, key_value, status, confidence)
             WHERE k.org_id = %s AND k.key_type = w.key_type AND k.key_value = w.key_value
            """,
            [
                [key.type for key in keys],
                [key.value for key in keys],
                ["conflict" if key in contradicted else None for key in keys],
                [shared.get(key) for key in keys],
                org_id,
            ],
        )


def complete_contacts(org_id: int, wanted: Sequence[Completed]) -> dict[int, dict[str, Any]]:
    """Fill what is blank on contacts, what is there stays; answers what was filled and what it was before.

    A contact that somebody else has locked is left out: the next signal fills it as well. Tombstones are left alone.
    """
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH held AS MATERIALIZED (
                SELECT c.id, c.name, c.email, c.phone, c.client_id FROM clients_contact c
                 WHERE c.org_id = %s AND c.id = ANY (%s) AND c.canonical_id IS NULL
                 ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE clients_contact c
               SET name = coalesce(nullif(c.name, ''), w.name), email = coalesce(nullif(c.email, ''), w.email),
                   phone = coalesce(nullif(c.phone, ''), w.phone), client_id = coalesce(c.client_id, w.client_id),
                   row_version = c.row_version + 1, updated_at = statement_timestamp()
              FROM held JOIN unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[])
                   AS w (id, name, email, phone, client_id) ON w.id = held.id
             WHERE c.org_id = %s AND c.id = held.id AND (
                   c.name = '' AND w.name <> '' OR c.email = '' AND w.email <> ''
                   OR c.phone = '' AND w.phone <> '' OR c.client_id IS NULL AND w.client_id IS NOT NULL)
            RETURNING c.id, held.name = '' AND c.name <> '', held.email = '' AND c.email <> '',
                      held.phone = '' AND c.phone <> '', held.client_id IS NULL AND c.client_id IS NOT NULL
            """,
            [
                org_id,
                [one.contact_id for one in wanted],
                [one.contact_id for one in wanted],
                [one.name for one in wanted],
                [one.email for one in wanted],
                [one.phone for one in wanted],
                [one.client_id for one in wanted],
                org_id,
            ],
        )
        before: dict[str, Any] = {"name": "", "email": "", "phone": "", "client_id": None}
        return {
            pk: {field: blank for (field, blank), is_filled in zip(before.items(), filled, strict=True) if is_filled}
            for pk, *filled in cursor.fetchall()
        }


def keep_pairs(org_id: int, pairs: Iterable[Pair], *, at: datetime) -> dict[tuple[Side, int, int], StoredPair]:
    """Enter pairs into the review queue, or count them again; what a person has decided stays decided.

    One statement for contacts and one for clients, pairs in order: transactions that share pairs never deadlock.
    """
    best: dict[tuple[Side, int, int], Pair] = {}
    counts: dict[tuple[Side, int, int], int] = {}
    for pair in pairs:
        known = best.get(pair.ids)
        counts[pair.ids] = counts.get(pair.ids, 0) + 1
        # Keys that contradict say more than likeness does.
        if known is None or (pair.kind == "conflict", pair.score) > (known.kind == "conflict", known.score):
            best[pair.ids] = pair
    stored: dict[tuple[Side, int, int], StoredPair] = {}
    sides: tuple[Side, ...] = ("client", "contact")
    for side in sides:
        mine = [best[ids] for ids in sorted(best) if ids[0] == side]
        if mine:
            stored |= _keep(org_id, side, mine, [counts[pair.ids] for pair in mine], at)
    return stored


def _keep(
    org_id: int, side: Side, pairs: Sequence[Pair], counts: Sequence[int], at: datetime
) -> dict[tuple[Side, int, int], StoredPair]:
    one, other = f"{side}_id", f"other_{side}_id"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO clients_identityconflict AS c (org_id, created_at, updated_at, row_version, kind, {one},
                {other}, score, explanation, occurrences, first_seen, last_seen, status, note)
            SELECT %s, statement_timestamp(), statement_timestamp(), 1, kind, one, other, score, explanation::jsonb,
                occurrences, %s, %s, 'open', ''
              FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::numeric[], %s::text[], %s::integer[])
                   WITH ORDINALITY AS w (kind, one, other, score, explanation, occurrences, place)
             ORDER BY place
            ON CONFLICT (org_id, {one}, {other}) WHERE {one} IS NOT NULL DO UPDATE SET
                occurrences = c.occurrences + excluded.occurrences,
                first_seen = least(c.first_seen, excluded.first_seen),
                last_seen = greatest(c.last_seen, excluded.last_seen),
                kind = CASE WHEN c.status = 'open' AND excluded.kind = 'conflict' THEN 'conflict' ELSE c.kind END,
                row_version = c.row_version + 1, updated_at = excluded.updated_at
            RETURNING c.id, c.{one}, c.{other}, c.status, c.xmax = 0 -- 0 for a row that is new
            """,  # noqa: S608  (the names of columns are ours)
            [
                *(org_id, at, at),
                [pair.kind for pair in pairs],
                [pair.one for pair in pairs],
                [pair.other for pair in pairs],
                [pair.score for pair in pairs],
                [json.dumps({"rules": pair.rules}) for pair in pairs],
                list(counts),
            ],
        )
        return {
            (side, first, second): StoredPair(pk, status, is_new)
            for pk, first, second, status, is_new in cursor.fetchall()
        }
