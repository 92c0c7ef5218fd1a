"""Conversion by band: how many signals of each recommendation became candidates, pursuits and wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.tenancy.models import Organization
from spotlight.models import Recommendation
from workstream.reports import Period, Report
from workstream.reports.tables import asked, percent

REACHED = ("signals", "with_candidate", "with_pursuit", "won", "lost")

_CONVERSION = """
SELECT recommendation, count(*) AS signals,
       count(*) FILTER (WHERE has_candidate) AS with_candidate,
       count(*) FILTER (WHERE has_pursuit) AS with_pursuit,
       count(*) FILTER (WHERE has_won) AS won,
       count(*) FILTER (WHERE has_lost AND NOT has_won) AS lost
  FROM (SELECT s.id, c.recommendation, bool_or(l.id IS NOT NULL) AS has_candidate,
               bool_or(p.id IS NOT NULL) AS has_pursuit,
               bool_or(coalesce(p.stage = 'won', false)) AS has_won,
               bool_or(coalesce(p.stage = 'lost', false)) AS has_lost
          FROM workstream_signal s
          JOIN {scores} c ON c.org_id = s.org_id AND c.signal_id = s.id {of_profile}
          LEFT JOIN workstream_candidatesignal l ON l.org_id = s.org_id AND l.signal_id = s.id
          LEFT JOIN workstream_pursuit p ON p.org_id = l.org_id AND p.candidate_id = l.candidate_id
         WHERE s.org_id = %(org_id)s AND s.ts >= %(since)s AND s.ts < %(until)s
         GROUP BY s.id, c.recommendation) reached
 GROUP BY recommendation
"""
_BY_BEST = _CONVERSION.format(scores="spotlight_spotlightfit", of_profile="")
_BY_PROFILE = _CONVERSION.format(scores="spotlight_spotlightscore", of_profile="AND c.spotlight_id = %(spotlight_id)s")


def conversion(*, org: Organization, period: Period, spotlight_id: int | None = None) -> Report:
    """Signals of the period per band and what became of them by now; every band has a row, the best first.

    The band is the best of the active profiles, overrides included, or with `spotlight_id` what this profile computed,
    as it stands now. A signal with several candidates counts as far as the one that got farthest.
    """
    known = {"org_id": org.pk, "since": period.since, "until": period.until, "spotlight_id": spotlight_id}
    found = {row["recommendation"]: row for row in asked(_BY_BEST if spotlight_id is None else _BY_PROFILE, known)}
    nothing = dict.fromkeys(REACHED, 0)
    rows = [_row({**nothing, **found.get(band, {})}) | {"recommendation": band} for band in Recommendation.values]
    totals = _row({name: sum(row[name] for row in rows) for name in REACHED})
    return Report(rows=rows, period=period, totals=totals)


def _row(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts with their shares: of the signals, and of what was decided."""
    return {
        **counts,
        "candidate_percent": percent(counts["with_candidate"], counts["signals"]),
        "pursuit_percent": percent(counts["with_pursuit"], counts["signals"]),
        "won_percent": percent(counts["won"], counts["signals"]),
        "win_rate_percent": percent(counts["won"], counts["won"] + counts["lost"]),
    }
