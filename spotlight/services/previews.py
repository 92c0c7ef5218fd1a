"""What a draft of a profile would make of the newest signals, beside what the stored one makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.evaluation.conditions import FieldState, FormField, FormRule, form_state
from spotlight.evaluation.engine import compile_profiles
from spotlight.evaluation.reading import facts_from
from spotlight.evaluation.types import RECOMMENDATIONS, Evaluation, Profile, Scale
from spotlight.models import FieldRule, Spotlight, SpotlightCriterion, SpotlightField
from spotlight.services.criteria import Wish, read_wishes
from spotlight.services.definitions import criterion_definition, profile_at, scale_of
from spotlight.services.facts import facts_of
from workstream.machines import SignalDisposition
from workstream.models import Signal

MOST_SIGNALS = 100


@dataclass(frozen=True)
class PreviewedSignal:
    """One signal; a side is None when that profile cannot be evaluated, or there is none yet."""

    signal: Signal
    before: Evaluation | None
    after: Evaluation | None


@dataclass(frozen=True)
class Preview:
    """The draft, what it makes of the newest signals, and how many fall into each band before and after."""

    draft: Profile
    stored: Profile | None
    scale: Scale
    signals: Sequence[PreviewedSignal]
    bands_before: Mapping[str, int]
    bands_after: Mapping[str, int]


@use_case
def preview_spotlight(
    *,
    org: Organization,
    criteria: Sequence[Mapping[str, Any]],
    spotlight_id: int | None = None,
    domain: str = "",
    limit: int = 20,
    actor: Actor,
    at: datetime,
) -> Preview:
    """Evaluate draft criteria, given as to `create_spotlight`, on the newest signals that are not rejected.

    With `spotlight_id` the stored version is evaluated on the same facts, and its domain holds; else `domain` does.
    Nothing is stored, not even a field that a criterion describes. Raises NotFound, PermissionRefused, InvalidInput for
    a criterion that does not fit its field.
    """
    authorize(actor, "try_spotlight")
    stored: Profile | None = None
    spotlight = Spotlight(org=org, domain=domain)
    if spotlight_id is not None:
        spotlight = Spotlight.objects.for_org(org).fetch(spotlight_id)
        stored = profile_at(org, spotlight.pk, spotlight.version)
    draft = _draft(spotlight, criteria)
    newest = Signal.objects.for_org(org).exclude(disposition=SignalDisposition.REJECTED).order_by("-ts", "-pk")
    signals = list(newest[: max(1, min(limit, MOST_SIGNALS))])
    scale = scale_of(org)
    facts = facts_of(org=org, item_type="signal", item_ids=[signal.pk for signal in signals])
    compared = [profile for profile in (draft, stored) if profile is not None and profile.is_evaluable]
    engine = compile_profiles(compared, scale)
    rows = []
    for signal in signals:
        sides = {id(profile): found for profile, found in zip(compared, engine.evaluate(facts[signal.pk]), strict=True)}
        rows.append(PreviewedSignal(signal, before=sides.get(id(stored)), after=sides.get(id(draft))))
    return Preview(
        draft=draft,
        stored=stored,
        scale=scale,
        signals=rows,
        bands_before=_bands(row.before for row in rows),
        bands_after=_bands(row.after for row in rows),
    )


@dataclass(frozen=True)
class Trial:
    """What typed values come to; `evaluation` is None for a profile that cannot be evaluated.

    `states` says for each field of the domain, by its name, whether its rules show it and require it.
    """

    profile: Profile
    scale: Scale
    evaluation: Evaluation | None
    states: Mapping[str, FieldState]


@use_case
def try_spotlight(
    *,
    org: Organization,
    spotlight_id: int,
    criteria: Sequence[Mapping[str, Any]] | None,
    data: Mapping[str, Any],
    actor: Actor,
    at: datetime,
) -> Trial:
    """Evaluate values by field name against draft criteria, or the stored ones for None; what rules hide is left out.

    Nothing is stored. Raises NotFound, PermissionRefused, InvalidInput for a criterion that does not fit its field.
    """
    authorize(actor, "try_spotlight")
    spotlight: Spotlight = Spotlight.objects.for_org(org).fetch(spotlight_id)
    stored = profile_at(org, spotlight.pk, spotlight.version)
    profile = stored if criteria is None else _draft(spotlight, criteria)
    states = form_state(*_form_of(org, spotlight.domain), data)
    shown = {name: value for name, value in data.items() if name not in states or states[name].visible}
    scale = scale_of(org)
    evaluation = None
    if profile.is_evaluable:
        [evaluation] = compile_profiles([profile], scale).evaluate(facts_from(shown, "signal"))
    return Trial(profile, scale, evaluation, states)


def _form_of(org: Organization, domain: str) -> tuple[list[FormField], list[FormRule]]:
    """The fields of a domain, and the rules that show, require or hide them."""
    fields = SpotlightField.objects.for_org(org).filter(domain=domain).order_by("display_order", "pk")
    rules = FieldRule.objects.for_org(org).filter(field__domain=domain).order_by("pk")
    return [FormField(row.field_name, row.field_type, row.is_required) for row in fields], [
        FormRule(
            field_name=row.field.field_name,
            condition_field=row.condition_field.field_name,
            operator=row.operator,
            condition_value=row.condition_value,
            effect=row.effect,
        )
        for row in rules.select_related("field", "condition_field")
    ]


def _draft(spotlight: Spotlight, criteria: Sequence[Mapping[str, Any]]) -> Profile:
    """The profile that the draft would be; whatever reading it made is undone."""
    with transaction.atomic():
        wishes = read_wishes(spotlight, criteria)
        definitions = [_definition(spotlight, wish, place) for place, wish in enumerate(wishes, start=1)]
        transaction.set_rollback(True)
    definition = {"name": spotlight.name, "criteria": definitions}
    return Profile.of(spotlight.pk or 0, (spotlight.version or 0) + 1, definition)


def _definition(spotlight: Spotlight, wish: Wish, place: int) -> dict[str, Any]:
    """A criterion that is not stored yet goes by its place, below nought."""
    row = SpotlightCriterion(
        pk=wish.criterion_id or -place,
        org_id=spotlight.org_id,
        field=wish.field,
        operator=wish.operator,
        value=wish.value,
        weight=wish.weight,
        required=wish.required,
    )
    return criterion_definition(row)


def _bands(evaluations: Iterable[Evaluation | None]) -> dict[str, int]:
    counts = Counter(found.recommendation for found in evaluations if found is not None)
    return {band: counts[band] for band in RECOMMENDATIONS}
