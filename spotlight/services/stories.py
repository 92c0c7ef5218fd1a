"""The scores of one item as people read them: each with its explanation and override, and how they moved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q

from flowledger.errors import NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.evaluation.explaining import Explanation, explain
from spotlight.evaluation.wording import percent_text, value_text
from spotlight.models import SCORED_MODELS, ScoreOverride, SpotlightScore, SpotlightScoreChange, SpotlightVersion
from spotlight.services.definitions import evaluation_of, profiles_at, scale_of

MOST_MOVES = 200


@dataclass(frozen=True)
class ScoreStory:
    """What an item scores against one profile; a standing override counts in place of the computed score."""

    score: SpotlightScore
    explanation: Explanation
    override: ScoreOverride | None

    @property
    def counts(self) -> SpotlightScore | ScoreOverride:
        """What counts now."""
        return self.override or self.score


@dataclass(frozen=True)
class MoveStory:
    """One move of a score, with a sentence for each criterion that made it."""

    change: SpotlightScoreChange
    delta: Decimal
    sentences: list[str]


@use_case
def scores_of_item(*, org: Organization, item_type: str, item_id: int, actor: Actor, at: datetime) -> list[ScoreStory]:
    """The scores of a signal or candidate against the active profiles, the best first, with overrides that stand then.

    Raises NotFound for another kind of item, PermissionRefused. An item that does not exist, or is not scored yet, has
    none. Three statements, and one for every score by an earlier version of a profile.
    """
    authorize(actor, "view")
    _require_scored(item_type)
    rows = SpotlightScore.objects.for_org(org).of(item_type, item_id).filter(spotlight__active=True)
    scores = list(rows.select_related("spotlight").order_by("spotlight_id"))
    if not scores:
        return []
    overrides = ScoreOverride.objects.for_org(org).filter(
        **{item_type: item_id}, ended_at__isnull=True, expires_at__gt=at
    )
    standing = {override.spotlight_id: override for override in overrides.order_by("pk")}
    profiles = profiles_at(org, ((score.spotlight_id, score.spotlight_version) for score in scores))
    scale = scale_of(org)
    stories = [
        ScoreStory(
            score,
            explain(
                profiles[score.spotlight_id, score.spotlight_version],
                evaluation_of(score),
                scale,
                score.algorithm_version,
            ),
            standing.get(score.spotlight_id),
        )
        for score in scores
    ]
    return sorted(stories, key=lambda story: (-story.counts.match_score, story.score.spotlight_id))


@use_case
def history_of_item(
    *, org: Organization, item_type: str, item_id: int, limit: int = 20, actor: Actor, at: datetime
) -> list[MoveStory]:
    """How the scores of an item had moved by then, the newest first. Raises NotFound, PermissionRefused."""
    authorize(actor, "view")
    _require_scored(item_type)
    rows = SpotlightScoreChange.objects.for_org(org).filter(**{item_type: item_id}, happened_at__lte=at)
    newest = rows.select_related("spotlight").order_by("-happened_at", "-pk")
    changes = list(newest[: max(1, min(limit, MOST_MOVES))])
    asked = criteria_asked(org, changes)
    return [move_of(change, asked) for change in changes]


# The criteria of versions, by profile and number.
Asked = Mapping[tuple[int, int], Collection[int]]


def move_of(change: SpotlightScoreChange, asked: Asked | None = None) -> MoveStory:
    """A move in sentences; `asked` is what `criteria_asked` says of it, without which all were asked on both sides."""
    return MoveStory(
        change=change,
        delta=change.match_score - change.previous_score,
        sentences=[_moved(change, component, asked or {}) for component in change.components],
    )


def criteria_asked(org: Organization, changes: Iterable[SpotlightScoreChange]) -> Asked:
    """Which criteria the versions had where they changed, so that what came or went can be told; one statement."""
    wanted = Q()
    for change in changes:
        if change.previous_version != change.spotlight_version:
            versions = [change.previous_version, change.spotlight_version]
            wanted |= Q(spotlight=change.spotlight_id, version__in=versions)
    if not wanted:
        return {}
    rows = SpotlightVersion.objects.for_org(org).filter(wanted).values_list("spotlight_id", "version", "definition")
    return {(pk, version): {each["criterion_id"] for each in kept["criteria"]} for pk, version, kept in rows}


def _moved(change: SpotlightScoreChange, component: list[Any], asked: Asked) -> str:
    """One criterion: budget: 50k (0% credit) → 120k (100% credit), from client."""
    criterion_id, field_name, credit_before, credit_after, seen_before, seen_after, source = component
    before = _side(seen_before, credit_before, criterion_id in asked.get(_key(change, is_before=True), {criterion_id}))
    after = _side(seen_after, credit_after, criterion_id in asked.get(_key(change, is_before=False), {criterion_id}))
    whence = f", from {source}" if source and seen_after is not None else ""
    return f"{field_name.replace('_', ' ')}: {before} → {after}{whence}"


def _key(change: SpotlightScoreChange, *, is_before: bool) -> tuple[int, int]:
    return change.spotlight_id, change.previous_version if is_before else change.spotlight_version


def _side(seen: object, credit: float | None, is_asked: bool) -> str:
    if not is_asked:
        return "not asked"
    if credit is None:
        return "unknown" if seen is None else f"{value_text('', seen)} (unknown)"
    return f"{value_text('', seen)} ({percent_text(Decimal(str(credit)))} credit)"


def _require_scored(item_type: str) -> None:
    if item_type not in SCORED_MODELS:
        raise NotFound(f"Signals and candidates are scored, not {item_type}.")
