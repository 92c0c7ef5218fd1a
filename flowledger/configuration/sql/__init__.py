"""The raw SQL of configuration: the stamp, what holds from a moment on, and whose time has come."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection


class StoredValue(NamedTuple):
    """One version of one key as it is stored."""

    rule_type: str
    key: str
    # None: in this range the default holds.
    value: Any
    effective_from: datetime
    effective_to: datetime | None


def look(org_id: int) -> tuple[int, datetime]:
    """The organisation's stamp (0: nothing was ever set) and the database's time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT version FROM configuration_configstamp WHERE org_id = %s), 0), clock_timestamp()",
            [org_id],
        )
        (row,) = cursor.fetchall()
    return row[0], row[1]


def values_from(org_id: int, moment: datetime) -> list[StoredValue]:
    """What holds at the moment or will hold later, in the order of time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rule_type, key, value::text, effective_from, effective_to FROM configuration_configvalue "
            "WHERE org_id = %s AND (effective_to IS NULL OR effective_to > %s) "
            "AND effective_to IS DISTINCT FROM effective_from ORDER BY rule_type, key, effective_from",
            [org_id, moment],
        )
        return [
            StoredValue(row[0], row[1], None if row[2] is None else json.loads(row[2]), row[3], row[4])
            for row in cursor.fetchall()
        ]


def move_stamp(org_id: int) -> tuple[int, datetime]:
    """Raise the stamp and keep its row locked, so that the organisation's changes come one after another.

    Answers the stamp and the database's time, read once the lock is held.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO configuration_configstamp (org_id, version, row_version, created_at, updated_at) "
            "VALUES (%s, 1, 1, statement_timestamp(), statement_timestamp()) "
            "ON CONFLICT (org_id) DO UPDATE SET version = configuration_configstamp.version + 1, "
            "row_version = configuration_configstamp.row_version + 1, updated_at = statement_timestamp() "
            "RETURNING version",
            [org_id],
        )
        ((stamp,),) = cursor.fetchall()
        cursor.execute("SELECT clock_timestamp()")
        ((moment,),) = cursor.fetchall()
    return stamp, moment


class Come(NamedTuple):
    """A version whose time has come; `is_followed`: another one begins where it ends."""

    org_id: int
    id: int
    rule_type: str
    key: str
    version: int
    moment: datetime
    has_ended: bool
    is_followed: bool


# By the database's clock as well: by that one values are read. What somebody else holds is left for the next time.
_TAKE_COME = """
WITH due AS MATERIALIZED (
    SELECT id, org_id, announce_at FROM configuration_configvalue
     WHERE announce_at IS NOT NULL AND announce_at <= least(%(at)s, statement_timestamp())
     ORDER BY announce_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE configuration_configvalue config
       SET announce_at = CASE WHEN due.announce_at = config.effective_from THEN config.effective_to END,
           row_version = config.row_version + 1, updated_at = statement_timestamp()
      FROM due WHERE config.org_id = due.org_id AND config.id = due.id
    RETURNING config.org_id, config.id, config.rule_type, config.key, config.version, due.announce_at AS moment,
              due.announce_at <> config.effective_from AS has_ended
)
SELECT taken.*, EXISTS (
           SELECT FROM configuration_configvalue later
            WHERE later.org_id = taken.org_id AND later.rule_type = taken.rule_type AND later.key = taken.key
              AND later.id <> taken.id AND later.effective_from = taken.moment
              AND later.effective_to IS DISTINCT FROM later.effective_from)
  FROM taken ORDER BY taken.moment, taken.id
"""


def take_come(*, at: datetime, limit: int) -> list[Come]:
    """Versions that began or ended by then and have not told of it; they never will again. Crosses organisations."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_COME, {"at": at, "limit": limit})
        return [Come._make(row) for row in cursor.fetchall()]
