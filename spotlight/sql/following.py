"""The statements that find what a client or contact has in the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

# The newest of each subject; one more than wanted says that there are more.
_NEWEST = {
    ("signal", "client"): """
    SELECT s.id, i.id FROM unnest(%(ids)s::bigint[]) AS s (id), LATERAL (
        SELECT id FROM workstream_signal
         WHERE org_id = %(org)s AND client_id = s.id AND client_id IS NOT NULL AND disposition <> 'rejected'
         ORDER BY ts DESC, id DESC LIMIT %(most)s) AS i
    """,
    ("signal", "contact"): """
    SELECT s.id, i.id FROM unnest(%(ids)s::bigint[]) AS s (id), LATERAL (
        SELECT id FROM workstream_signal
         WHERE org_id = %(org)s AND contact_id = s.id AND contact_id IS NOT NULL AND disposition <> 'rejected'
         ORDER BY ts DESC, id DESC LIMIT %(most)s) AS i
    """,
    ("candidate", "client"): """
    SELECT s.id, i.id FROM unnest(%(ids)s::bigint[]) AS s (id), LATERAL (
        SELECT id FROM workstream_candidate
         WHERE org_id = %(org)s AND client_id = s.id AND client_id IS NOT NULL
           AND status NOT IN ('promoted', 'archived')
         ORDER BY id DESC LIMIT %(most)s) AS i
    """,
    ("candidate", "contact"): """
    SELECT s.id, i.id FROM unnest(%(ids)s::bigint[]) AS s (id), LATERAL (
        SELECT id FROM workstream_candidate
         WHERE org_id = %(org)s AND contact_id = s.id AND contact_id IS NOT NULL
           AND status NOT IN ('promoted', 'archived')
         ORDER BY id DESC LIMIT %(most)s) AS i
    """,
}


def newest_items(
    *, org_id: int, item_type: str, subject: str, subject_ids: Sequence[int], most: int
) -> dict[int, list[int]]:
    """The newest signals, or open candidates, of each client or contact, newest first, at most `most` of each."""
    found: dict[int, list[int]] = {}
    if subject_ids:
        with connection.cursor() as cursor:
            wanted: dict[str, Any] = {"org": org_id, "ids": list(subject_ids), "most": most}
            cursor.execute(_NEWEST[item_type, subject], wanted)
            for subject_id, item_id in cursor.fetchall():
                found.setdefault(subject_id, []).append(item_id)
    return found
