"""Keeping the tallies short: many small changes become one row for each group, and nothing is counted anew."""

from __future__ import annotations

from django.db import connection, transaction

from workstream.models import ItemTally

# Below so many rows adding them up costs next to nothing.
WORTH_FOLDING = 200
FOLD_BATCH = 20_000

# The rows of one organisation go and their sums come, in one statement: a reader sees the ones or the others. Rows that
# another fold holds are left to it.
FOLD = """
    WITH gone AS (
        DELETE FROM {table} WHERE org_id = %(org)s AND id IN (
            SELECT id FROM {table} WHERE org_id = %(org)s ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
        )
        RETURNING *
    )
    INSERT INTO {table}
        (org_id, created_at, updated_at, row_version, item_type, state, currency, count, valued, value, weighted)
    SELECT org_id, max(created_at), max(updated_at), 1, item_type, state, currency,
        sum(count), sum(valued), sum(value), sum(weighted)
    FROM gone GROUP BY org_id, item_type, state, currency
    HAVING (sum(count), sum(valued), sum(value), sum(weighted)) IS DISTINCT FROM (0, 0, 0, 0)
"""


def fold_tallies(*, org_id: int) -> None:
    """Put the committed tallies of an organisation together. Any number of folds may run beside each other."""
    statement = FOLD.format(table=connection.ops.quote_name(ItemTally._meta.db_table))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, {"org": org_id, "batch": FOLD_BATCH})
