"""Keeping what could not become a signal: many in one statement, the same bytes once while they wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection


class NewReject(NamedTuple):
    """One reject to keep; `errors` and `fields` are JSON text."""

    sha256: str
    body: bytes
    content_type: str
    occurrences: int
    code: str
    reason: str
    errors: str
    fields: str


class KeptReject(NamedTuple):
    """Where it is kept; not new where the same bytes were waiting already."""

    id: int
    sha256: str
    is_new: bool


# In the order of their hashes, so that two transactions with the same ones cannot wait for each other. What somebody
# is fixing keeps its fields and its reason.
_KEEP = """
INSERT INTO workstream_intakereject AS kept (org_id, created_at, updated_at, row_version, channel, source_id, sender,
    received_at, last_received_at, status, note, sha256, body, content_type, occurrences, code, reason, errors, fields)
SELECT %(org_id)s, now(), now(), 1, %(channel)s, %(source_id)s, %(sender)s, %(at)s, %(at)s, 'open', '',
    sha256, body, content_type, occurrences, code, reason, errors::jsonb, fields::jsonb
  FROM unnest(%(sha256)s::text[], %(body)s::bytea[], %(content_type)s::text[], %(occurrences)s::int[],
      %(code)s::text[], %(reason)s::text[], %(errors)s::text[], %(fields)s::text[])
    AS new (sha256, body, content_type, occurrences, code, reason, errors, fields)
 ORDER BY sha256
ON CONFLICT (org_id, channel, source_id, sha256) WHERE status = 'open' DO UPDATE
   SET occurrences = kept.occurrences + EXCLUDED.occurrences,
       last_received_at = greatest(kept.last_received_at, EXCLUDED.last_received_at),
       row_version = kept.row_version + 1, updated_at = now()
RETURNING id, sha256, xmax = 0
"""


def keep(
    *, org_id: int, channel: str, source_id: int | None, sender: str, at: datetime, rejects: Sequence[NewReject]
) -> list[KeptReject]:
    """Insert rejects of one channel and source, or count them where the same bytes are open; no hash twice."""
    columns = {name: [getattr(reject, name) for reject in rejects] for name in NewReject._fields}
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            {"org_id": org_id, "channel": channel, "source_id": source_id, "sender": sender, "at": at, **columns},
        )
        return [KeptReject(*row) for row in cursor.fetchall()]
