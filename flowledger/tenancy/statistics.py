"""The planner's statistics of tables that have just begun to grow.

A plan that was made for an empty table reads all of it, and sessions keep such plans, those of foreign keys too, until
the table is analysed. Autovacuum does that once a minute at best; a thousand rows a second do not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, models

# Pages that a table may have beyond twice of what its statistics know.
_PAGES = 8

_OUTGROWN = """
    SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.oid = ANY(%s::regclass[]::oid[])
      AND pg_relation_size(c.oid) / current_setting('block_size')::bigint > 2 * c.relpages + %s
    ORDER BY c.oid
"""


def analyse_outgrown(tables: Sequence[type[models.Model]]) -> list[str]:
    """Analyse those of the tables that have more than doubled since they were analysed; answers their names.

    For writers of many rows, between two of their transactions: the lock of ANALYZE lasts as long as its transaction.
    Cheap where nothing is to be done: one look at the catalogue.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OUTGROWN, [[f'public."{model._meta.db_table}"' for model in tables], _PAGES])
        outgrown = [name for (name,) in cursor.fetchall()]
        for name in outgrown:
            cursor.execute(f"ANALYZE (SKIP_LOCKED) {name}")
    return outgrown
