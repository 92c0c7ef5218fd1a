"""The statements behind the Today panel: rows computed from the items, their clocks and breaches, many at once.

Whoever writes rows of an organisation's panel holds its lock (`lock_panel`); the statements after it see what was
committed before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from workstream.machines import OPEN_STAGES, CandidateStatus
from workstream.models.sla import SlaMetric
from workstream.models.today import Badge, NextVerb, Tier, Urgency

LISTED_STATUSES = (CandidateStatus.TRIAGED, CandidateStatus.NURTURE, CandidateStatus.ON_HOLD)
_PLACES = len(Badge) * len(Tier)


def _texts(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in map(str, values))


# The clock that decides how an item stands: an open breach, else what has warned, else what is due next.
_CLOCK = f"""
  LEFT JOIN LATERAL (
    SELECT found.place, found.metric, found.due_at
      FROM (SELECT 0 AS place, breach.metric, clock.due_at
              FROM workstream_slabreach breach
              JOIN workstream_slaclock clock ON clock.org_id = breach.org_id AND clock.id = breach.clock_id
             WHERE breach.org_id = $1 AND breach.{{item}}_id = item.id AND breach.resolved_at IS NULL
            UNION ALL
            SELECT CASE WHEN clock.warned_at IS NULL THEN 3
                        WHEN clock.metric = '{SlaMetric.DUE_DATE}' THEN 1 ELSE 2 END,
                   clock.metric, clock.due_at
              FROM workstream_slaclock clock
             WHERE clock.org_id = $1 AND clock.{{item}}_id = item.id AND clock.stopped_at IS NULL
               AND (clock.warned_at IS NOT NULL OR clock.rule_id IS NOT NULL AND clock.paused_at IS NULL)) AS found
     ORDER BY found.place, found.due_at NULLS LAST, found.metric LIMIT 1) AS sla ON true
"""
_TAGS = """ARRAY(SELECT tag.name FROM workstream_{item}tag link
                   JOIN workstream_tag tag ON tag.org_id = link.org_id AND tag.id = link.tag_id
                  WHERE link.org_id = $1 AND link.{item}_id = item.id ORDER BY tag.name, tag.id)"""
_CANDIDATES = f"""
SELECT item.id AS candidate_id, NULL::bigint AS pursuit_id, item.title AS label, item.client_id,
       item.status AS state, item.owner_id, {_TAGS} AS tags, item.value_band, item.icp_band, item.last_touch_at,
       item.next_step_due AS due_date, sla.place, sla.metric, sla.due_at,
       CASE item.status WHEN '{CandidateStatus.NEW}' THEN '{NextVerb.TRIAGE}'
            WHEN '{CandidateStatus.ON_HOLD}' THEN '{NextVerb.RESUME}'
            WHEN '{CandidateStatus.NURTURE}' THEN '{NextVerb.LOG_CALL}'
            ELSE CASE WHEN sla.place < 3 AND sla.metric = '{SlaMetric.TOUCH}' THEN '{NextVerb.LOG_CALL}'
                      ELSE '{NextVerb.PROMOTE}' END END AS next_verb
  FROM workstream_candidate item {_CLOCK}
 WHERE item.org_id = $1 AND item.id = ANY($2)
   AND (item.status IN ({_texts(LISTED_STATUSES)})
        OR item.status = '{CandidateStatus.NEW}' AND (
           EXISTS (SELECT FROM workstream_slaclock clock
                    WHERE clock.org_id = $1 AND clock.candidate_id = item.id AND clock.stopped_at IS NULL
                      AND clock.metric = '{SlaMetric.TRIAGE}' AND clock.warned_at IS NOT NULL)
           OR EXISTS (SELECT FROM workstream_slabreach breach
                       WHERE breach.org_id = $1 AND breach.candidate_id = item.id
                         AND breach.resolved_at IS NULL)))
""".replace("{item}", "candidate")
_PURSUITS = f"""
SELECT NULL::bigint AS candidate_id, item.id AS pursuit_id, item.title AS label, item.client_id,
       item.stage AS state, item.owner_id, {_TAGS} AS tags,
       CASE WHEN item.forecast_value > 0 THEN coalesce(
              (SELECT floor.key FROM jsonb_each_text($4 -> 'floors') AS floor
                WHERE floor.value::numeric <= item.forecast_value ORDER BY floor.value::numeric DESC LIMIT 1), '')
            ELSE origin.value_band END AS value_band,
       origin.icp_band, item.last_touch_at, item.due_date, sla.place, sla.metric, sla.due_at,
       CASE WHEN sla.place < 3 AND sla.metric IN ('{SlaMetric.RESPONSE}', '{SlaMetric.TOUCH}')
                 THEN '{NextVerb.LOG_CALL}'
            WHEN item.stage = 'qual' THEN '{NextVerb.START_PINK}'
            WHEN item.stage IN ('pink', 'red') AND (item.pink_done < item.pink_required OR item.pink_required = 0)
                 THEN '{NextVerb.COMPLETE_PINK}'
            WHEN item.stage = 'pink' THEN '{NextVerb.START_RED}'
            WHEN item.stage = 'red' AND proposal.status IS NULL THEN '{NextVerb.WRITE_PROPOSAL}'
            WHEN item.stage = 'red' THEN '{NextVerb.SUBMIT}'
            WHEN item.red_done < item.red_required OR item.red_required = 0 THEN '{NextVerb.COMPLETE_RED}'
            WHEN proposal.status = 'signed' THEN '{NextVerb.WIN}'
            ELSE '{NextVerb.LOG_CALL}' END AS next_verb
  FROM workstream_pursuit item
  JOIN workstream_candidate origin ON origin.org_id = item.org_id AND origin.id = item.candidate_id {_CLOCK}
  LEFT JOIN LATERAL (
    SELECT version.status FROM workstream_proposal version
     WHERE version.org_id = $1 AND version.pursuit_id = item.id AND version.status <> 'void'
     ORDER BY version.version DESC LIMIT 1) AS proposal ON true
 WHERE item.org_id = $1 AND item.id = ANY($3) AND item.stage IN ({_texts(OPEN_STAGES)})
""".replace("{item}", "pursuit")

# Columns that the refresh writes, in the order in which it names them.
_WRITTEN = (
    "label",
    "client_name",
    "state",
    "owner_id",
    "tags",
    "value_band",
    "icp_band",
    "last_touch_at",
    "due_date",
    "sla_metric",
    "sla_due_at",
    "badge",
    "tier",
    "urgency",
    "next_verb",
    "urgency_points",
    "value_points",
    "stage_points",
    "workload_penalty",
    "priority_score",
)
_TIER = "CASE " + " ".join(
    f"WHEN {{score}} >= (weights.tiers ->> '{tier.label}')::int THEN {tier.value}" for tier in list(Tier)[:-1]
)
_TIER += f" ELSE {Tier.LOW.value} END"
_OTHER_POINTS = "outside.urgency_points + outside.value_points + outside.stage_points"
_URGENCIES = f"ARRAY[{_texts(list(Urgency))}]"

_REFRESH = f"""
WITH weights AS MATERIALIZED (
    SELECT w -> 'urgency' AS urgency, w -> 'bands' AS bands, w -> 'stages' AS stages, w -> 'tiers' AS tiers,
           (w ->> 'penalty')::int AS penalty, (w ->> 'most_penalty')::int AS most_penalty
      FROM (SELECT $4) AS given (w)),
found AS MATERIALIZED ({_CANDIDATES} UNION ALL {_PURSUITS}),
scored AS MATERIALIZED (
    SELECT found.*, coalesce(client.name, '') AS client_name,
           ({_URGENCIES})[coalesce(found.place, 3) + 1] AS urgency,
           CASE WHEN found.place = 0 THEN {Badge.RED.value} WHEN found.place < 3 THEN {Badge.AMBER.value}
                ELSE {Badge.GREEN.value} END AS badge,
           coalesce((weights.urgency ->> ({_URGENCIES})[coalesce(found.place, 3) + 1])::int, 0) AS urgency_points,
           greatest(coalesce((weights.bands ->> found.value_band)::int, 0),
                    coalesce((weights.bands ->> found.icp_band)::int, 0)) AS value_points,
           coalesce((weights.stages ->> found.state)::int, 0) AS stage_points
      FROM found CROSS JOIN weights
      LEFT JOIN clients_client client ON client.org_id = $1 AND client.id = found.client_id),
existing AS MATERIALIZED (
    SELECT row.id, row.candidate_id, row.pursuit_id, row.owner_id, row.badge, row.tier, row.snoozed_until
      FROM workstream_todayitem row WHERE row.org_id = $1 AND row.candidate_id = ANY($2)
    UNION ALL
    SELECT row.id, row.candidate_id, row.pursuit_id, row.owner_id, row.badge, row.tier, row.snoozed_until
      FROM workstream_todayitem row WHERE row.org_id = $1 AND row.pursuit_id = ANY($3)),
-- Rows beyond `counted` change no penalty: an owner's rows outside of this slice are looked at up to there.
workload AS MATERIALIZED (
    SELECT owners.owner_id, greatest(0, least(weights.most_penalty, weights.penalty * (
               (SELECT count(*) FROM scored WHERE scored.owner_id = owners.owner_id)
             + (SELECT count(*) FROM (
                    SELECT FROM workstream_todayitem row
                     WHERE row.org_id = $1 AND row.owner_id = owners.owner_id
                       AND row.id NOT IN (SELECT existing.id FROM existing)
                     LIMIT $5) AS others) - 1)))::int AS penalty
      FROM (SELECT owner_id FROM scored UNION SELECT owner_id FROM existing) AS owners CROSS JOIN weights
     WHERE owners.owner_id IS NOT NULL),
placed AS MATERIALIZED (
    SELECT ranked.*, {_TIER.format(score="ranked.priority_score")} AS tier
      FROM (SELECT existing.id, existing.snoozed_until, scored.candidate_id, scored.pursuit_id, scored.label,
                   scored.client_name, scored.state, scored.owner_id, scored.tags, scored.value_band, scored.icp_band,
                   scored.last_touch_at, scored.due_date, coalesce(scored.metric, '') AS sla_metric,
                   scored.due_at AS sla_due_at, scored.badge, scored.urgency, scored.next_verb, scored.urgency_points,
                   scored.value_points, scored.stage_points, coalesce(workload.penalty, 0) AS workload_penalty,
                   scored.urgency_points + scored.value_points + scored.stage_points
                       - coalesce(workload.penalty, 0) AS priority_score
              FROM scored
              LEFT JOIN existing ON coalesce(existing.candidate_id, -existing.pursuit_id)
                                  = coalesce(scored.candidate_id, -scored.pursuit_id)
              LEFT JOIN workload ON workload.owner_id = scored.owner_id) AS ranked CROSS JOIN weights),
stale AS MATERIALIZED (
    SELECT outside.id, outside.badge, outside.tier AS old_tier, outside.snoozed_until, workload.penalty,
           {_TIER.format(score=f"({_OTHER_POINTS} - workload.penalty)")} AS tier
      FROM workload CROSS JOIN weights
      CROSS JOIN LATERAL (
          SELECT row.* FROM workstream_todayitem row
           WHERE row.org_id = $1 AND row.owner_id = workload.owner_id AND row.workload_penalty < workload.penalty
          UNION ALL
          SELECT row.* FROM workstream_todayitem row
           WHERE row.org_id = $1 AND row.owner_id = workload.owner_id AND row.workload_penalty > workload.penalty
      ) AS outside
     WHERE outside.id NOT IN (SELECT existing.id FROM existing)),
-- Here and below keys are named as an array: joined, a plan made for an empty table reads the whole organisation.
removed AS (
    DELETE FROM workstream_todayitem row
     WHERE row.org_id = $1 AND row.id = ANY(ARRAY(SELECT existing.id FROM existing EXCEPT SELECT placed.id FROM placed))
    RETURNING 1),
changed AS (
    UPDATE workstream_todayitem row
       SET ({", ".join(_WRITTEN)}) = ({", ".join(f"placed.{name}" for name in _WRITTEN)}),
           row_version = row.row_version + 1, updated_at = $6
      FROM placed
     WHERE row.org_id = $1 AND row.id = placed.id AND row.id = ANY(ARRAY(SELECT existing.id FROM existing))
       AND ({", ".join(f"row.{name}" for name in _WRITTEN)})
           IS DISTINCT FROM ({", ".join(f"placed.{name}" for name in _WRITTEN)})
    RETURNING 1),
added AS (
    INSERT INTO workstream_todayitem (
        org_id, created_at, updated_at, row_version, candidate_id, pursuit_id, {", ".join(_WRITTEN)})
    SELECT $1, $6, $6, 1, placed.candidate_id, placed.pursuit_id, {", ".join(f"placed.{name}" for name in _WRITTEN)}
      FROM placed WHERE placed.id IS NULL
    RETURNING 1),
reweighed AS (
    UPDATE workstream_todayitem row
       SET workload_penalty = stale.penalty, tier = stale.tier,
           priority_score = row.urgency_points + row.value_points + row.stage_points - stale.penalty,
           row_version = row.row_version + 1, updated_at = $6
      FROM stale
     WHERE row.org_id = $1 AND row.id = stale.id AND row.id = ANY(ARRAY(SELECT stale.id FROM stale))
    RETURNING 1),
moves AS (
    SELECT badge, tier, -1 AS step FROM existing WHERE snoozed_until IS NULL
    UNION ALL SELECT badge, tier, 1 FROM placed WHERE snoozed_until IS NULL
    UNION ALL SELECT badge, old_tier, -1 FROM stale WHERE snoozed_until IS NULL
    UNION ALL SELECT badge, tier, 1 FROM stale WHERE snoozed_until IS NULL)
SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM changed), (SELECT count(*) FROM removed),
       (SELECT count(*) FROM reweighed),
       ARRAY(SELECT coalesce(sum(moves.step), 0)::int FROM generate_series(0, {_PLACES - 1}) AS place
               LEFT JOIN moves ON moves.badge * {len(Tier)} + moves.tier = place GROUP BY place ORDER BY place),
       set_config('plan_cache_mode', 'auto', true)
"""
# Planning takes ten times as long as running, so each connection plans it once. A changed text has another name.
_PREPARED = f"today_refresh_{hashlib.sha256(_REFRESH.encode()).hexdigest()[:16]}"
_PREPARE = f"PREPARE {_PREPARED} (bigint, bigint[], bigint[], jsonb, int, timestamptz) AS {_REFRESH}"
_EXECUTE = f"EXECUTE {_PREPARED} (%(org)s, %(candidates)s, %(pursuits)s, %(weights)s, %(counted)s, %(at)s)"
_IS_PREPARED = f"""
SELECT set_config('plan_cache_mode', 'force_generic_plan', true),
       EXISTS (SELECT FROM pg_prepared_statements WHERE name = '{_PREPARED}')
"""


_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended('workstream.today', %(org)s)),
       (SELECT ranking FROM workstream_todayversion WHERE org_id = %(org)s)
"""
_ADVANCE = """
INSERT INTO workstream_todayversion AS held (org_id, created_at, updated_at, row_version, version, counts, ranking)
VALUES (%(org)s, %(at)s, %(at)s, 1, 1, %(steps)s, %(ranking)s)
ON CONFLICT (org_id) DO UPDATE SET
    version = held.version + 1, row_version = held.row_version + 1, updated_at = EXCLUDED.updated_at,
    ranking = coalesce(nullif(EXCLUDED.ranking, ''), held.ranking),
    counts = ARRAY(SELECT each.have + each.step
                     FROM unnest(held.counts, EXCLUDED.counts) WITH ORDINALITY AS each (have, step, place)
                    ORDER BY each.place)
"""
_RECOUNT = f"""
UPDATE workstream_todayversion held
   SET counts = counted.counts, version = held.version + 1, row_version = held.row_version + 1, updated_at = %(at)s
  FROM (SELECT ARRAY(
            SELECT count(row.id)::int FROM generate_series(0, {_PLACES - 1}) AS place
              LEFT JOIN workstream_todayitem row ON row.org_id = %(org)s AND row.snoozed_until IS NULL
                        AND row.badge * {len(Tier)} + row.tier = place
             GROUP BY place ORDER BY place)) AS counted (counts)
 WHERE held.org_id = %(org)s AND held.counts <> counted.counts
"""


class Refreshed(NamedTuple):
    """How many rows a refresh added, changed, took away and gave another workload penalty; the counts it moved."""

    added: int
    changed: int
    removed: int
    reweighed: int
    steps: list[int]

    @property
    def anything(self) -> bool:
        return any((self.added, self.changed, self.removed, self.reweighed))


def lock_panel(*, org_id: int) -> str | None:
    """Wait until nobody else writes the organisation's panel, and keep others waiting until the transaction ends.

    Answers with the fingerprint of the weights that the rows were computed by; None before there was any row.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"org": org_id})
        ranking: str | None = cursor.fetchone()[1]
    return ranking


def refresh_rows(
    *,
    org_id: int,
    candidate_ids: Sequence[int],
    pursuit_ids: Sequence[int],
    weights: str,
    counted: int,
    at: datetime,
) -> Refreshed:
    """Make, change or remove the rows of these items, and give their owners' other rows the penalty that holds now.

    `weights` is a `Ranking` as JSON; `counted` is how many items of an owner can make a difference.
    """
    parameters: dict[str, Any] = {
        "org": org_id,
        "candidates": list(candidate_ids),
        "pursuits": list(pursuit_ids),
        "weights": weights,
        "counted": counted,
        "at": at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_IS_PREPARED)
        if not cursor.fetchone()[1]:
            cursor.execute(_PREPARE)
        cursor.execute(_EXECUTE, parameters)
        return Refreshed(*cursor.fetchone()[:5])


def advance_version(*, org_id: int, steps: Sequence[int], ranking: str = "", at: datetime) -> None:
    """Let the panel's version grow and its counts move by these steps."""
    with connection.cursor() as cursor:
        cursor.execute(_ADVANCE, {"org": org_id, "steps": list(steps), "ranking": ranking, "at": at})


def recount(*, org_id: int, at: datetime) -> bool:
    """Set the counts to what the rows say; answers whether they had said something else."""
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT, {"org": org_id, "at": at})
        return bool(cursor.rowcount)
