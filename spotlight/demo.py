"""The demonstration's ideal customers: an invented maker of measuring instruments and whom it sells to best."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from spotlight import services
from spotlight.models import FieldEffect, SpotlightField

DOMAIN = "instruments"

FIELDS: tuple[Mapping[str, Any], ...] = (
    {"field_name": "industry", "label": "Industry", "field_type": "text", "is_required": True},
    {"field_name": "employees", "label": "Employees", "field_type": "number", "aliases": ["company_size"]},
    {"field_name": "budget", "label": "Budget", "field_type": "number"},
    {"field_name": "country", "label": "Country", "field_type": "text"},
    {"field_name": "urgency_score", "label": "Urgency", "field_type": "number", "aliases": ["urgency"]},
    {"field_name": "problem_phrase", "label": "Problem", "field_type": "text", "aliases": ["problem"]},
    {"field_name": "unmanned_sites", "label": "Sites without staff", "field_type": "number"},
)
# (field, effect, condition field, operator, value)
RULES: tuple[tuple[str, FieldEffect, str, str, Any], ...] = (
    ("unmanned_sites", FieldEffect.SHOW, "industry", "in", ["utilities", "energy"]),
    ("budget", FieldEffect.REQUIRE, "urgency_score", ">=", 0.8),
)


def _wish(field_name: str, operator: str, value: Any, weight: int, *, required: bool = False) -> dict[str, Any]:
    return {
        "field_name": field_name,
        "operator": operator,
        "value": value,
        "weight": weight,
        "required": required,
    }


PROFILES: Mapping[str, tuple[str, tuple[Mapping[str, Any], ...]]] = {
    "Process plants": (
        "Plants that dose and bottle: they lose a batch when a meter drifts, and buy several at once.",
        (
            _wish("industry", "in", ["food", "chemicals", "pharmaceuticals", "paper"], 30),
            _wish("budget", ">=", 50_000, 30),
            _wish("employees", "between", [100, 5_000], 20),
            _wish("urgency_score", ">=", 0.6, 10),
            _wish("problem_phrase", "matches", "flow|downtime", 10),
        ),
    ),
    "Utilities with remote sites": (
        "They drive to their stations today; telemetry pays for itself within a year.",
        (
            _wish("industry", "in", ["utilities", "energy"], 35, required=True),
            _wish("budget", ">=", 75_000, 25),
            _wish("problem_phrase", "matches", "remote|energy", 25),
            _wish("unmanned_sites", ">=", 10, 15),
        ),
    ),
    "Regulated records": (
        "Whoever must prove what was measured, and cannot go on doing it by hand.",
        (
            _wish("problem_phrase", "contains", "compliance", 40, required=True),
            _wish("industry", "in", ["pharmaceuticals", "medical devices", "chemicals", "food"], 30),
            _wish("budget", ">=", 20_000, 20),
            _wish("country", "in", ["US", "GB", "IE", "CH", "DK", "DE"], 10),
        ),
    ),
}


def furnish(*, org: Organization, manager: Actor, at: datetime) -> None:
    """Give the new company its fields, the rules of its forms, and its profiles."""
    keys: dict[str, Any] = {"org": org, "actor": manager, "at": at}
    fields: dict[str, SpotlightField] = {}
    for place, each in enumerate(FIELDS):
        described = {"domain": DOMAIN, "display_order": place, **each}
        fields[each["field_name"]] = services.create_field(fields=described, **keys)
    for name, effect, condition, operator, value in RULES:
        rule = {
            "field": fields[name],
            "effect": effect.value,
            "condition_field": fields[condition],
            "operator": operator,
            "condition_value": value,
        }
        services.create_rule(fields=rule, **keys)
    for name, (description, criteria) in PROFILES.items():
        profile = {"name": name, "domain": DOMAIN, "description": description}
        services.create_spotlight(fields=profile, criteria=criteria, **keys)
