"""What the builder shows beside the form: the newest signals by the draft, and what typed values come to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.utils.timezone import now

from flowledger.backoffice.refusals import explain as refusal_of
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from spotlight.admin.criterion_forms import CriterionForm
from spotlight.admin.explained import Explained, explained
from spotlight.admin.value_inputs import INPUTS, SELECTS, YES_OR_NO
from spotlight.admin.wording import band, signed
from spotlight.evaluation.explaining import explain
from spotlight.evaluation.types import RECOMMENDATIONS, Evaluation
from spotlight.models import FieldType, Spotlight, SpotlightField
from spotlight.services.previews import Preview, PreviewedSignal, preview_spotlight, try_spotlight
from workstream.admin.items import page_of

TRY_PREFIX = "try-"
SIGNALS_SHOWN = 20
LONGEST_TITLE = 90


@dataclass(frozen=True)
class Side:
    """A score with its band."""

    score: str
    label: str
    look: str


@dataclass(frozen=True)
class Line:
    """One signal under the draft."""

    link: str
    who: str
    what: str
    before: Side | None
    after: Side | None
    delta: str
    is_better: bool
    explained: Explained | None


@dataclass(frozen=True)
class TryInput:
    """One field of the trial."""

    field_name: str
    title: str
    is_required: bool
    input_type: str
    is_number: bool
    choices: list[tuple[str, str]]
    input_classes: str = INPUTS
    select_classes: str = SELECTS


def preview_context(request: HttpRequest, profile: Spotlight | None, form: Any) -> dict[str, Any]:
    """The newest signals by the criteria in the form; lines that are not complete yet are left out and counted."""
    criteria, left_out = complete_criteria(form)
    try:
        preview = preview_spotlight(
            org=org_of(request),
            criteria=criteria,
            spotlight_id=None if profile is None else profile.pk,
            domain=request.POST.get("domain", "").strip(),
            limit=SIGNALS_SHOWN,
            actor=actor_of(request),
            at=now(),
        )
    except FlowLedgerError as error:
        return {"refusal": refusal_of(error)}
    return {
        "left_out": left_out,
        "has_before": preview.stored is not None,
        "is_evaluable": preview.draft.is_evaluable,
        "bands": [(*band(name), preview.bands_before[name], preview.bands_after[name]) for name in RECOMMENDATIONS],
        "lines": [_line(preview, row) for row in preview.signals],
    }


def complete_criteria(form: Any) -> tuple[list[dict[str, Any]], int]:
    """The lines of the builder that make sense, and how many do not yet."""
    lines: list[CriterionForm] = form["criteria"].data
    complete = [line.criterion() for line in lines if line.is_valid()]
    return complete, len(lines) - len(complete)


def try_inputs(fields: Iterable[SpotlightField]) -> list[TryInput]:
    """An input for each field of a domain."""
    inputs = []
    for row in fields:
        choices: list[tuple[str, str]] = []
        if row.field_type == FieldType.BOOLEAN:
            choices = YES_OR_NO
        elif row.field_type == FieldType.ENUM:
            choices = [(each, each) for each in row.enum_values]
        inputs.append(
            TryInput(
                field_name=row.field_name,
                title=str(row)[:1].upper() + str(row)[1:],
                is_required=row.is_required,
                input_type="date" if row.field_type == FieldType.DATE else "text",
                is_number=row.field_type == FieldType.NUMBER,
                choices=choices,
            )
        )
    return inputs


def tried_context(request: HttpRequest, profile: Spotlight, form: Any | None) -> dict[str, Any]:
    """What the typed values come to by the criteria in the form, or without one by the stored ones."""
    criteria, left_out = complete_criteria(form) if form is not None else (None, 0)
    data = {
        name.removeprefix(TRY_PREFIX): value
        for name, value in request.POST.items()
        if name.startswith(TRY_PREFIX) and isinstance(value, str) and value.strip()
    }
    try:
        trial = try_spotlight(
            org=org_of(request),
            spotlight_id=profile.pk,
            criteria=criteria,
            data=data,
            actor=actor_of(request),
            at=now(),
        )
    except FlowLedgerError as error:
        return {"refusal": refusal_of(error)}
    found = trial.evaluation
    return {
        "left_out": left_out,
        "states": json.dumps({name: asdict(state) for name, state in trial.states.items()}),
        "side": _side(found),
        "explained": None if found is None else explained(explain(trial.profile, found, trial.scale)),
    }


def _line(preview: Preview, row: PreviewedSignal) -> Line:
    signal = row.signal
    what = " ".join((signal.problem_phrase or signal.snippet).split())
    who = signal.company_name or signal.contact_name or signal.contact_email or signal.contact_phone
    delta = row.after.match_score - row.before.match_score if row.after and row.before else Decimal(0)
    return Line(
        link=page_of(signal),
        who=who or "Unknown sender",
        what=f"{what[:LONGEST_TITLE]}…" if len(what) > LONGEST_TITLE else what,
        before=_side(row.before),
        after=_side(row.after),
        delta=signed(delta) if round(delta, 2) else "",
        is_better=delta > 0,
        explained=None if row.after is None else explained(explain(preview.draft, row.after, preview.scale)),
    )


def _side(found: Evaluation | None) -> Side | None:
    return None if found is None else Side(f"{found.match_score:.2f}", *band(found.recommendation))
