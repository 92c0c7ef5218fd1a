"""The score on the pages of signals and candidates: why it is what it is, how it moved, what a person made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.timezone import now

from flowledger.backoffice.panels import Panel, register_panel
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.tenancy.permissions import may
from spotlight.admin.explained import Explained, explained
from spotlight.admin.wording import band, signed
from spotlight.models import SCORED_MODELS, ScoreOverride, Spotlight
from spotlight.services.stories import MoveStory, ScoreStory, history_of_item, scores_of_item
from workstream.machines import SignalDisposition

MOVES_SHOWN = 20


@dataclass(frozen=True)
class Move:
    """One step of a score."""

    when: Any
    profile: str
    cause: str
    before: str
    after: str
    delta: str
    is_better: bool
    band_change: str
    sentences: Sequence[str]


@dataclass(frozen=True)
class ProfileScore:
    """What the item scores against one profile."""

    name: str
    version: int
    link: str
    score: str
    label: str
    look: str
    computed: str
    override: ScoreOverride | None
    explained: Explained
    evaluated_at: Any
    is_behind: bool
    override_link: str
    end_link: str


@dataclass(frozen=True)
class ScorePanel:
    """All that the panel shows; `reason` says why there is no score."""

    scores: Sequence[ProfileScore]
    moves: Sequence[Move]
    reason: str
    rescore_link: str
    may_rescore: bool
    may_override: bool


def score_panel(request: HttpRequest, item: Any) -> Panel | None:
    """The panel of a signal or candidate; none in an organisation without an active profile."""
    org, actor = org_of(request), actor_of(request)
    if not Spotlight.objects.for_org(org).active().exists():
        return None
    item_type = item._meta.model_name
    of: dict[str, Any] = {"org": org, "item_type": item_type, "item_id": item.pk, "actor": actor, "at": now()}
    stories, moves = scores_of_item(**of), history_of_item(**of, limit=MOVES_SHOWN)
    is_rejected = item_type == "signal" and item.disposition == SignalDisposition.REJECTED
    content = ScorePanel(
        scores=[_profile_score(story, item_type, item.pk) for story in stories],
        moves=[_move(each) for each in moves],
        reason=_why_none(is_rejected=is_rejected) if not stories else "",
        rescore_link=reverse("admin:score_rescore", args=[item_type, item.pk]),
        may_rescore=may(actor, "rescore") and not is_rejected,
        may_override=may(actor, "override_score") and not is_rejected,
    )
    return Panel("spotlight/score_panel.html", content)


def _why_none(*, is_rejected: bool) -> str:
    if is_rejected:
        return "Rejected signals are not scored."
    return "Not scored yet. New items are scored within seconds; this one can be scored now."


def _profile_score(story: ScoreStory, item_type: str, item_id: int) -> ProfileScore:
    score, counts = story.score, story.counts
    label, look = band(counts.recommendation)
    key = [item_type, item_id, score.spotlight_id]
    return ProfileScore(
        name=str(score.spotlight.name),
        version=score.spotlight_version,
        link=reverse("admin:spotlight_spotlight_change", args=[score.spotlight_id]),
        score=f"{counts.match_score:.2f}",
        label=label,
        look=look,
        computed=f"{score.match_score:.2f}, {band(score.recommendation)[0].lower()}",
        override=story.override,
        explained=explained(story.explanation),
        evaluated_at=score.evaluated_at,
        is_behind=score.spotlight_version != score.spotlight.version,
        override_link=reverse("admin:score_override", args=key),
        end_link=reverse("admin:score_override_end", args=key),
    )


def _move(story: MoveStory) -> Move:
    change = story.change
    bands = [band(each)[0].lower() for each in (change.previous_recommendation, change.recommendation)]
    sentences = [each[:1].upper() + each[1:] for each in story.sentences]
    if change.previous_version != change.spotlight_version:
        sentences.insert(0, f"Version {change.previous_version} became version {change.spotlight_version}")
    return Move(
        when=change.happened_at,
        profile=str(change.spotlight.name),
        cause=str(change.get_cause_display()),
        before=f"{change.previous_score:.2f}",
        after=f"{change.match_score:.2f}",
        delta=signed(story.delta),
        is_better=story.delta > 0,
        band_change=" → ".join(bands) if bands[0] != bands[1] else "",
        sentences=sentences,
    )


for _label in SCORED_MODELS.values():
    register_panel(_label, score_panel)
