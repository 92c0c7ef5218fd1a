"""Cleaning up after the kernel: answers past their day, sign-ins past their time."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import connection

from flowledger.tenancy.scope import system_scope

# Small enough that no lock is held for long; a run repeats it until nothing is left.
BATCH = 5_000

PURGE_RECORDS = """
    DELETE FROM api_idempotencyrecord WHERE ctid IN (
        SELECT ctid FROM api_idempotencyrecord WHERE created_at < now() - make_interval(hours => %s)
        ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""
PURGE_FAMILIES = """
    DELETE FROM api_tokenfamily WHERE ctid IN (
        SELECT ctid FROM api_tokenfamily WHERE expires_at < now() - interval '1 day'
        ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


@shared_task(name="flowledger.api.tasks.purge_idempotency_records", ignore_result=True)
def purge_idempotency_records(**kwargs: Any) -> int:
    """Delete answers that may no longer be replayed; how many."""
    return _purge("purge idempotency records", PURGE_RECORDS, [settings.IDEMPOTENCY_KEEP_HOURS, BATCH])


@shared_task(name="flowledger.api.tasks.purge_token_families", ignore_result=True)
def purge_token_families(**kwargs: Any) -> int:
    """Delete sign-ins whose last refresh token expired more than a day ago; how many."""
    return _purge("purge token families", PURGE_FAMILIES, [BATCH])


def _purge(reason: str, sql: str, parameters: list[Any]) -> int:
    deleted = 0
    while True:
        with system_scope(reason), connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            if not cursor.rowcount:
                return deleted
            deleted += cursor.rowcount
