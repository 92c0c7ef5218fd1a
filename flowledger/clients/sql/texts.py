"""Rewriting texts of many rows in one statement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

_WRITE = """
UPDATE {table} row SET {assignments}
  FROM unnest(%(ids)s::bigint[], {arrays}) AS fresh (id, {names})
 WHERE row.org_id = %(org)s AND row.id = fresh.id
"""


def write_texts(
    model: type[Any],
    *,
    org_id: int,
    columns: Sequence[str],
    rows: Mapping[int, Sequence[Any]],
    at: datetime,
) -> None:
    """Set columns (texts, JSON values, lists of texts) of rows by id; version and time of change follow."""
    if not rows:
        return
    fields = [model._meta.get_field(name) for name in columns]
    known = {field.column for field in model._meta.concrete_fields}
    assignments = [f'"{field.column}" = {_value(field, f"fresh.t{place}")}' for place, field in enumerate(fields)]
    assignments += ["row_version = row.row_version + 1"] if "row_version" in known else []
    assignments += ["updated_at = %(at)s"] if "updated_at" in known else []
    parameters: dict[str, Any] = {"ids": list(rows), "org": org_id, "at": at}
    for place, field in enumerate(fields):
        parameters[f"t{place}"] = [_text(field, values[place]) for values in rows.values()]
    statement = _WRITE.format(
        table=model._meta.db_table,
        assignments=", ".join(assignments),
        arrays=", ".join(f"%(t{place})s::text[]" for place in range(len(fields))),
        names=", ".join(f"t{place}" for place in range(len(fields))),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def _value(field: Any, column: str) -> str:
    if isinstance(field, models.JSONField):
        return f"{column}::jsonb"
    if isinstance(field, ArrayField):
        return f"ARRAY(SELECT jsonb_array_elements_text({column}::jsonb))"
    return column


def _text(field: Any, value: Any) -> str:
    return json.dumps(value) if isinstance(field, models.JSONField | ArrayField) else str(value)
