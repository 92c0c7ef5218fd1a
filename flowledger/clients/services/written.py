"""What became of the rows that were written together, and what undoing them needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.db.models import Model

from flowledger.errors import InvalidInput, Unavailable

COLUMNS: Mapping[str, Sequence[str]] = {
    "clients.contact": (*("client_id", "name", "email", "phone", "title", "preferences", "social_links", "is_active"),),
    "clients.client": (
        *("name", "domain", "industry", "size_band", "annual_revenue", "country", "is_active", "attributes"),
    ),
}


@dataclass(kw_only=True)
class RecordChange:
    """One record that was created or changed: column values before (none of a creation) and after, as JSON values."""

    model: str
    item_id: int
    is_creation: bool
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    version_after: int = 1


@dataclass
class WrittenRow:
    """What became of one row; `rejected` says why by field, "" for the row as a whole."""

    outcome: Literal["created", "updated", "unchanged", "rejected"]
    item_id: int | None = None
    errors: dict[str, list[str]] = field(default_factory=dict)
    changes: list[RecordChange] = field(default_factory=list)


class Refused(Exception):
    """One row cannot be written; `errors` says why by field."""

    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(sentence)
        self.errors = {column: [sentence]}


def rejected(error: Refused | InvalidInput) -> WrittenRow:
    """The outcome of a row that was refused."""
    errors = error.errors if isinstance(error, Refused) else error.details["fields"]
    return WrittenRow("rejected", errors=dict(errors))


def label_of(row: Model | type[Model]) -> str:
    """`clients.contact`."""
    return row._meta.label_lower


def state_of(row: Any) -> dict[str, Any]:
    """The columns that people write, as JSON values."""
    return {name: as_json(getattr(row, name)) for name in COLUMNS[label_of(row)]}


def creation_of(row: Any) -> RecordChange:
    """What undoing the creation of a stored contact or client needs."""
    return RecordChange(
        model=label_of(row), item_id=row.pk, is_creation=True, after=state_of(row), version_after=row.row_version
    )


def as_json(value: Any) -> Any:
    """Amounts as text with their two decimal places; everything else is JSON already."""
    return format(value, ".2f") if isinstance(value, Decimal) else value


def from_json(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values as they were before `as_json`."""
    columns: Any = model._meta
    return {name: columns.get_field(name).to_python(value) for name, value in values.items()}


def require_fitting(row: Model, names: Iterable[str]) -> None:
    """Raise Refused for a value that its column cannot hold."""
    for name in names:
        column: Any = row._meta.get_field(name)
        if column.is_relation:
            continue
        try:
            column.clean(getattr(row, name), row)
        except ValidationError as error:
            raise Refused(name, " ".join(error.messages)) from None


def locked_rows(model: Any, *, org: Any, ids: Iterable[int]) -> dict[int, Any]:
    """Rows locked against changes, by id. Raises Unavailable while somebody else holds one of them.

    The caller holds identity keys. Who holds a row may be waiting for these, so it is not waited for.
    """
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    rows = model.objects.for_org(org).filter(pk__in=wanted).order_by("pk")
    try:
        return {row.pk: row for row in rows.select_for_update(no_key=True, nowait=True, of=("self",))}
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "55P03":
            raise
        raise Unavailable("Somebody is changing one of these records; try again in a moment.") from error


def stamp(rows: Iterable[Any], at: datetime) -> None:
    """Count a change of rows that are about to be stored in bulk."""
    for row in rows:
        row.row_version += 1
        row.updated_at = at
