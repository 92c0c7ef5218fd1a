"""Texts that events and their failures hold of somebody: found by pattern, emptied by item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

_NAMING = """
SELECT id, payload::text FROM outbox_workevent
 WHERE org_id = %(org)s AND (payload::text ~* %(pattern)s OR last_error ~* %(pattern)s OR discard_reason ~* %(pattern)s)
 ORDER BY id
"""
_EMPTY_REASON = """
UPDATE outbox_workevent SET discard_reason = %(marker)s
 WHERE org_id = %(org)s AND id = %(id)s AND discard_reason ~* %(pattern)s
"""
_FAILED = """
SELECT DISTINCT failure.event_id FROM outbox_handlerfailure failure
  JOIN outbox_workevent event ON event.org_id = failure.org_id AND event.id = failure.event_id
 WHERE failure.org_id = %(org)s AND event.item_type = %(item_type)s AND event.item_id = ANY(%(ids)s)
   AND failure.traceback <> %(marker)s
"""
_EMPTY_FAILURES = """
UPDATE outbox_handlerfailure
   SET error = split_part(error, ':', 1) || ': ' || %(marker)s, traceback = %(marker)s
 WHERE org_id = %(org)s AND event_id = ANY(%(events)s)
"""
_EMPTY_ERRORS = """
UPDATE outbox_workevent SET last_error = %(marker)s
 WHERE org_id = %(org)s AND id = ANY(%(events)s) AND last_error <> ''
"""


def events_naming(*, org_id: int, pattern: str) -> list[tuple[int, str]]:
    """The events whose payload or errors match, with the payload as text, by id; reads all of the organisation's."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMING, {"org": org_id, "pattern": pattern})
        return list(cursor.fetchall())


def empty_reason(*, org_id: int, event_id: int, pattern: str, marker: str) -> None:
    """Blank why a dead letter was discarded, if that matches."""
    parameters: dict[str, Any] = {"org": org_id, "id": event_id, "pattern": pattern, "marker": marker}
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY_REASON, parameters)


def failed_events(*, org_id: int, item_type: str, item_ids: Sequence[int], marker: str) -> list[int]:
    """The events of items whose handlers failed with an error that is kept."""
    parameters: dict[str, Any] = {"org": org_id, "item_type": item_type, "ids": list(item_ids), "marker": marker}
    with connection.cursor() as cursor:
        cursor.execute(_FAILED, parameters)
        return sorted(event_id for (event_id,) in cursor.fetchall())


def empty_errors(*, org_id: int, event_ids: Sequence[int], marker: str) -> None:
    """Blank what errors and tracebacks of events may quote; the kind of the exception stays."""
    parameters: dict[str, Any] = {"org": org_id, "events": list(event_ids), "marker": marker}
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY_FAILURES, parameters)
        cursor.execute(_EMPTY_ERRORS, parameters)
