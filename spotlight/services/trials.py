"""Trying a stored profile on data that is not kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flowledger.errors import Conflict
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.evaluation.explaining import Explanation, explain
from spotlight.models import Spotlight
from spotlight.services.definitions import profile_at, scale_of
from spotlight.services.scoring import evaluate_data


@use_case
def evaluate_once(
    *, org: Organization, spotlight_id: int, signal_data: Mapping[str, Any], actor: Actor, at: datetime
) -> Explanation:
    """What a signal with these fields would score against the profile as it is now, active or not, and why.

    `attributes`, if an object, counts as if its members stood beside it; what stands beside it wins. Raises NotFound,
    PermissionRefused, Conflict for a profile that has nothing to evaluate.
    """
    spotlight: Spotlight = Spotlight.objects.for_org(org).fetch(spotlight_id)
    authorize(actor, "try_spotlight")
    profile = profile_at(org, spotlight.pk, spotlight.version)
    if not profile.is_evaluable:
        raise Conflict(f"The profile '{spotlight.name}' has no criterion with a weight; add one, and try again.")
    data = dict(signal_data)
    attributes = data.get("attributes")
    if isinstance(attributes, Mapping):
        del data["attributes"]
        data = {**attributes, **data}
    [(_, evaluation)] = evaluate_data(org=org, data=data, profiles=[profile], actor=actor)
    return explain(profile, evaluation, scale_of(org))
