"""Field usage: how often what a profile asks for is known, from which source, and how often it is met."""

from __future__ import annotations

from typing import Any, get_args

from flowledger.tenancy.models import Organization
from spotlight.models import SpotlightCriterion
from spotlight.rules import Source
from workstream.reports import Period, Report
from workstream.reports.tables import asked, percent

# So many signals, the newest of the period, are looked at; more would cost seconds and say the same.
SAMPLE = 2_000
SOURCES: tuple[str, ...] = get_args(Source)

# A component is [criterion, credit or null, value seen, source].
_USAGE = """
SELECT (component ->> 0)::bigint AS criterion_id, component ->> 3 AS source, count(*) AS signals,
       count(*) FILTER (WHERE (component ->> 1)::numeric = 1) AS met,
       count(*) FILTER (WHERE (component ->> 1)::numeric > 0 AND (component ->> 1)::numeric < 1) AS partial,
       count(*) FILTER (WHERE (component ->> 1)::numeric = 0) AS unmet
  FROM (SELECT id FROM workstream_signal
         WHERE org_id = %(org_id)s AND ts >= %(since)s AND ts < %(until)s
         ORDER BY ts DESC, id DESC LIMIT %(newest)s) s
  JOIN spotlight_spotlightscore c ON c.org_id = %(org_id)s AND c.signal_id = s.id
  JOIN spotlight_spotlight p ON p.org_id = %(org_id)s AND p.id = c.spotlight_id AND p.version = c.spotlight_version
   AND (p.id = %(spotlight_id)s OR (%(spotlight_id)s::bigint IS NULL AND p.active))
 CROSS JOIN LATERAL jsonb_array_elements(c.components) component
 GROUP BY 1, 2
"""


def field_usage(*, org: Organization, period: Period, spotlight_id: int | None = None, newest: int = SAMPLE) -> Report:
    """Every criterion of the active profiles, or of one, over so many of the newest signals of the period.

    Scores of an earlier version say nothing of the profile as it is and are left out. `known` are the signals with a
    readable value, by source; met, partial and unmet are parts of these.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    known = {
        "org_id": org.pk,
        "since": period.since,
        "until": period.until,
        "newest": newest,
        "spotlight_id": spotlight_id,
    }
    for row in asked(_USAGE, known):
        found.setdefault(row["criterion_id"], []).append(row)
    criteria = SpotlightCriterion.objects.for_org(org).select_related("spotlight", "field")
    chosen = {"spotlight__active": True} if spotlight_id is None else {"spotlight": spotlight_id}
    ordered = criteria.filter(**chosen).order_by("spotlight__name", "spotlight", "position", "pk")
    return Report(rows=[_row(criterion, found.get(criterion.pk, [])) for criterion in ordered], period=period)


def _row(criterion: SpotlightCriterion, groups: list[dict[str, Any]]) -> dict[str, Any]:
    met, partial, unmet = (sum(group[name] for group in groups) for name in ("met", "partial", "unmet"))
    signals, known = sum(group["signals"] for group in groups), met + partial + unmet
    sources = dict.fromkeys(SOURCES, 0)
    for group in groups:
        if group["source"] in sources:
            sources[group["source"]] += group["met"] + group["partial"] + group["unmet"]
    return {
        "spotlight_id": criterion.spotlight_id,
        "spotlight_name": criterion.spotlight.name,
        "criterion_id": criterion.pk,
        "field_name": criterion.field.field_name,
        "criterion": str(criterion),
        "weight": criterion.weight,
        "required": criterion.required,
        "signals": signals,
        "known": known,
        **{f"from_{source}": count for source, count in sources.items()},
        "met": met,
        "partial": partial,
        "unmet": unmet,
        "known_percent": percent(known, signals),
        "met_percent": percent(met, known),
        "partial_percent": percent(partial, known),
        "unmet_percent": percent(unmet, known),
    }
