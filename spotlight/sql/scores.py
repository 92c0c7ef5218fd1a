"""The statements that read and store scores, their history and the best of each item, for many items at once.

`item` is the column of the kind of item, signal or candidate. A score is stored only over the row version that it was
compared with, and never over a newer version of its profile: what another transaction stored meanwhile stays, and the
caller looks again. Rows are written in the order of items and profiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from spotlight.models import SCORED_MODELS

_STORED = """
SELECT {item}_id, spotlight_id, row_version, spotlight_version, match_score, recommendation, coverage, components
  FROM spotlight_spotlightscore
 WHERE org_id = %(org)s AND {item}_id = ANY(%(items)s) AND spotlight_id = ANY(%(spotlights)s)
"""
_STORE = """
INSERT INTO spotlight_spotlightscore AS score (
    org_id, created_at, updated_at, row_version, {item}_id, spotlight_id, spotlight_version, match_score,
    recommendation, coverage, matched_fields, total_fields, components, algorithm_version, evaluated_at)
SELECT %(org)s, %(at)s, %(at)s, new.*, %(algorithm)s, %(at)s
  FROM ROWS FROM (
       unnest(%(row_versions)s::int[], %(items)s::bigint[], %(spotlights)s::bigint[], %(versions)s::int[],
              %(scores)s::numeric[], %(recommendations)s::text[], %(coverages)s::numeric[], %(matched)s::smallint[],
              %(totals)s::smallint[]),
       jsonb_array_elements(%(components)s::jsonb)) AS new
ON CONFLICT (org_id, {item}_id, spotlight_id) WHERE {item}_id IS NOT NULL DO UPDATE
   SET updated_at = excluded.updated_at, row_version = excluded.row_version,
       spotlight_version = excluded.spotlight_version, match_score = excluded.match_score,
       recommendation = excluded.recommendation, coverage = excluded.coverage,
       matched_fields = excluded.matched_fields, total_fields = excluded.total_fields,
       components = excluded.components, algorithm_version = excluded.algorithm_version,
       evaluated_at = excluded.evaluated_at
 WHERE score.row_version = excluded.row_version - 1 AND score.spotlight_version <= excluded.spotlight_version
RETURNING score.{item}_id, score.spotlight_id
"""
_ADD_CHANGES = """
INSERT INTO spotlight_spotlightscorechange (
    org_id, created_at, updated_at, row_version, happened_at, cause, {item}_id, spotlight_id, previous_score,
    match_score, previous_recommendation, recommendation, previous_version, spotlight_version, components)
SELECT %(org)s, %(at)s, %(at)s, 1, %(at)s, %(cause)s, new.*
  FROM ROWS FROM (
       unnest(%(items)s::bigint[], %(spotlights)s::bigint[], %(previous_scores)s::numeric[], %(scores)s::numeric[],
              %(previous_recommendations)s::text[], %(recommendations)s::text[], %(previous_versions)s::int[],
              %(versions)s::int[]),
       jsonb_array_elements(%(components)s::jsonb)) AS new
"""
# Whoever computes the best of an item holds its row meanwhile: two at once would each miss the other's scores.
_HOLD_FITS = """
SELECT {item}_id FROM spotlight_spotlightfit
 WHERE org_id = %(org)s AND {item}_id = ANY(%(items)s) ORDER BY {item}_id FOR NO KEY UPDATE
"""
_OPEN_FITS = """
INSERT INTO spotlight_spotlightfit AS fit (
    org_id, created_at, updated_at, row_version, {item}_id, spotlight_id, match_score, recommendation, coverage,
    is_override, evaluated_at)
SELECT %(org)s, %(at)s, %(at)s, 1, new.*, false, %(at)s
  FROM unnest(%(items)s::bigint[], %(spotlights)s::bigint[], %(scores)s::numeric[], %(recommendations)s::text[],
              %(coverages)s::numeric[]) AS new
ON CONFLICT (org_id, {item}_id) WHERE {item}_id IS NOT NULL DO UPDATE SET row_version = fit.row_version
RETURNING fit.{item}_id, fit.xmax = 0 -- 0 for a row that is new
"""
_SETTLE_FITS = """
WITH standing AS (
    SELECT score.{item}_id AS item_id, score.spotlight_id, spotlight.name, score.spotlight_version,
           coalesce(override.match_score, score.match_score) AS match_score,
           coalesce(override.recommendation, score.recommendation) AS recommendation,
           score.coverage, override.id IS NOT NULL AS is_override
      FROM spotlight_spotlightscore score
      JOIN spotlight_spotlight spotlight ON spotlight.org_id = score.org_id AND spotlight.id = score.spotlight_id
      LEFT JOIN spotlight_scoreoverride override
        ON override.org_id = score.org_id AND override.{item}_id = score.{item}_id
       AND override.spotlight_id = score.spotlight_id AND override.ended_at IS NULL
     WHERE score.org_id = %(org)s AND score.{item}_id = ANY(%(items)s) AND spotlight.active
), best AS MATERIALIZED (
    SELECT DISTINCT ON (item_id) * FROM standing
     ORDER BY item_id, array_position(%(ranks)s::text[], recommendation::text), match_score DESC, coverage DESC,
              spotlight_id
), dropped AS (
    DELETE FROM spotlight_spotlightfit fit
     WHERE fit.org_id = %(org)s AND fit.{item}_id = ANY(%(items)s)
       AND NOT EXISTS (SELECT FROM best WHERE best.item_id = fit.{item}_id)
    RETURNING fit.{item}_id AS item_id
), moved AS (
    UPDATE spotlight_spotlightfit fit
       SET spotlight_id = best.spotlight_id, match_score = best.match_score, recommendation = best.recommendation,
           coverage = best.coverage, is_override = best.is_override, evaluated_at = %(at)s, updated_at = %(at)s,
           row_version = fit.row_version + 1
      FROM best
     WHERE fit.org_id = %(org)s AND fit.{item}_id = best.item_id
       AND (fit.spotlight_id, fit.match_score, fit.recommendation, fit.coverage, fit.is_override) IS DISTINCT FROM
           (best.spotlight_id, best.match_score, best.recommendation, best.coverage, best.is_override)
    RETURNING fit.{item}_id AS item_id
)
SELECT best.item_id, best.spotlight_id, best.name, best.spotlight_version, best.match_score, best.recommendation,
       best.coverage, best.is_override, moved.item_id IS NOT NULL
  FROM best LEFT JOIN moved ON moved.item_id = best.item_id
UNION ALL
SELECT item_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true FROM dropped
"""


class Stored(NamedTuple):
    """A score as it is stored; `components` is JSON text."""

    item_id: int
    spotlight_id: int
    row_version: int
    version: int
    match_score: Decimal
    recommendation: str
    coverage: Decimal
    components: str


class NewScore(NamedTuple):
    """A score to store; `row_version` is one more than that of the row that it was compared with, 1 for none."""

    row_version: int
    item_id: int
    spotlight_id: int
    version: int
    match_score: Decimal
    recommendation: str
    coverage: Decimal
    matched_fields: int
    total_fields: int
    components: str


class NewChange(NamedTuple):
    """One move of a score; `components` is JSON text."""

    item_id: int
    spotlight_id: int
    previous_score: Decimal
    match_score: Decimal
    previous_recommendation: str
    recommendation: str
    previous_version: int
    version: int
    components: str


class Best(NamedTuple):
    """What an item scores at best."""

    spotlight_id: int
    name: str
    version: int
    match_score: Decimal
    recommendation: str
    coverage: Decimal
    is_override: bool


class Settled(NamedTuple):
    """The best of an item, None when no active profile has a score of it, and whether that was stored just now."""

    item_id: int
    best: Best | None
    is_moved: bool


def stored(*, org_id: int, item: str, items: Sequence[int], spotlights: Sequence[int]) -> dict[tuple[int, int], Stored]:
    """The scores of items against these profiles, by item and profile."""
    with connection.cursor() as cursor:
        cursor.execute(_of(item, _STORED), {"org": org_id, "items": list(items), "spotlights": list(spotlights)})
        rows = [Stored(*row) for row in cursor.fetchall()]
    return {(row.item_id, row.spotlight_id): row for row in rows}


def store(*, org_id: int, item: str, scores: Sequence[NewScore], algorithm: str, at: datetime) -> set[tuple[int, int]]:
    """Insert and update scores in one statement; answers which were stored, by item and profile."""
    row_versions, items, spotlights, versions, points, recommendations, coverages, matched, totals, components = zip(
        *scores, strict=True
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _of(item, _STORE),
            {
                "org": org_id,
                "at": at,
                "algorithm": algorithm,
                "row_versions": list(row_versions),
                "items": list(items),
                "spotlights": list(spotlights),
                "versions": list(versions),
                "scores": list(points),
                "recommendations": list(recommendations),
                "coverages": list(coverages),
                "matched": list(matched),
                "totals": list(totals),
                "components": _together(components),
            },
        )
        return set(cursor.fetchall())


def add_changes(*, org_id: int, item: str, changes: Sequence[NewChange], cause: str, at: datetime) -> None:
    """Write history, in one statement."""
    items, spotlights, before, after, named_before, named_after, old, new, components = zip(*changes, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _of(item, _ADD_CHANGES),
            {
                "org": org_id,
                "at": at,
                "cause": cause,
                "items": list(items),
                "spotlights": list(spotlights),
                "previous_scores": list(before),
                "scores": list(after),
                "previous_recommendations": list(named_before),
                "recommendations": list(named_after),
                "previous_versions": list(old),
                "versions": list(new),
                "components": _together(components),
            },
        )


def hold_fits(*, org_id: int, item: str, items: Sequence[int]) -> set[int]:
    """Lock the rows that hold the best of each item; answers which items have one."""
    with connection.cursor() as cursor:
        cursor.execute(_of(item, _HOLD_FITS), {"org": org_id, "items": list(items)})
        return {pk for (pk,) in cursor.fetchall()}


def open_fits(*, org_id: int, item: str, fits: Sequence[tuple[int, Best]], at: datetime) -> set[int]:
    """Insert the best of items that have none yet, or lock what somebody else has inserted; answers the inserted."""
    with connection.cursor() as cursor:
        cursor.execute(
            _of(item, _OPEN_FITS),
            {
                "org": org_id,
                "at": at,
                "items": [pk for pk, _ in fits],
                "spotlights": [best.spotlight_id for _, best in fits],
                "scores": [best.match_score for _, best in fits],
                "recommendations": [best.recommendation for _, best in fits],
                "coverages": [best.coverage for _, best in fits],
            },
        )
        return {pk for pk, is_new in cursor.fetchall() if is_new}


def settle_fits(*, org_id: int, item: str, items: Sequence[int], ranks: Sequence[str], at: datetime) -> list[Settled]:
    """Bring the best of each item up to its scores and standing overrides, for the caller who holds their rows.

    `ranks` are the recommendations from the best down; among equal ones the higher score counts, then the coverage.
    """
    with connection.cursor() as cursor:
        cursor.execute(_of(item, _SETTLE_FITS), {"org": org_id, "items": list(items), "ranks": list(ranks), "at": at})
        return [
            Settled(pk, Best(*best) if best[0] is not None else None, is_moved)
            for pk, *best, is_moved in cursor.fetchall()
        ]


def _together(documents: Iterable[str]) -> str:
    """JSON texts as one: an array of them would have every quotation mark escaped on its way."""
    return f"[{','.join(documents)}]"


def _of(item: str, statement: str) -> str:
    if item not in SCORED_MODELS:
        raise ValueError(f"Signals and candidates are scored, not {item}.")
    return statement.format(item=item)
