"""Scoring items in tests, and looking at what was stored and told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from spotlight import services
from spotlight.models import Cause, ScoreOverride, SpotlightFit, SpotlightScore, SpotlightScoreChange
from spotlight.services.scoring import Scored
from tests.spotlight.factories import CLERK, wish
from tests.workstream.factories import AT, SignalFactory
from workstream.models import Signal

LATER = AT + timedelta(hours=1)
BANKS = (wish("industry", "=", "Banking", field_type="text"),)


def signal_of(org: Any, **attributes: Any) -> Signal:
    signal: Signal = SignalFactory(org=org, attributes=attributes)
    return signal


def evaluate(org: Any, *items: Any, at: Any = AT, cause: str = Cause.NEW, **more: Any) -> Scored:
    kind = items[0]._meta.model_name
    return services.evaluate_items(
        org=org, item_type=kind, item_ids=[each.pk for each in items], cause=cause, actor=CLERK, at=at, **more
    )


def scores_of(item: Any) -> dict[int, SpotlightScore]:
    with system_scope("tests"):
        rows = SpotlightScore.all_orgs.filter(**{item._meta.model_name: item.pk}).order_by("spotlight_id")
        return {row.spotlight_id: row for row in rows}


def changes_of(item: Any) -> list[SpotlightScoreChange]:
    with system_scope("tests"):
        return list(SpotlightScoreChange.all_orgs.filter(**{item._meta.model_name: item.pk}).order_by("pk"))


def fit_of(item: Any) -> SpotlightFit | None:
    with system_scope("tests"):
        return SpotlightFit.all_orgs.filter(**{item._meta.model_name: item.pk}).order_by("pk").first()


def told_of(item: Any, name: str = "spotlight.evaluated") -> list[dict[str, Any]]:
    kind = item._meta.model_name
    with system_scope("tests"):
        rows = WorkEvent.all_orgs.filter(event_name=name, item_type=kind, item_id=item.pk).order_by("pk")
        return [row.payload for row in rows]


def change_attributes(signal: Signal, **attributes: Any) -> None:
    """What the services never do: a signal stays as it was received. Its facts move all the same."""
    with system_scope("tests"):
        Signal.all_orgs.filter(pk=signal.pk).update(attributes=attributes)


def override(item: Any, spotlight: Any, **given: Any) -> ScoreOverride:
    given = {"reason": "We know them", "recommendation": "high_match", "actor": CLERK, "at": AT, **given}
    return services.override_score(
        org=item.org, item_type=item._meta.model_name, item_id=item.pk, spotlight_id=spotlight.pk, **given
    )


def end(item: Any, spotlight: Any, *, at: Any = LATER, actor: Any = CLERK) -> ScoreOverride:
    return services.end_override(
        org=item.org,
        item_type=item._meta.model_name,
        item_id=item.pk,
        spotlight_id=spotlight.pk,
        actor=actor,
        at=at,
    )


def overrides_of(item: Any) -> list[ScoreOverride]:
    with system_scope("tests"):
        return list(ScoreOverride.all_orgs.filter(**{item._meta.model_name: item.pk}).order_by("pk"))
