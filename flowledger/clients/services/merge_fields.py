"""The fields of two records side by side, which value a merge takes, and records as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flowledger.clients.models import Client, Contact
from flowledger.errors import InvalidInput

MERGE_FIELDS: dict[type[Any], tuple[str, ...]] = {
    Contact: ("name", "client", "title", "email", "phone", "preferences", "social_links", "is_active"),
    Client: ("name", "domain", "industry", "size_band", "annual_revenue", "country", "is_active", "attributes"),
}
OBJECTS = frozenset({"preferences", "social_links", "attributes"})
SURVIVOR, LOSER, BOTH = "survivor", "loser", "both"


@dataclass(frozen=True)
class FieldPair:
    """One field on both sides; `choice` is what a merge takes: survivor, loser, or for objects both."""

    name: str
    label: str
    survivor: Any
    loser: Any
    choice: str
    result: Any

    @property
    def differs(self) -> bool:
        return bool(self.survivor != self.loser)

    @property
    def is_object(self) -> bool:
        return self.name in OBJECTS


def pairs_of(survivor: Any, loser: Any, choices: Mapping[str, str]) -> list[FieldPair]:
    """Both sides field by field; values of relations are ids. Raises InvalidInput for an unknown field or choice."""
    names = MERGE_FIELDS[type(survivor)]
    errors = {}
    for name, choice in choices.items():
        if name not in names:
            errors[name] = [f"Unknown field; a {survivor._meta.model_name} has: {', '.join(names)}."]
        elif choice not in _possible(name):
            errors[name] = [f"Choose one of: {', '.join(_possible(name))}."]
    if errors:
        name, sentences = next(iter(errors.items()))
        raise InvalidInput(f"{name}: {sentences[0]}", fields={f"fields.{key}": errors[key] for key in errors})
    return [_pair(name, survivor, loser, choices.get(name)) for name in names]


def chosen_values(survivor: Any, loser: Any, choices: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """The choice for every field, and by column what the survivor gets that it does not have. Raises InvalidInput."""
    pairs = pairs_of(survivor, loser, choices)
    if isinstance(survivor, Contact):
        results = {pair.name: pair.result for pair in pairs}
        if not (results["name"] or results["email"] or results["phone"]):
            sentence = "The merged contact would have neither name nor email address nor phone; choose one of them."
            raise InvalidInput(sentence, fields={"fields": [sentence]})
    if isinstance(survivor, Client) and not {pair.name: pair.result for pair in pairs}["name"]:
        raise InvalidInput("A client needs a name.", fields={"fields.name": ["This must not be blank."]})
    column = {name: survivor._meta.get_field(name).attname for name in MERGE_FIELDS[type(survivor)]}
    changed = {column[pair.name]: pair.result for pair in pairs if pair.result != pair.survivor}
    return {pair.name: pair.choice for pair in pairs}, changed


def state_of(row: Any) -> dict[str, Any]:
    """Every column of a row as JSON; times to the microsecond, so that an undo brings back what was."""
    return {field.attname: as_json(getattr(row, field.attname)) for field in row._meta.concrete_fields}


def as_json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def from_json(row: Any, column: str, value: Any) -> Any:
    """A value of `state_of` as the column's own."""
    return row._meta.get_field(column).to_python(value)


def _pair(name: str, survivor: Any, loser: Any, choice: str | None) -> FieldPair:
    field = survivor._meta.get_field(name)
    mine, other = getattr(survivor, field.attname), getattr(loser, field.attname)
    choice = choice or _default(name, mine, other)
    result = {SURVIVOR: mine, LOSER: other}.get(choice)
    if choice == BOTH:
        result = {**other, **mine}
    return FieldPair(name=name, label=str(field.verbose_name), survivor=mine, loser=other, choice=choice, result=result)


def _default(name: str, mine: Any, other: Any) -> str:
    """Nothing is lost that need not be: what is blank is filled, objects are joined, else the survivor's stays."""
    if name in OBJECTS:
        return BOTH if mine and other and mine != other else LOSER if other and not mine else SURVIVOR
    return LOSER if mine in ("", None) and other not in ("", None) else SURVIVOR


def _possible(name: str) -> tuple[str, ...]:
    return (SURVIVOR, LOSER, BOTH) if name in OBJECTS else (SURVIVOR, LOSER)
