"""Figures over many rows of the pipeline."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

from flowledger.tenancy.models import Organization
from workstream.models import Candidate, ItemTally, Pursuit, Signal

COUNTED = {"signals": Signal, "candidates": Candidate, "pursuits": Pursuit}


def pipeline_counts(*, org: Organization, since: datetime) -> dict[str, dict[str, int]]:
    """How many signals, candidates and pursuits there are, and how many were created since; exact, in one statement.

    The totals come from the tallies, which the transaction that adds an item writes; the recent ones are counted in
    an index.
    """
    quote = connection.ops.quote_name
    total = "(SELECT coalesce(sum(count), 0)::bigint FROM {0} WHERE org_id = %s AND item_type = %s)"
    recent = "(SELECT count(*) FROM {0} WHERE org_id = %s AND created_at >= %s)"
    columns: list[str] = []
    parameters: list[Any] = []
    for model in COUNTED.values():
        columns += [total.format(quote(ItemTally._meta.db_table)), recent.format(quote(model._meta.db_table))]
        parameters += [org.pk, model._meta.model_name, org.pk, since]
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(columns), parameters)
        row = cursor.fetchone()
    pairs = zip(row[::2], row[1::2], strict=True)
    return {name: {"total": total, "recent": recent} for name, (total, recent) in zip(COUNTED, pairs, strict=True)}
