"""The statement that counts won and lost pursuits by their traits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

# A trait of each closed pursuit a row; the row without a value says that there could be one. What is remembered counts
# when it was said before the pursuit was submitted (what was said of the outcome explains nothing) and everyone may
# read it, and of pursuits of which anything had been remembered by then.
_COUNTS = """
WITH closed AS MATERIALIZED (
    SELECT p.id, p.stage = 'won' AS is_won, p.owner_id, p.candidate_id, p.submitted_at, c.problem_id, c.solution_id,
           c.value_band, btrim(cl.industry) AS industry, cl.size_band, cl.country
      FROM workstream_pursuit p
      JOIN workstream_candidate c ON c.org_id = p.org_id AND c.id = p.candidate_id
      LEFT JOIN clients_client cl ON cl.org_id = p.org_id AND cl.id = p.client_id
     WHERE p.org_id = %(org)s AND p.closed_at >= %(since)s AND p.closed_at < %(until)s
), remembered AS MATERIALIZED (
    SELECT DISTINCT closed.id, atom.kind
      FROM closed
      JOIN memory_atomlink l ON l.org_id = %(org)s AND l.pursuit_id = closed.id AND l.occurred_at < closed.submitted_at
      JOIN memory_atom atom ON atom.org_id = l.org_id AND atom.id = l.atom_id
     WHERE atom.state <> 'redacted' AND atom.audience = 'everyone'
), trait (pursuit_id, feature, value, label) AS (
    SELECT id, 'industry', lower(industry), industry FROM closed WHERE industry <> ''
     UNION ALL SELECT id, 'size_band', size_band, size_band FROM closed WHERE size_band <> ''
     UNION ALL SELECT id, 'country', country, country FROM closed WHERE country <> ''
     UNION ALL SELECT id, 'value_band', value_band, value_band FROM closed
     UNION ALL
    SELECT closed.id, 'problem', pr.id::text, pr.name
      FROM closed JOIN workstream_problem pr ON pr.org_id = %(org)s AND pr.id = closed.problem_id
     UNION ALL
    SELECT closed.id, 'solution', so.id::text, so.name
      FROM closed JOIN workstream_solution so ON so.org_id = %(org)s AND so.id = closed.solution_id
     UNION ALL
    SELECT closed.id, 'owner', u.id::text,
           coalesce(nullif(btrim(concat_ws(' ', u.first_name, u.last_name)), ''), u.username)
      FROM closed JOIN tenancy_user u ON u.id = closed.owner_id
     UNION ALL
    (SELECT DISTINCT ON (closed.id) closed.id, 'source', s.source_type, s.source_type
       FROM closed
       JOIN workstream_candidatesignal l ON l.org_id = %(org)s AND l.candidate_id = closed.candidate_id
       JOIN workstream_signal s ON s.org_id = l.org_id AND s.id = l.signal_id
      ORDER BY closed.id, s.ts, s.id)
     UNION ALL SELECT id, 'tag', '', '' FROM closed
     UNION ALL
    (SELECT closed.id, 'tag', lower(tag.name), tag.name
       FROM closed
       JOIN workstream_pursuittag t ON t.org_id = %(org)s AND t.pursuit_id = closed.id
       JOIN workstream_tag tag ON tag.org_id = t.org_id AND tag.id = t.tag_id
      UNION
     SELECT closed.id, 'tag', lower(tag.name), tag.name
       FROM closed
       JOIN workstream_candidatetag t ON t.org_id = %(org)s AND t.candidate_id = closed.candidate_id
       JOIN workstream_tag tag ON tag.org_id = t.org_id AND tag.id = t.tag_id)
     UNION ALL (SELECT DISTINCT id, 'remembered', '', '' FROM remembered)
     UNION ALL
    SELECT id, 'remembered', kind, kind FROM remembered WHERE kind IN ('decision', 'risk', 'preference')
)
SELECT trait.feature, trait.value, min(trait.label),
       count(*) FILTER (WHERE closed.is_won), count(*) FILTER (WHERE NOT closed.is_won)
  FROM trait JOIN closed ON closed.id = trait.pursuit_id
 WHERE trait.feature = ANY(%(features)s)
 GROUP BY trait.feature, trait.value
"""
_TOTALS = """
SELECT count(*) FILTER (WHERE stage = 'won'), count(*) FILTER (WHERE stage = 'lost')
  FROM workstream_pursuit
 WHERE org_id = %(org)s AND closed_at >= %(since)s AND closed_at < %(until)s
"""


class Counted(NamedTuple):
    """The closed pursuits with a trait; without a value those of which it is known whether they have one."""

    feature: str
    value: str
    label: str
    won: int
    lost: int


def counts(*, org_id: int, since: datetime, until: datetime, features: Sequence[str]) -> list[Counted]:
    """Won and lost pursuits that were closed in the time, by trait."""
    with connection.cursor() as cursor:
        wanted: dict[str, Any] = {"org": org_id, "since": since, "until": until, "features": list(features)}
        cursor.execute(_COUNTS, wanted)
        return [Counted(*row) for row in cursor.fetchall()]


def totals(*, org_id: int, since: datetime, until: datetime) -> tuple[int, int]:
    """How many pursuits were won and how many were lost in the time."""
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, {"org": org_id, "since": since, "until": until})
        won, lost = cursor.fetchone()
        return int(won), int(lost)
