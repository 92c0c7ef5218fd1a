"""The statements that change many candidates at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import connection

_SET_ICP = """
UPDATE workstream_candidate candidate
   SET icp_score = fit.score, icp_band = fit.band, row_version = candidate.row_version + 1, updated_at = %(at)s
  FROM unnest(%(ids)s::bigint[], %(scores)s::numeric[], %(bands)s::text[]) AS fit (id, score, band)
  JOIN workstream_candidate before ON before.org_id = %(org)s AND before.id = fit.id
 WHERE candidate.org_id = %(org)s AND candidate.id = before.id
   AND (before.icp_score, before.icp_band) IS DISTINCT FROM (fit.score, fit.band)
RETURNING candidate.id, before.icp_score IS DISTINCT FROM candidate.icp_score, before.icp_band <> candidate.icp_band
"""


def set_icp(
    *, org_id: int, ids: Sequence[int], scores: Sequence[Decimal | None], bands: Sequence[str], at: datetime
) -> list[tuple[int, bool, bool]]:
    """Write customer fits where they differ, for the caller who has locked the candidates.

    Answers the candidates that changed, each with whether its score and whether its band did.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _SET_ICP, {"org": org_id, "ids": list(ids), "scores": list(scores), "bands": list(bands), "at": at}
        )
        return sorted(cursor.fetchall())
