"""Moving every reference to one row over to another, one statement a foreign key, and back again.

Rows are locked in the order of their keys, so that a merge and another sweep over the same rows wait for each other
instead of deadlocking. What moved is written by the statement that moves it: a hundred thousand rows never come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from flowledger.clients.merge_graph import Reference

# By itself: joined to what changes the rows, an order is a plan that reads them all for each one where the planner
# expects few.
_LOCK = """
SELECT count(*) FROM (
    SELECT row.id FROM {table} row WHERE row.org_id = %(org)s AND row.{column} = %(pk)s
     ORDER BY row.id FOR NO KEY UPDATE) AS locked
"""

# The trail is written from the rows as they were; both halves of the statement see the same, which `_LOCK` holds.
_MOVE = """
WITH trail AS (
    INSERT INTO clients_mergedrow (org_id, created_at, updated_at, row_version, merge_id, model, field, row_id,
                                   version_before, version_after, updated_before)
    SELECT %(org)s, %(at)s, %(at)s, 1, %(merge)s, %(model)s, %(field)s, row.id, row.row_version, row.row_version + 1,
           row.updated_at
      FROM {table} row
     WHERE row.org_id = %(org)s AND row.{column} = %(loser)s AND row.id <> ALL(%(left)s)
    -- Moved before and written back since by somebody who had read it earlier: its first move is what an undo is about.
    ON CONFLICT (org_id, merge_id, model, field, row_id) DO NOTHING)
UPDATE {table} row
   SET {column} = %(survivor)s, row_version = row.row_version + 1, updated_at = %(at)s
 WHERE row.org_id = %(org)s AND row.{column} = %(loser)s AND row.id <> ALL(%(left)s)
"""

_MOVE_BACK = """
WITH returned AS (
    UPDATE {table} row
       SET {column} = %(loser)s,
           row_version = CASE WHEN row.row_version = trail.version_after AND row.updated_at = trail.created_at
                              THEN trail.version_before ELSE row.row_version + 1 END,
           updated_at = CASE WHEN row.row_version = trail.version_after AND row.updated_at = trail.created_at
                             THEN trail.updated_before ELSE %(at)s END
      FROM clients_mergedrow trail
     WHERE trail.org_id = %(org)s AND trail.merge_id = %(merge)s AND trail.model = %(model)s
       AND trail.field = %(field)s AND trail.row_id = row.id
       AND row.org_id = %(org)s AND row.{column} = %(survivor)s AND row.id <> ALL(%(left)s)
    RETURNING row.id,
              row.row_version = trail.version_before AND row.updated_at = trail.updated_before AS is_untouched)
SELECT count(*), count(*) FILTER (WHERE NOT is_untouched),
       coalesce((array_agg(id ORDER BY id) FILTER (WHERE NOT is_untouched))[:%(most)s], '{{}}')
  FROM returned
"""

# As sets, not joined: the planner may take either side for a handful of rows.
_ELSEWHERE = """
WITH strayed AS MATERIALIZED (
    SELECT trail.row_id FROM clients_mergedrow trail
     WHERE trail.org_id = %(org)s AND trail.merge_id = %(merge)s AND trail.model = %(model)s AND trail.field = %(field)s
    EXCEPT
    SELECT row.id FROM {table} row WHERE row.org_id = %(org)s AND row.{column} = %(survivor)s),
listed AS (SELECT row_id, count(*) OVER () AS total FROM strayed ORDER BY row_id LIMIT %(most)s)
SELECT listed.row_id,
       NOT EXISTS (SELECT FROM {table} row WHERE row.org_id = %(org)s AND row.id = listed.row_id),
       (SELECT row.{column} FROM {table} row WHERE row.org_id = %(org)s AND row.id = listed.row_id),
       listed.total
  FROM listed ORDER BY listed.row_id
"""

# A loop over both sides would be quadratic where the statistics are older than the merge.
_PLAN_LOOPS = "SELECT set_config('enable_nestloop', %s, true)"


class Returned(NamedTuple):
    """How many references an undo gave back, how many of their rows were changed since, and which, up to a limit."""

    returned: int
    changed: int
    changed_ids: list[int]


class Elsewhere(NamedTuple):
    """A row that a merge moved and that names the survivor no more: it is gone, or names another (or nobody).

    `total` is how many such rows there are in all.
    """

    row_id: int
    is_gone: bool
    names: int | None
    total: int


def move(
    reference: Reference, *, org_id: int, merge_id: int, survivor: int, loser: int, left: Sequence[int], at: datetime
) -> int:
    """Let every row that names the loser name the survivor, except those in `left`; answers how many did."""
    with connection.cursor() as cursor:
        cursor.execute(_filled(_LOCK, reference), {"org": org_id, "pk": loser})
        cursor.execute(
            _filled(_MOVE, reference),
            {**_names(reference, org_id, merge_id), "survivor": survivor, "loser": loser, "left": list(left), "at": at},
        )
        moved: int = cursor.rowcount
    return moved


def move_back(
    reference: Reference,
    *,
    org_id: int,
    merge_id: int,
    survivor: int,
    loser: int,
    left: Sequence[int],
    most: int,
    at: datetime,
) -> Returned:
    """Give the loser back what the merge moved and what still names the survivor, except the rows in `left`.

    A row that nobody changed since gets its version and its time back as well.
    """
    with connection.cursor() as cursor:
        cursor.execute(_filled(_LOCK, reference), {"org": org_id, "pk": survivor})
        cursor.execute(_PLAN_LOOPS, ["off"])
        cursor.execute(
            _filled(_MOVE_BACK, reference),
            {
                **_names(reference, org_id, merge_id),
                "survivor": survivor,
                "loser": loser,
                "left": list(left),
                "most": most,
                "at": at,
            },
        )
        returned = Returned(*cursor.fetchone())
        cursor.execute(_PLAN_LOOPS, ["on"])
    return returned


def elsewhere(reference: Reference, *, org_id: int, merge_id: int, survivor: int, most: int) -> list[Elsewhere]:
    """What the merge moved and what does not name the survivor now, up to `most` rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            _filled(_ELSEWHERE, reference),
            {**_names(reference, org_id, merge_id), "survivor": survivor, "most": most},
        )
        return [Elsewhere(*row) for row in cursor.fetchall()]


def _filled(statement: str, reference: Reference) -> str:
    quote = connection.ops.quote_name
    return statement.format(table=quote(reference.table), column=quote(reference.column))


def _names(reference: Reference, org_id: int, merge_id: int) -> dict[str, Any]:
    return {"org": org_id, "merge": merge_id, "model": reference.model_label, "field": reference.field_name}
