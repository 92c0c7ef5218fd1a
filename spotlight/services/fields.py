"""Use cases of fields, which the profiles of a domain share, and of the rules that show, require or hide them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from flowledger.errors import Conflict
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight import events
from spotlight.evaluation.checking import check_criterion
from spotlight.evaluation.comparing import OPERATORS
from spotlight.models import (
    FieldEffect,
    FieldRule,
    Operator,
    Spotlight,
    SpotlightCriterion,
    SpotlightField,
    VersionOrigin,
)
from spotlight.services.field_shapes import FIELD_DETAILS, write_field
from spotlight.services.naming import checked_domain, refuse, require_known
from spotlight.services.versions import save_change

SPOTLIGHT_FIELD_FIELDS = frozenset({"domain", "field_name", "is_required", "display_order", *FIELD_DETAILS})
RULE_FIELDS = frozenset({"field", "condition_field", "operator", "condition_value", "effect"})
MOST_FIELDS = 1_000
MOST_RULES = 1_000
# What the evaluation reads of a field.
_EVALUATED = ("field_name", "label", "field_type", "enum_values", "aliases")


@use_case
def create_field(*, org: Organization, fields: Mapping[str, Any], actor: Actor, at: datetime) -> SpotlightField:
    """Add a field to a domain, for all its profiles.

    Raises PermissionRefused, InvalidInput for a name, type or list of values that cannot be, Conflict on a taken name.
    """
    authorize(actor, "edit_spotlight")
    require_known(fields, SPOTLIGHT_FIELD_FIELDS)
    if SpotlightField.objects.for_org(org).count() >= MOST_FIELDS:
        raise Conflict(f"There are {MOST_FIELDS:,} fields already; delete those that no profile looks at.")
    field = SpotlightField(org=org, domain=checked_domain(fields.get("domain", "")))
    write_field(field, {name: value for name, value in fields.items() if name != "domain"})
    _save(field)
    return field


@use_case
def update_field(
    *, org: Organization, field_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> SpotlightField:
    """Change a field; it stays in its domain. What the evaluation reads of it reaches the profiles as new versions.

    Raises NotFound, PermissionRefused, InvalidInput as `create_field`, Conflict on a taken name and for a change with
    which a criterion or rule would ask for something that cannot be.
    """
    field: SpotlightField = SpotlightField.objects.for_org(org).locked().fetch(field_id)
    authorize(actor, "edit_spotlight")
    require_known(fields, SPOTLIGHT_FIELD_FIELDS)
    if "domain" in fields and checked_domain(fields["domain"]) != field.domain:
        refuse("domain", "A field stays in its domain; add a field to the other one.")
    before = {name: getattr(field, name) for name in SPOTLIGHT_FIELD_FIELDS}
    write_field(field, {name: value for name, value in fields.items() if name != "domain"})
    changed = sorted(name for name, value in before.items() if getattr(field, name) != value)
    if not changed:
        return field
    if {"field_type", "enum_values"} & set(changed):
        _require_fitting(field)
    _save(field)
    if read := [name for name in _EVALUATED if name in changed]:
        record_event(org=org, event=events.FieldUpdated(field_id=field.pk, changed=read), actor=actor, at=at)
    return field


@use_case
def delete_field(*, org: Organization, field_id: int, actor: Actor, at: datetime) -> None:
    """Delete a field. Raises NotFound, PermissionRefused, Conflict while a profile looks at it or a rule names it."""
    field: SpotlightField = SpotlightField.objects.for_org(org).select_for_update(of=("self",)).fetch(field_id)
    authorize(actor, "edit_spotlight")
    names = Spotlight.objects.for_org(org).filter(criteria__field=field).order_by("name").distinct()
    if used := list(names.values_list("name", flat=True)[:5]):
        raise Conflict(
            f"The field {field.field_name} is used by {', '.join(used)}; take it out of their criteria first."
        )
    # Not deleted along: a rule that somebody is changing is locked before its fields.
    if FieldRule.objects.for_org(org).filter(Q(field=field) | Q(condition_field=field)).exists():
        raise Conflict(f"Rules name the field {field.field_name}; delete them first.")
    field.delete()


@use_case
def renew_profiles(*, org: Organization, field_id: int, changed: list[str], actor: Actor, at: datetime) -> int:
    """Make the next version of every profile that looks at a changed field and reads otherwise now; answers how many.

    Each is locked before its field is looked at, as every edit of a profile does. Raises PermissionRefused.
    """
    authorize(actor, "edit_spotlight")
    using = Spotlight.objects.for_org(org).filter(criteria__field_id=field_id).values_list("pk", flat=True)
    note = f"A field was changed: {', '.join(changed)}"
    renewed = 0
    for pk in sorted(set(using)):
        spotlight = Spotlight.objects.for_org(org).locked().filter(pk=pk).first()
        if spotlight is not None:
            renewed += save_change(spotlight, [], origin=VersionOrigin.EDITED, note=note, actor=actor, at=at)
    return renewed


@use_case
def create_rule(*, org: Organization, fields: Mapping[str, Any], actor: Actor, at: datetime) -> FieldRule:
    """Show, require or hide a field when another one of its domain has a value.

    Raises PermissionRefused, InvalidInput for fields of two domains and a value that does not fit.
    """
    authorize(actor, "edit_spotlight")
    if FieldRule.objects.for_org(org).count() >= MOST_RULES:
        raise Conflict(f"There are {MOST_RULES:,} rules already; delete those that are not used any more.")
    rule = FieldRule(org=org)
    _write_rule(rule, fields)
    rule.save()
    return rule


@use_case
def update_rule(*, org: Organization, rule_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime) -> FieldRule:
    """Change a rule of a field. Raises NotFound, PermissionRefused, and as `create_rule`."""
    rule: FieldRule = FieldRule.objects.for_org(org).locked().fetch(rule_id)
    authorize(actor, "edit_spotlight")
    _write_rule(rule, fields)
    rule.save()
    return rule


@use_case
def delete_rule(*, org: Organization, rule_id: int, actor: Actor, at: datetime) -> None:
    """Delete a rule of a field. Raises NotFound, PermissionRefused."""
    rule: FieldRule = FieldRule.objects.for_org(org).locked().fetch(rule_id)
    authorize(actor, "edit_spotlight")
    rule.delete()


def _write_rule(rule: FieldRule, fields: Mapping[str, Any]) -> None:
    require_known(fields, RULE_FIELDS)
    for name in ("field", "condition_field"):
        if name in fields:
            setattr(rule, name, fields[name])
        if getattr(rule, f"{name}_id") is None:
            refuse(f"{name}_id", "Name a field of the domain.")
    for name in ("operator", "condition_value", "effect"):
        if name in fields:
            setattr(rule, name, fields[name])
    if rule.operator not in Operator.values:
        refuse("operator", f"Choose an operator: {', '.join(Operator.values)}.")
    if rule.effect not in FieldEffect.values:
        refuse("effect", f"Choose an effect: {', '.join(FieldEffect.values)}.")
    if rule.field_id == rule.condition_field_id:
        refuse("condition_field_id", "A field cannot depend on itself; choose another one.")
    # Locked, so that neither changes its type before the rule is stored.
    rows = SpotlightField.objects.for_org(rule.org_id).locked().order_by("pk")
    found = {row.pk: row for row in rows.filter(pk__in=[rule.field_id, rule.condition_field_id])}
    for name in ("field", "condition_field"):
        if getattr(rule, f"{name}_id") not in found:
            refuse(f"{name}_id", f"There is no field {getattr(rule, f'{name}_id')}.")
    condition = found[rule.condition_field_id]
    if found[rule.field_id].domain != condition.domain:
        refuse("condition_field_id", f"Choose a field of the same domain, {found[rule.field_id].domain}.")
    try:
        rule.condition_value = _checked(condition, rule.operator, rule.condition_value)
    except ValueError as error:
        part = "condition_value" if rule.operator in OPERATORS[condition.field_type] else "operator"
        refuse(part, f"{condition}: {error}")


def _require_fitting(field: SpotlightField) -> None:
    """What criteria and rules ask of the field can still be asked of it."""
    criteria = SpotlightCriterion.objects.for_org(field.org_id).filter(field=field).select_related("spotlight")
    rules = FieldRule.objects.for_org(field.org_id).filter(condition_field=field).select_related("field")
    asked = [
        *((f"the profile {row.spotlight}", row.operator, row.value) for row in criteria.order_by("pk")),
        *((f"a rule of {row.field}", row.operator, row.condition_value) for row in rules.order_by("pk")),
    ]
    for who, operator, value in asked:
        try:
            fitting = _checked(field, operator, value)
        except ValueError as error:
            raise Conflict(f"This does not fit what {who} asks of the field; change that first. {error}") from error
        if fitting != value:
            raise Conflict(f"{who.capitalize()} asks for {value}; change that first, then the field.")


def _checked(field: SpotlightField, operator: str, value: Any) -> Any:
    return check_criterion(field.field_type, field.enum_values, operator, value)


def _save(field: SpotlightField) -> None:
    try:
        with transaction.atomic():
            field.save()
    except IntegrityError as error:
        if "spotlight_field_name" not in str(error):
            raise
        sentence = f"The domain {field.domain} has a field {field.field_name} already; change that one instead."
        raise Conflict(sentence) from error
