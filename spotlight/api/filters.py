"""Filters of the lists of profiles and what belongs to them."""

from __future__ import annotations

from flowledger.api.filters import ChoicesFilter, IdsFilter, OrgFilterSet, TextsFilter, YesNoFilter
from spotlight.models import FieldEffect, FieldType, Operator


class SpotlightFilters(OrgFilterSet):
    """By domain and whether it counts."""

    domain = TextsFilter("domain")
    active = YesNoFilter("active")


class SpotlightFieldFilters(OrgFilterSet):
    """By domain, name and type."""

    domain = TextsFilter("domain")
    field_name = TextsFilter("field_name")
    field_type = ChoicesFilter(choices=FieldType.choices)


class CriterionFilters(OrgFilterSet):
    """By profile, field and operator."""

    spotlight_id = IdsFilter("spotlight_id")
    field_id = IdsFilter("field_id")
    operator = ChoicesFilter(choices=Operator.choices)


class FieldRuleFilters(OrgFilterSet):
    """By either field, its domain and what it does."""

    field_id = IdsFilter("field_id")
    condition_field_id = IdsFilter("condition_field_id")
    domain = TextsFilter("field__domain")
    effect = ChoicesFilter(choices=FieldEffect.choices)
