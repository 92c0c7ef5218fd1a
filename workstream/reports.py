"""Figures over many rows of the pipeline."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from flowledger.tenancy.models import Organization
from workstream.models import Candidate, Pursuit, Signal

COUNTED = {"signals": Signal, "candidates": Candidate, "pursuits": Pursuit}


def pipeline_counts(*, org: Organization, since: datetime) -> dict[str, dict[str, int]]:
    """How many signals, candidates and pursuits there are, and how many were created since; exact, in one statement."""
    one = (
        "(SELECT count(*) FROM {0} WHERE org_id = %s), "
        "(SELECT count(*) FROM {0} WHERE org_id = %s AND created_at >= %s)"
    )
    tables = (connection.ops.quote_name(model._meta.db_table) for model in COUNTED.values())
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(map(one.format, tables)), [org.pk, org.pk, since] * len(COUNTED))
        row = cursor.fetchone()
    pairs = zip(row[::2], row[1::2], strict=True)
    return {name: {"total": total, "recent": recent} for name, (total, recent) in zip(COUNTED, pairs, strict=True)}
