"""The criteria of a profile: read whole, checked against their fields, then stored together; and each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import Q

from flowledger.errors import Conflict
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.evaluation.checking import check_criterion
from spotlight.evaluation.comparing import OPERATORS
from spotlight.models import Operator, Spotlight, SpotlightCriterion, SpotlightField, VersionOrigin
from spotlight.services.field_shapes import FIELD_DETAILS, write_field
from spotlight.services.naming import checked_field_name, refuse, require_known
from spotlight.services.versions import save_change

WISH_FIELDS = frozenset(
    {"criterion_id", "field_id", "field_name", "operator", "value", "weight", "required", *FIELD_DETAILS}
)
MOST_CRITERIA = 100
MOST_WEIGHT = 1_000


@dataclass
class Wish:
    """A criterion that fits its field; with `criterion_id` a stored one."""

    criterion_id: int | None
    field: SpotlightField
    operator: str
    value: Any
    weight: Decimal
    required: bool

    def as_new(self) -> Wish:
        """The same for another profile."""
        return replace(self, criterion_id=None)


@use_case
def create_criterion(
    *, org: Organization, spotlight_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> SpotlightCriterion:
    """Add a criterion at the end of a profile, which makes its next version.

    Raises NotFound for the profile, PermissionRefused, InvalidInput for what does not fit the field.
    """
    spotlight: Spotlight = Spotlight.objects.for_org(org).locked().fetch(spotlight_id)
    authorize(actor, "edit_spotlight")
    present = present_wishes(spotlight)
    _require_room(len(present) + 1)
    [added] = _read([fields], spotlight, paths=[""])
    if added.criterion_id is not None:
        refuse("criterion_id", "A new criterion gets its id here; leave it out.")
    store_wishes(spotlight, [*present, added], at=at)
    save_change(spotlight, [], origin=VersionOrigin.EDITED, note="", actor=actor, at=at)
    newest: SpotlightCriterion = _own(spotlight).order_by("-position", "-pk")[0]
    return newest


@use_case
def update_criterion(
    *, org: Organization, criterion_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> SpotlightCriterion:
    """Change a criterion, which makes the next version of its profile if anything is different.

    Raises NotFound, PermissionRefused, InvalidInput for what does not fit the field.
    """
    spotlight = lock_profile_of(org, criterion_id)
    authorize(actor, "edit_spotlight")
    wishes = {wish.criterion_id: wish for wish in present_wishes(spotlight)}
    wish = wishes[criterion_id]
    field = {} if {"field_id", "field_name"} & set(fields) else {"field_id": wish.field.pk}
    before = {"operator": wish.operator, "value": wish.value, "weight": wish.weight, "required": wish.required}
    given = {**before, **field, **fields, "criterion_id": criterion_id}
    [wishes[criterion_id]] = _read([given], spotlight, paths=[""])
    store_wishes(spotlight, list(wishes.values()), at=at)
    save_change(spotlight, [], origin=VersionOrigin.EDITED, note="", actor=actor, at=at)
    changed: SpotlightCriterion = _own(spotlight).get(pk=criterion_id)
    return changed


@use_case
def delete_criterion(*, org: Organization, criterion_id: int, actor: Actor, at: datetime) -> None:
    """Take a criterion out of its profile, which makes the next version. Raises NotFound, PermissionRefused."""
    spotlight = lock_profile_of(org, criterion_id)
    authorize(actor, "edit_spotlight")
    wishes = [wish for wish in present_wishes(spotlight) if wish.criterion_id != criterion_id]
    store_wishes(spotlight, wishes, at=at)
    save_change(spotlight, [], origin=VersionOrigin.EDITED, note="", actor=actor, at=at)


def lock_profile_of(org: Organization, criterion_id: int) -> Spotlight:
    """The profile of a criterion, locked; whoever writes a criterion locks its profile first. Raises NotFound."""
    rows = SpotlightCriterion.objects.for_org(org)
    spotlight: Spotlight = Spotlight.objects.for_org(org).locked().fetch(rows.fetch(criterion_id).spotlight_id)
    # It may have been deleted while we waited for the lock.
    rows.fetch(criterion_id)
    return spotlight


def present_wishes(spotlight: Spotlight) -> list[Wish]:
    """The criteria as they are stored, in their order."""
    return [
        Wish(row.pk, row.field, row.operator, row.value, row.weight, row.required)
        for row in _own(spotlight).order_by("position", "pk")
    ]


def read_wishes(spotlight: Spotlight, given: Sequence[Mapping[str, Any]]) -> list[Wish]:
    """What was given as criteria of the profile, checked; a field that is described and not there yet is unsaved.

    Locks the fields, so that none changes its type before the criteria are stored. Raises InvalidInput, naming
    `criteria.0.value` and the like.
    """
    _require_room(len(given))
    wishes = _read(given, spotlight, paths=[f"criteria.{index}." for index in range(len(given))])
    _keep_identities(spotlight, wishes)
    return wishes


def store_wishes(spotlight: Spotlight, wishes: Sequence[Wish], *, at: datetime) -> None:
    """Make these the criteria of a locked profile, in this order; a constant number of statements."""
    _keep_new_fields(spotlight, wishes)
    rows = {row.pk: row for row in _own(spotlight)}
    added, changed = [], []
    for position, wish in enumerate(wishes):
        columns = {
            "field_id": wish.field.pk,
            "operator": wish.operator,
            "value": wish.value,
            "weight": wish.weight,
            "required": wish.required,
            "position": position,
        }
        row = rows.pop(wish.criterion_id, None) if wish.criterion_id else None
        if row is None:
            added.append(SpotlightCriterion(org_id=spotlight.org_id, spotlight=spotlight, **columns))
        elif any(getattr(row, name) != value for name, value in columns.items()):
            row.updated_at = at
            for name, value in columns.items():
                setattr(row, name, value)
            changed.append(row)
    criteria = SpotlightCriterion.objects.for_org(spotlight.org_id)
    if rows:
        criteria.filter(pk__in=sorted(rows)).delete()
    if changed:
        names = ["field", "operator", "value", "weight", "required", "position", "updated_at"]
        criteria.bulk_update(changed, names)
    if added:
        criteria.bulk_create(added)


def checked_weight(value: Any, path: str) -> Decimal:
    """A weight with three decimals. Raises InvalidInput, which names `path`."""
    try:
        weight = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        weight = Decimal("NaN")
    if not (weight.is_finite() and 0 <= weight <= MOST_WEIGHT):
        refuse(path, f"Give a weight from 0 to {MOST_WEIGHT:,}.")
    return weight.quantize(Decimal("0.001"))


def _read(given: Sequence[Mapping[str, Any]], spotlight: Spotlight, *, paths: Sequence[str]) -> list[Wish]:
    for each, path in zip(given, paths, strict=True):
        require_known(each, WISH_FIELDS)
        if each.get("field_id") is None and not each.get("field_name"):
            refuse(f"{path}field_name", "Say which field the criterion looks at, by field_id or field_name.")
    fields = _Fields(spotlight, given, paths)
    wishes = [_wish(each, fields.named(each, path), path) for each, path in zip(given, paths, strict=True)]
    own = set(_own(spotlight).values_list("pk", flat=True))
    for wish, path in zip(wishes, paths, strict=True):
        if wish.criterion_id is not None and wish.criterion_id not in own:
            refuse(f"{path}criterion_id", f"The profile has no criterion {wish.criterion_id}, or it is given twice.")
        own.discard(wish.criterion_id)
    return wishes


def _keep_identities(spotlight: Spotlight, wishes: Sequence[Wish]) -> None:
    """A criterion without an id is the stored one that asks the same of the same field, if there is one left."""
    named = {wish.criterion_id for wish in wishes}
    left = [row for row in _own(spotlight).order_by("position", "pk") if row.pk not in named]
    for wish in wishes:
        if wish.criterion_id is None:
            same = [row for row in left if (row.field_id, row.operator) == (wish.field.pk, wish.operator)]
            if same:
                wish.criterion_id = same[0].pk
                left.remove(same[0])


def _keep_new_fields(spotlight: Spotlight, wishes: Sequence[Wish]) -> None:
    """Store the fields that criteria have described, in the order of their names."""
    new = {wish.field.field_name: wish.field for wish in wishes if wish.field._state.adding}
    if not new:
        return
    rows = SpotlightField.objects.for_org(spotlight.org_id)
    # Two profiles may describe the same field at once: the second takes what the first has made.
    rows.bulk_create([new[name] for name in sorted(new)], ignore_conflicts=True)
    made = {row.field_name: row for row in rows.filter(domain=spotlight.domain, field_name__in=new).locked()}
    for wish in wishes:
        if wish.field._state.adding:
            field = made[wish.field.field_name]
            if (field.field_type, field.enum_values) != (wish.field.field_type, wish.field.enum_values):
                raise Conflict(f"The field {field.field_name} was made otherwise at this moment; try again.")
            wish.field = field


def _wish(given: Mapping[str, Any], field: SpotlightField, path: str) -> Wish:
    operator = given.get("operator")
    if operator not in Operator.values:
        refuse(f"{path}operator", f"Choose an operator: {', '.join(Operator.values)}.")
    if "value" not in given:
        refuse(f"{path}value", "Say which value the criterion asks for.")
    required = given.get("required", False)
    if not isinstance(required, bool):
        refuse(f"{path}required", "Say true or false.")
    try:
        value = check_criterion(field.field_type, field.enum_values, operator, given["value"])
    except ValueError as error:
        part = "value" if operator in OPERATORS[field.field_type] else "operator"
        refuse(f"{path}{part}", f"{field}: {error}")
    weight = checked_weight(given.get("weight", 1), f"{path}weight")
    return Wish(given.get("criterion_id"), field, operator, value, weight, required)


def _own(spotlight: Spotlight) -> Any:
    return (
        SpotlightCriterion.objects.for_org(spotlight.org_id).filter(spotlight_id=spotlight.pk).select_related("field")
    )


def _require_room(count: int) -> None:
    if count > MOST_CRITERIA:
        refuse("criteria", f"A profile has at most {MOST_CRITERIA} criteria.")


class _Fields:
    """The fields of the domain that are named, locked; those that are described and not there yet stay unsaved."""

    def __init__(self, spotlight: Spotlight, given: Sequence[Mapping[str, Any]], paths: Sequence[str]) -> None:
        self.domain = spotlight.domain
        ids = [each["field_id"] for each in given if each.get("field_id") is not None]
        names = [
            checked_field_name(each["field_name"], f"{path}field_name") if each.get("field_name") else ""
            for each, path in zip(given, paths, strict=True)
        ]
        wanted = Q(pk__in=ids) | Q(field_name__in=[name for name in names if name])
        rows = SpotlightField.objects.for_org(spotlight.org_id).filter(wanted, domain=spotlight.domain)
        found = list(rows.locked().order_by("pk"))
        self.by_id: dict[int, SpotlightField] = {row.pk: row for row in found}
        self.by_name: dict[str, SpotlightField] = {row.field_name: row for row in found}
        for each, name, path in zip(given, names, paths, strict=True):
            if name and name not in self.by_name and each.get("field_type") and each.get("field_id") is None:
                details = {key: each[key] for key in FIELD_DETAILS if key in each}
                field = SpotlightField(org_id=spotlight.org_id, domain=spotlight.domain, field_name=name)
                write_field(field, details, path)
                self.by_name[name] = field

    def named(self, given: Mapping[str, Any], path: str) -> SpotlightField:
        """The field that a criterion names. Raises InvalidInput for one that the domain does not have."""
        field_id, name = given.get("field_id"), given.get("field_name")
        if field_id is not None:
            field = self.by_id.get(field_id)
            if field is None:
                refuse(f"{path}field_id", f"There is no field {field_id} in the domain {self.domain}.")
            if name and checked_field_name(name) != field.field_name:
                refuse(f"{path}field_name", f"The field {field_id} is named {field.field_name}.")
        else:
            field = self.by_name.get(checked_field_name(name))
            if field is None:
                refuse(
                    f"{path}field_name",
                    f"The domain {self.domain} has no field {name}; give its field_type too, and it is made.",
                )
        said = given.get("field_type")
        if said and said != field.field_type:
            sentence = f"The field {field.field_name} is of the type {field.field_type}, not {said}."
            refuse(f"{path}field_type", sentence)
        if not field._state.adding:
            self._require_same(field, given, path)
        return field

    def _require_same(self, field: SpotlightField, given: Mapping[str, Any], path: str) -> None:
        """A criterion does not change the field that all profiles of the domain share."""
        present = {"label": (field.label, str(field)), "enum_values": (field.enum_values,), "aliases": (field.aliases,)}
        for name, same in present.items():
            if name in given and given[name] not in same:
                refuse(f"{path}{name}", f"The field {field.field_name} is there already; change it as a field.")
