"""What scores, enrichment and routing hold of a person: values that were seen, facts that were fetched, reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from flowledger.clients.erasure import Counts, Passages, Person, add_counts
from flowledger.clients.services.texts import TextEraser, Texts
from flowledger.clients.sql.texts import write_texts
from flowledger.outbox.redaction import MARKER
from flowledger.tenancy.models import Organization
from spotlight.models import (
    EnrichedFact,
    RescoreRun,
    RoutedSignal,
    ScoreOverride,
    SpotlightScore,
    SpotlightScoreChange,
    WeightProposal,
)

_MEMBER = "A member of the organisation, or a key."
_MACHINE = "A name or a code of the machine's."
# Where the values seen stand in a component of a score, and of a change of one.
_SEEN = {SpotlightScore: (2,), SpotlightScoreChange: (4, 5)}


def _items(person: Person) -> Q:
    own = Q(signal__contact__in=person.contact_ids) | Q(signal__contact_email__in=person.emails)
    return own | Q(candidate__contact__in=person.contact_ids)


def _facts(person: Person) -> Q:
    return Q(contact__in=person.contact_ids)


TABLES = [
    Texts(
        EnrichedFact, own=_facts, goes=True, named_in=("value",), spared={"field_name": _MACHINE, "provider": _MACHINE}
    ),
    Texts(
        SpotlightScore,
        own=_items,
        named_in=("components",),
        spared={"algorithm_version": _MACHINE},
    ),
    Texts(SpotlightScoreChange, own=_items, named_in=("components",)),
    Texts(
        ScoreOverride,
        own=_items,
        left={"reason": MARKER},
        named_in=("reason",),
        spared={
            "set_by_label": _MEMBER,
            "ended_by_label": _MEMBER,
        },
    ),
    Texts(
        RoutedSignal,
        own=lambda person: Q(signal__contact__in=person.contact_ids) | Q(signal__contact_email__in=person.emails),
        left={"reason": "", "decision_note": ""},
        named_in=("reason", "decision_note"),
    ),
    Texts(
        RescoreRun,
        own=_facts,
        left={"reason": "", "failure": ""},
        named_in=("reason", "failure"),
    ),
    Texts(
        WeightProposal,
        spared={"weights": "Numbers of criteria.", "evidence": "Counts and shares over many items."},
    ),
]
# Profiles: what the organisation looks for.
SPARED = frozenset(
    {
        *("spotlight.spotlight", "spotlight.spotlightfield", "spotlight.spotlightcriterion", "spotlight.fieldrule"),
        *("spotlight.spotlightversion", "spotlight.spotlightfit", "spotlight.matchalert"),
    }
)


def _unsee(person: Person, at: datetime) -> Counts:
    touched: Counts = {}
    for model in _SEEN:
        rows = model.objects.for_org(person.org).filter(_items(person))
        add_counts(touched, _empty_seen(model, rows, person.org, at=at, dry_run=False))
    return touched


ERASER = TextEraser(TABLES, _unsee)


def redactor_of(column: str) -> Callable[..., Counts]:
    """How the scores of signals or candidates let go of the values that were seen in what is redacted."""

    def redact(*, org: Organization, passages: Passages, at: datetime, dry_run: bool) -> Counts:
        touched: Counts = {}
        for model in _SEEN:
            rows = model.objects.for_org(org).filter(**{f"{column}__in": list(passages)})
            add_counts(touched, _empty_seen(model, rows, org, at=at, dry_run=dry_run))
        return touched

    return redact


def _empty_seen(model: type[Any], rows: Any, org: Organization, *, at: datetime, dry_run: bool) -> Counts:
    """A marker in the place of every text that was seen; credits and numbers stay, so that the score is explained."""
    changed: dict[int, list[Any]] = {}
    chosen = rows.order_by("pk") if dry_run else rows.order_by("pk").select_for_update(of=("self",), no_key=True)
    for pk, components in chosen.values_list("pk", "components"):
        after = [_unseen(component, _SEEN[model]) for component in components]
        if after != components:
            changed[pk] = [after]
    if not dry_run:
        write_texts(model, org_id=org.pk, columns=["components"], rows=changed, at=at)
    return {str(model._meta.label_lower): len(changed)} if changed else {}


def _unseen(component: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [
        MARKER if place in places and isinstance(value, str | list | dict) and value else value
        for place, value in enumerate(component)
    ]
