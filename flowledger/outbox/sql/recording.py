"""Writing events: one statement whatever their number, with the keys that must not come twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.db import connection


@dataclass(frozen=True, slots=True)
class NewEvent:
    """The facts of an event to write; `payload` is JSON text."""

    org_id: int
    event_name: str
    item_type: str
    item_id: int | None
    payload: str
    actor_kind: str
    actor_id: int | None
    actor_label: str
    actor_user_id: int | None
    origin: str
    occurred_at: datetime
    dedupe_key: str | None
    correlation_id: str
    causation_id: int | None


_COLUMNS = tuple(field.name for field in fields(NewEvent) if field.name != "payload")

# One text whatever the number of events, so that the server may keep its plan. The payloads come as one JSON array: an
# array of texts would have every quotation mark of theirs escaped once more, which takes longer than the rest.
_NEW = """
    SELECT org_id, event_name, item_type, item_id, payload, actor_kind, actor_id, actor_label,
        actor_user_id, origin, occurred_at, dedupe_key, correlation_id, causation_id, place
      FROM ROWS FROM (
            unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[],
                %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[]),
            jsonb_array_elements(%s::jsonb)
        ) WITH ORDINALITY
        AS new (org_id, event_name, item_type, item_id, actor_kind, actor_id, actor_label,
            actor_user_id, origin, occurred_at, dedupe_key, correlation_id, causation_id, payload, place)
"""
_INSERT = """
INSERT INTO outbox_workevent (org_id, event_name, item_type, item_id, payload, actor_kind, actor_id, actor_label,
    actor_user_id, origin, occurred_at, dedupe_key, correlation_id, causation_id)
SELECT org_id, event_name, item_type, item_id, payload, actor_kind, actor_id, actor_label,
    actor_user_id, origin, occurred_at, dedupe_key, correlation_id, causation_id
"""
_INSERT_EVENTS = f"{_INSERT} FROM ({_NEW}) AS new ORDER BY place"

# Keys are taken in their own order, so that two transactions with the same ones cannot wait for each other; of several
# events with one key the first is written.
_INSERT_KEYED_EVENTS = f"""
WITH new AS MATERIALIZED ({_NEW}), taken AS (
    INSERT INTO outbox_dedupekey (org_id, event_name, key)
    SELECT DISTINCT org_id, event_name, dedupe_key FROM new WHERE dedupe_key IS NOT NULL ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING
    RETURNING org_id, event_name, key
), wanted AS (
    SELECT DISTINCT ON (new.org_id, new.event_name, new.dedupe_key) new.*
      FROM new JOIN taken
        ON taken.org_id = new.org_id AND taken.event_name = new.event_name AND taken.key = new.dedupe_key
     ORDER BY new.org_id, new.event_name, new.dedupe_key, new.place
)
{_INSERT} FROM (SELECT * FROM new WHERE dedupe_key IS NULL UNION ALL SELECT * FROM wanted) AS new ORDER BY place
"""


def insert_events(events: Sequence[NewEvent]) -> int:
    """Write events in one statement, keys in the given order; answers how many were new by their dedupe key."""
    columns: list[Any] = [[getattr(event, name) for event in events] for name in _COLUMNS]
    columns.append(f"[{','.join(event.payload for event in events)}]")
    keyed = any(event.dedupe_key is not None for event in events)
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_KEYED_EVENTS if keyed else _INSERT_EVENTS, columns)
        return int(cursor.rowcount)
