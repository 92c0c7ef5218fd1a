"""What a field may be: its type, its label, the values of an enum, the other names of the same fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spotlight.evaluation.reading import fold_name
from spotlight.models import FieldType, SpotlightField
from spotlight.services.naming import checked_field_name, refuse

FIELD_DETAILS = frozenset({"field_type", "label", "enum_values", "aliases"})
LONGEST_LABEL = 120
LONGEST_VALUE = 200
MOST_VALUES = 500
MOST_ALIASES = 50
MOST_ORDER = 100_000


def write_field(field: SpotlightField, fields: Mapping[str, Any], path: str = "") -> None:
    """Set what is given on the field and check the whole. Raises InvalidInput, naming `path` and the field at fault."""
    for name, value in fields.items():
        setattr(field, name, value)
    field.field_name = checked_field_name(field.field_name, f"{path}field_name")
    field.label = str(field.label or "").strip()
    if len(field.label) > LONGEST_LABEL:
        refuse(f"{path}label", f"A label has at most {LONGEST_LABEL} characters.")
    if field.field_type not in FieldType.values:
        refuse(f"{path}field_type", f"Choose a type: {', '.join(FieldType.values)}.")
    if not isinstance(field.is_required, bool):
        refuse(f"{path}is_required", "Say true or false.")
    order: object = field.display_order
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= MOST_ORDER:
        refuse(f"{path}display_order", f"Give a whole number from 0 to {MOST_ORDER:,}.")
    field.enum_values = _texts(field.enum_values, f"{path}enum_values", most=MOST_VALUES)
    if field.field_type == FieldType.ENUM and not field.enum_values:
        refuse(f"{path}enum_values", "List the values that there are to choose from.")
    if field.field_type != FieldType.ENUM and field.enum_values:
        refuse(f"{path}enum_values", f"Only a field of the type {FieldType.ENUM} has a list of values.")
    aliases = [fold_name(alias) for alias in _texts(field.aliases, f"{path}aliases", most=MOST_ALIASES)]
    field.aliases = [alias for alias in dict.fromkeys(aliases) if alias != field.field_name]


def _texts(given: object, path: str, *, most: int) -> list[str]:
    """Different texts that are not blank, told apart without regard to case."""
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        refuse(path, "Give a list of texts.")
    texts: dict[str, str] = {}
    for each in given:
        text = " ".join(each.split()) if isinstance(each, str) else ""
        if not text or len(text) > LONGEST_VALUE:
            refuse(path, f"Each one is a text of 1 to {LONGEST_VALUE} characters.")
        texts.setdefault(text.casefold(), text)
    if len(texts) > most:
        refuse(path, f"There can be at most {most}.")
    return list(texts.values())
