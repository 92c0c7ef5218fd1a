"""The statement that finds what a language model is to read."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import connection

# By the partial index over due_at, across organisations.
_DUE = """
SELECT org_id, id FROM memory_extractionjob
 WHERE status = 'waiting' AND due_at <= %(at)s
 ORDER BY due_at, id LIMIT %(limit)s
"""


class DueJob(NamedTuple):
    """A job whose time has come."""

    org_id: int
    job_id: int


def due(*, at: datetime, limit: int) -> list[DueJob]:
    """The jobs that are due, the longest waiting first; call it in a system scope."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"at": at, "limit": limit})
        return [DueJob(*row) for row in cursor.fetchall()]
