"""The statements of CSV imports: staging rows, noting outcomes and changes, and taking signals back.

They run inside the scope of the organisation that they name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

_STAGE = """
    INSERT INTO workstream_importrow
        (org_id, created_at, updated_at, row_version, run_id, number, cells, outcome, errors)
    SELECT %(org)s, now(), now(), 1, %(run)s, r.number, r.cells::jsonb, r.outcome, r.errors::jsonb
      FROM unnest(%(numbers)s::int[], %(cells)s::text[], %(outcomes)s::text[], %(errors)s::text[])
           AS r (number, cells, outcome, errors)
"""
_NOTE = """
    UPDATE workstream_importrow AS row
       SET outcome = r.outcome, item_id = r.item_id, errors = r.errors::jsonb, row_version = row.row_version + 1,
           updated_at = statement_timestamp()
      FROM unnest(%(numbers)s::int[], %(outcomes)s::text[], %(items)s::bigint[], %(errors)s::text[])
           AS r (number, outcome, item_id, errors)
     WHERE row.org_id = %(org)s AND row.run_id = %(run)s AND row.number = r.number
"""
_JOURNAL = """
    INSERT INTO workstream_importchange
        (org_id, created_at, updated_at, row_version, run_id, row_number, model, item_id, is_creation, before, after,
         version_after, kept_reason)
    SELECT %(org)s, now(), now(), 1, %(run)s, c.row_number, c.model, c.item_id, c.is_creation, c.before::jsonb,
           c.after::jsonb, c.version_after, ''
      FROM unnest(%(rows)s::int[], %(models)s::text[], %(items)s::bigint[], %(creations)s::bool[], %(before)s::text[],
                  %(after)s::text[], %(versions)s::int[])
           WITH ORDINALITY AS c (row_number, model, item_id, is_creation, before, after, version_after, place)
     ORDER BY c.place
"""
_SETTLE = """
    UPDATE workstream_importchange AS change
       SET undone_at = %(at)s, kept_reason = r.reason, row_version = change.row_version + 1,
           updated_at = statement_timestamp()
      FROM unnest(%(items)s::bigint[], %(reasons)s::text[]) AS r (item_id, reason)
     WHERE change.org_id = %(org)s AND change.run_id = %(run)s AND change.model = %(model)s
       AND change.undone_at IS NULL AND change.item_id = r.item_id
 RETURNING change.row_number, r.reason <> ''
"""
_MARK_ROWS = """
    UPDATE workstream_importrow
       SET outcome = CASE WHEN number = ANY(%(kept)s) OR outcome = 'kept' THEN 'kept' ELSE 'undone' END,
           row_version = row_version + 1, updated_at = statement_timestamp()
     WHERE org_id = %(org)s AND run_id = %(run)s AND number = ANY(%(numbers)s)
"""
# In this order: what refers to a row goes before it.
_PARTS_OF_SIGNALS = ("slabreach", "slaclock", "signaldelivery", "signalpayload")
_LEFT_BEHIND = ("intakereject", "formsubmission")


class Noted(NamedTuple):
    """The outcome of a row of the file."""

    number: int
    outcome: str
    item_id: int | None
    errors: Mapping[str, Sequence[str]]


class Journaled(NamedTuple):
    """A record that a row created or changed."""

    row_number: int
    model: str
    item_id: int
    is_creation: bool
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    version_after: int


def stage(*, org_id: int, run_id: int, rows: Sequence[tuple[int, Sequence[str], str]]) -> None:
    """Store rows of a file: number, cells, and the problem of one that cannot be read."""
    with connection.cursor() as cursor:
        cursor.execute(
            _STAGE,
            {
                "org": org_id,
                "run": run_id,
                "numbers": [number for number, _, _ in rows],
                "cells": [_json(list(cells)) for _, cells, _ in rows],
                "outcomes": ["rejected" if problem else "pending" for _, _, problem in rows],
                "errors": [_json({"": [problem]} if problem else {}) for _, _, problem in rows],
            },
        )


def note(*, org_id: int, run_id: int, rows: Sequence[Noted]) -> None:
    """Write outcomes on rows of the file."""
    with connection.cursor() as cursor:
        cursor.execute(
            _NOTE,
            {
                "org": org_id,
                "run": run_id,
                "numbers": [row.number for row in rows],
                "outcomes": [row.outcome for row in rows],
                "items": [row.item_id for row in rows],
                "errors": [_json(row.errors) for row in rows],
            },
        )


def journal(*, org_id: int, run_id: int, changes: Sequence[Journaled]) -> None:
    """Write down what was created and changed, in that order."""
    if not changes:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _JOURNAL,
            {
                "org": org_id,
                "run": run_id,
                "rows": [change.row_number for change in changes],
                "models": [change.model for change in changes],
                "items": [change.item_id for change in changes],
                "creations": [change.is_creation for change in changes],
                "before": [_json(change.before) for change in changes],
                "after": [_json(change.after) for change in changes],
                "versions": [change.version_after for change in changes],
            },
        )


def settle(*, org_id: int, run_id: int, model: str, reasons: Mapping[int, str], at: datetime) -> None:
    """Note that the undo has dealt with records of a model; the reason of one that it kept, "" of one it took back."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SETTLE,
            {
                "org": org_id,
                "run": run_id,
                "model": model,
                "at": at,
                "items": list(reasons),
                "reasons": [reason[:300] for reason in reasons.values()],
            },
        )
        touched = cursor.fetchall()
        cursor.execute(
            _MARK_ROWS,
            {
                "org": org_id,
                "run": run_id,
                "numbers": sorted({number for number, _ in touched}),
                "kept": sorted({number for number, is_kept in touched if is_kept}),
            },
        )


def delete_signals(*, org_id: int, signal_ids: Iterable[int]) -> None:
    """Delete signals that nothing but their own parts refers to: payloads, deliveries, clocks, breaches go with them.

    Clusters that are left without a signal go too. Payloads have a door of their own, open for these statements alone.
    """
    wanted: dict[str, Any] = {"org": org_id, "ids": list(signal_ids)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT cluster_id FROM workstream_signal"
            " WHERE org_id = %(org)s AND id = ANY(%(ids)s) AND cluster_id IS NOT NULL",
            wanted,
        )
        clusters = [pk for (pk,) in cursor.fetchall()]
        cursor.execute("SELECT set_config('flowledger.payload_door', 'open', true)")
        for part in _PARTS_OF_SIGNALS:
            cursor.execute(
                f"DELETE FROM workstream_{part} WHERE org_id = %(org)s AND signal_id = ANY(%(ids)s)",
                wanted,
            )
        cursor.execute("SELECT set_config('flowledger.payload_door', '', true)")
        for left in _LEFT_BEHIND:
            cursor.execute(
                f"UPDATE workstream_{left} SET signal_id = NULL, row_version = row_version + 1"
                " WHERE org_id = %(org)s AND signal_id = ANY(%(ids)s)",
                wanted,
            )
        cursor.execute("DELETE FROM workstream_signal WHERE org_id = %(org)s AND id = ANY(%(ids)s)", wanted)
        if clusters:
            cursor.execute(
                "DELETE FROM workstream_signalcluster AS c WHERE c.org_id = %(org)s AND c.id = ANY(%(clusters)s)"
                " AND NOT EXISTS (SELECT FROM workstream_signal s WHERE s.org_id = %(org)s AND s.cluster_id = c.id)",
                {"org": org_id, "clusters": clusters},
            )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
