"""What a profile is, whole, as versions keep it and the evaluation reads it."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from django.db.models import F, TextField
from django.db.models.functions import Cast

from flowledger.errors import NotFound
from flowledger.tenancy.models import Organization
from spotlight.evaluation.types import Evaluation, Profile, Scale
from spotlight.models import Spotlight, SpotlightCriterion, SpotlightScore, SpotlightVersion
from spotlight.rules import BANDS, PARTIAL_CREDIT

# Parsed profiles that a process remembers; the one parsed longest ago is forgotten first.
MOST_REMEMBERED = 2_000
_remembered: OrderedDict[tuple[int, int, str, str], Profile] = OrderedDict()


def definition_of(spotlight: Spotlight) -> dict[str, Any]:
    """The profile as it is stored now, in the form of `SpotlightVersion.definition`; one statement."""
    criteria = SpotlightCriterion.objects.for_org(spotlight.org_id).filter(spotlight=spotlight)
    rows = criteria.select_related("field").order_by("position", "pk")
    return {
        "name": spotlight.name,
        "domain": spotlight.domain,
        "criteria": [criterion_definition(row) for row in rows],
    }


def criterion_definition(criterion: SpotlightCriterion) -> dict[str, Any]:
    """One criterion with all that the evaluation asks of its field."""
    field = criterion.field
    return {
        "criterion_id": criterion.pk,
        "field_name": field.field_name,
        "label": str(field),
        "field_type": str(field.field_type),
        "enum_values": list(field.enum_values),
        "aliases": list(field.aliases),
        "operator": str(criterion.operator),
        "value": criterion.value,
        "weight": float(criterion.weight),
        "required": criterion.required,
    }


def active_profiles(org: Organization | int) -> tuple[Profile, ...]:
    """The active profiles at their present versions, by key; those that weigh nothing are left out. One statement."""
    versions = SpotlightVersion.objects.for_org(org).filter(
        spotlight__active=True, spotlight__org=org, version=F("spotlight__version")
    )
    rows = versions.annotate(document=Cast("definition", TextField())).order_by("spotlight_id")
    found = rows.values_list("spotlight_id", "version", "spotlight__name", "document")
    return tuple(profile for profile in (_parsed(*row) for row in found) if profile.is_evaluable)


def profile_at(org: Organization | int, spotlight_id: int, version: int) -> Profile:
    """A profile as it was at a version, under its present name. Raises NotFound."""
    rows = SpotlightVersion.objects.for_org(org).filter(spotlight_id=spotlight_id, spotlight__org=org, version=version)
    found = rows.annotate(document=Cast("definition", TextField())).values_list("spotlight__name", "document")
    for name, document in found:
        return _parsed(spotlight_id, version, name, document)
    raise NotFound(f"There is no version {version} of the profile {spotlight_id} in this organisation.")


def profiles_at(org: Organization, versions: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Profile]:
    """Profiles as they were, by (spotlight_id, version): one statement for the active ones, one for each earlier one.

    Raises NotFound.
    """
    found = {(profile.spotlight_id, profile.version): profile for profile in active_profiles(org)}
    for spotlight_id, version in sorted(set(versions) - set(found)):
        found[spotlight_id, version] = profile_at(org, spotlight_id, version)
    return found


def evaluation_of(score: SpotlightScore) -> Evaluation:
    """A stored score as the evaluation that it was made by."""
    return Evaluation.unpacked(
        spotlight_id=score.spotlight_id,
        version=score.spotlight_version,
        match_score=score.match_score,
        recommendation=score.recommendation,
        coverage=score.coverage,
        matched_fields=score.matched_fields,
        total_fields=score.total_fields,
        components=score.components,
    )


def scale_of(org: Organization | int) -> Scale:
    """The bands and margins that hold for the organisation now."""
    bands, partial = BANDS.of(org), PARTIAL_CREDIT.of(org)
    return Scale(
        high=bands.high,
        medium=bands.medium,
        low=bands.low,
        least_coverage=bands.least_coverage,
        number_margin=partial.number_margin,
        date_margin_days=partial.date_margin_days,
    )


def _parsed(spotlight_id: int, version: int, name: str, document: str) -> Profile:
    """Parsed once per process: a version never changes, and the name that does is part of the key."""
    key = (spotlight_id, version, name, document)
    profile = _remembered.get(key)
    if profile is None:
        profile = Profile.of(spotlight_id, version, {**json.loads(document), "name": name})
        _remembered[key] = profile
        while len(_remembered) > MOST_REMEMBERED:
            _remembered.popitem(last=False)
    return profile
