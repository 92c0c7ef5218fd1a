"""Criteria, values, scores and bands in words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from spotlight.admin.value_inputs import operators_of
from spotlight.models import FieldRule, FieldType, Operator, Recommendation

LOOKS = {
    Recommendation.HIGH.value: "success",
    Recommendation.MEDIUM.value: "info",
    Recommendation.LOW.value: "warning",
    Recommendation.NONE.value: "",
}
STATUS_LOOKS = {"met": "success", "partial": "warning", "unmet": "danger", "unknown": ""}


def band(recommendation: str) -> tuple[str, str]:
    """The name of a band, and how its label looks."""
    return str(Recommendation(recommendation).label), LOOKS[recommendation]


def criterion_in_words(criterion: Mapping[str, Any]) -> str:
    """A criterion of a version's definition as a line."""
    required = ", required" if criterion.get("required") else ""
    return f"{wish_in_words(criterion)} (weight {plain(criterion['weight'])}{required})"


def wish_in_words(criterion: Mapping[str, Any]) -> str:
    """What a criterion asks for."""
    label = criterion.get("label") or str(criterion["field_name"]).replace("_", " ")
    words = dict(operators_of(FieldType(criterion["field_type"])))
    operator = words.get(criterion["operator"]) or Operator(criterion["operator"]).label
    return f"{label} {operator} {value_in_words(criterion['value'], criterion['operator'])}"


def rule_in_words(rule: FieldRule) -> str:
    """A rule of a field as a sentence."""
    words = dict(operators_of(FieldType(rule.condition_field.field_type)))
    comparison = words.get(rule.operator) or str(rule.get_operator_display())
    value = value_in_words(rule.condition_value, rule.operator)
    return f"{rule.get_effect_display()} {rule.field} when {rule.condition_field} {comparison} {value}"


def value_in_words(value: Any, operator: str = "") -> str:
    """A value as people write it."""
    if isinstance(value, list | tuple):
        joint = " and " if operator == Operator.BETWEEN else ", "
        return joint.join(value_in_words(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value) if isinstance(value, int | float | Decimal) else str(value)


def plain(number: Any) -> str:
    """A number with thousands set apart and without idle noughts."""
    exact = Decimal(str(number)).normalize()
    return f"{exact:,f}"


def signed(change: Decimal) -> str:
    """A difference of scores with its sign, such as +0.20 or −0.05."""
    return f"{'−' if change < 0 else '+'}{abs(change):.2f}"
