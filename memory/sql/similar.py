"""The statements that find closed pursuits with traits of another, and read the traits and lessons of pursuits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import TextChoices

from flowledger.clients.models import SizeBand
from memory.deals import Deal, Trait
from memory.rules import Kinds
from memory.sql import relevance
from workstream.models.candidates import ValueBand
from workstream.models.signals import SourceType

# Those that share the most by weight, without looking at their signals; of equal ones the latest closed.
_NEAREST = """
WITH asked AS (
    SELECT p.id, p.owner_id, c.problem_id, c.solution_id, c.value_band,
           nullif(lower(btrim(cl.industry)), '') AS industry, nullif(cl.size_band, '') AS size_band
      FROM workstream_pursuit p
      JOIN workstream_candidate c ON c.org_id = p.org_id AND c.id = p.candidate_id
      LEFT JOIN clients_client cl ON cl.org_id = p.org_id AND cl.id = p.client_id
     WHERE p.org_id = %(org)s AND p.id = %(pursuit)s)
SELECT p.id
  FROM asked a
 CROSS JOIN workstream_pursuit p
  JOIN workstream_candidate c ON c.org_id = p.org_id AND c.id = p.candidate_id
  LEFT JOIN clients_client cl ON cl.org_id = p.org_id AND cl.id = p.client_id
 CROSS JOIN LATERAL (
       SELECT coalesce((lower(btrim(cl.industry)) = a.industry)::int, 0) * %(industry)s::float8
            + coalesce((cl.size_band = a.size_band)::int, 0) * %(size_band)s::float8
            + coalesce((c.problem_id = a.problem_id)::int, 0) * %(problem)s::float8
            + coalesce((c.solution_id = a.solution_id)::int, 0) * %(solution)s::float8
            + (c.value_band = a.value_band)::int * %(value_band)s::float8
            + coalesce((p.owner_id = a.owner_id)::int, 0) * %(owner)s::float8 AS shared) AS common
 WHERE p.org_id = %(org)s AND p.stage = %(stage)s AND p.id <> a.id
 ORDER BY common.shared DESC, p.state_entered_at DESC, p.id DESC
 LIMIT %(most)s
"""
# The source of a deal is the channel of its first signal.
_TRAITS = """
SELECT p.id, p.title, p.stage, p.client_id, coalesce(cl.name, ''), p.forecast_value, p.currency, p.closed_at,
       coalesce(btrim(cl.industry), ''), coalesce(cl.size_band, ''), c.problem_id, coalesce(pr.name, ''),
       c.solution_id, coalesce(so.name, ''), c.value_band, p.owner_id,
       coalesce(nullif(btrim(concat_ws(' ', u.first_name, u.last_name)), ''), u.username, ''),
       coalesce((SELECT s.source_type
                   FROM workstream_candidatesignal l
                   JOIN workstream_signal s ON s.org_id = l.org_id AND s.id = l.signal_id
                  WHERE l.org_id = p.org_id AND l.candidate_id = p.candidate_id
                  ORDER BY s.ts, s.id LIMIT 1), '')
  FROM workstream_pursuit p
  JOIN workstream_candidate c ON c.org_id = p.org_id AND c.id = p.candidate_id
  LEFT JOIN clients_client cl ON cl.org_id = p.org_id AND cl.id = p.client_id
  LEFT JOIN workstream_problem pr ON pr.org_id = c.org_id AND pr.id = c.problem_id
  LEFT JOIN workstream_solution so ON so.org_id = c.org_id AND so.id = c.solution_id
  LEFT JOIN tenancy_user u ON u.id = p.owner_id
 WHERE p.org_id = %(org)s AND p.id = ANY(%(pursuits)s)
"""
# What was said of each pursuit and of what belongs to it, the most relevant first.
_LESSONS = f"""
SELECT pursuit_id, atom_id, relevance
  FROM (SELECT l.pursuit_id, atom.id AS atom_id, {relevance.relevance()} AS relevance,
               row_number() OVER (PARTITION BY l.pursuit_id
                                  ORDER BY {relevance.relevance()} DESC, atom.occurred_at DESC, atom.id DESC) AS place
          FROM memory_atomlink l
          JOIN memory_atom atom ON atom.org_id = l.org_id AND atom.id = l.atom_id
         WHERE l.org_id = %(org)s AND l.pursuit_id = ANY(%(pursuits)s) AND l.kind = ANY(%(kinds)s)
           AND atom.state = 'active' AND atom.audience = ANY(%(audiences)s)) ranked
 WHERE place <= %(each)s
 ORDER BY pursuit_id, place
"""


def nearest_pursuits(*, org_id: int, pursuit_id: int, stage: str, weights: Mapping[str, float], most: int) -> list[int]:
    """The pursuits in this stage that share the most with another one, by the weights of the features."""
    with connection.cursor() as cursor:
        wanted: dict[str, Any] = {**weights, "org": org_id, "pursuit": pursuit_id, "stage": stage, "most": most}
        cursor.execute(_NEAREST, wanted)
        return [pk for (pk,) in cursor.fetchall()]


def deals(*, org_id: int, pursuit_ids: Sequence[int]) -> dict[int, Deal]:
    """Pursuits with what is known of them."""
    with connection.cursor() as cursor:
        cursor.execute(_TRAITS, {"org": org_id, "pursuits": list(pursuit_ids)})
        return {row[0]: _deal(row) for row in cursor.fetchall()}


def lessons(
    *,
    org_id: int,
    pursuit_ids: Sequence[int],
    kinds: Sequence[str],
    audiences: Sequence[str],
    each: int,
    rules: Kinds,
    at: datetime,
) -> list[tuple[int, int, float]]:
    """(pursuit, atom, relevance) of the most relevant active atoms of each pursuit, at most `each`."""
    with connection.cursor() as cursor:
        wanted: dict[str, Any] = {
            "org": org_id,
            "pursuits": list(pursuit_ids),
            "kinds": list(kinds),
            "audiences": list(audiences),
        }
        cursor.execute(_LESSONS, {**wanted, "each": each, **relevance.parameters(rules, at=at)})
        return [(pursuit_id, atom_id, float(worth)) for pursuit_id, atom_id, worth in cursor.fetchall()]


def _deal(row: Sequence[Any]) -> Deal:
    pursuit_id, title, stage, client_id, client_name, value, currency, closed_at = row[:8]
    industry, size_band, problem_id, problem, solution_id, solution, value_band, owner_id, owner, source = row[8:]
    found = [
        ("industry", industry.lower(), industry),
        ("size_band", size_band, _label(SizeBand, size_band)),
        ("problem", _key(problem_id), problem),
        ("solution", _key(solution_id), solution),
        ("value_band", value_band, _label(ValueBand, value_band)),
        ("source", source, _label(SourceType, source)),
        ("owner", _key(owner_id), owner),
    ]
    return Deal(
        pursuit_id=pursuit_id,
        title=title,
        stage=stage,
        client_id=client_id,
        client_name=client_name,
        forecast_value=Decimal(value),
        currency=currency,
        closed_at=closed_at,
        traits=tuple(Trait(*each) for each in found if each[1]),
    )


def _key(pk: int | None) -> str:
    return "" if pk is None else str(pk)


def _label(choices: type[TextChoices], value: str) -> str:
    return str(choices(value).label) if value else ""
