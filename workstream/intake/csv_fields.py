"""From the mapped cells of a row to the fields of a signal, contact or client, in their types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workstream.intake import csv_values
from workstream.intake.csv_values import UnreadableCell
from workstream.intake.fields import FieldErrors

_SOURCE_TYPES = {"webform": "web_form", "form": "web_form", "advertisement": "ad", "phone": "call", "phonecall": "call"}
_BANDS = ("1-10", "11-50", "51-200", "201-1000", "1001-5000", "5001+")
_BAND_ENDS = (10, 50, 200, 1000, 5000)


@dataclass
class RecordFields:
    """What a row says about a contact or client. `members` belong into JSON columns."""

    fields: dict[str, Any] = field(default_factory=dict)
    record_id: int | None = None
    company_name: str = ""
    company_domain: str = ""
    members: dict[str, dict[str, str]] = field(default_factory=dict)


def signal_fields(cells: Mapping[str, str], *, zone: str) -> dict[str, Any]:
    """What `read_fields` takes. Times without a zone are of `zone`. Raises FieldErrors."""
    raw: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    readers: dict[str, Callable[[str], Any]] = {
        "ts": lambda text: csv_values.moment(text, zone),
        "urgency_score": csv_values.share,
        "source_type": _source_type,
    }
    for name, text in cells.items():
        column, dot, member = name.partition(".")
        if dot:
            raw.setdefault(column, {})[member] = text
        elif name not in ("first_name", "last_name"):
            _read(raw, errors, name, text, readers.get(name))
    if "contact_name" not in raw and (name := _full_name(cells)):
        raw["contact_name"] = name
    if not raw.keys() - {"source_type", "source_ref", "ts", "dedupe_key"} and not errors:
        errors[""] = ["The row says nothing in any of the mapped columns."]
    if errors:
        raise FieldErrors(errors)
    return raw


def contact_fields(cells: Mapping[str, str]) -> RecordFields:
    """Raises FieldErrors."""
    readers = {"is_active": csv_values.yes_or_no, "client_id": csv_values.number, "contact_id": csv_values.number}
    found = _record(cells, readers, id_field="contact_id")
    for name in ("first_name", "last_name"):
        found.fields.pop(name, None)
    if "name" not in found.fields and (name := _full_name(cells)):
        found.fields["name"] = name
    found.company_name = found.fields.pop("company_name", "")
    found.company_domain = found.fields.pop("company_domain", "")
    return found


def client_fields(cells: Mapping[str, str]) -> RecordFields:
    """Raises FieldErrors."""
    readers = {
        "is_active": csv_values.yes_or_no,
        "client_id": csv_values.number,
        "annual_revenue": csv_values.amount,
        "size_band": size_band,
    }
    return _record(cells, readers, id_field="client_id")


def size_band(text: str) -> str:
    """A band, or the one of a number of employees. Raises UnreadableCell."""
    bare = text.replace("–", "-").replace(" ", "").replace(",", "")
    if bare in _BANDS:
        return bare
    try:
        employees = int(csv_values.amount(text))
    except UnreadableCell:
        employees = 0
    if employees < 1:
        raise UnreadableCell(f"'{text[:40]}' is no number of employees; write it so or as one of: {', '.join(_BANDS)}.")
    return next((band for band, end in zip(_BANDS, _BAND_ENDS, strict=False) if employees <= end), _BANDS[-1])


def _record(cells: Mapping[str, str], readers: Mapping[str, Callable[[str], Any]], *, id_field: str) -> RecordFields:
    found, errors = RecordFields(), dict[str, list[str]]()
    for name, text in cells.items():
        column, dot, member = name.partition(".")
        if dot:
            found.members.setdefault(column, {})[member] = text
        else:
            _read(found.fields, errors, name, text, readers.get(name))
    if not cells:
        errors[""] = ["The row says nothing in any of the mapped columns."]
    if errors:
        raise FieldErrors(errors)
    found.record_id = found.fields.pop(id_field, None)
    return found


def _read(
    into: dict[str, Any], errors: dict[str, list[str]], name: str, text: str, read: Callable[[str], Any] | None
) -> None:
    try:
        into[name] = text if read is None else read(text)
    except UnreadableCell as error:
        errors[name] = [str(error)]


def _full_name(cells: Mapping[str, str]) -> str:
    return " ".join(cells[name] for name in ("first_name", "last_name") if cells.get(name))


def _source_type(text: str) -> str:
    word = text.strip().casefold().replace(" ", "_").replace("-", "_")
    return _SOURCE_TYPES.get(word.replace("_", ""), word)
