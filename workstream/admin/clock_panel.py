"""The clocks of an item on its page: which run, since when, when they are due, what paused them and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.timesince import timeuntil

from flowledger.tenancy.models import Organization
from workstream.admin.today_rows import due_in_words
from workstream.models.sla import CLOCKED_MODELS, SlaMetric
from workstream.services.sla_explain import ClockStory, explain

LOOKS = {"running": "info", "paused": "warning", "met": "success", "breached": "danger", "cancelled": ""}


@dataclass(frozen=True)
class ClockLine:
    """One clock in a line, with its whole story to unfold."""

    label: str
    state: str
    look: str
    when: str
    is_running: bool
    sentences: tuple[str, ...]


def clock_lines(item: Any, *, org: Organization, at: datetime) -> list[ClockLine]:
    """The item's clocks, running ones first; none for a kind of item that has none."""
    kind = item._meta.model_name or ""
    if kind not in CLOCKED_MODELS:
        return []
    return [_line(story, at) for story in explain(org=org, item_type=kind, item_id=item.pk, at=at)]


def _line(story: ClockStory, at: datetime) -> ClockLine:
    return ClockLine(
        label=str(SlaMetric(story.metric).label),
        state=story.state,
        look=_look(story, at),
        when=_when(story, at),
        is_running=story.stopped_at is None,
        sentences=story.sentences,
    )


def _look(story: ClockStory, at: datetime) -> str:
    if story.state == "running" and (story.breached_at or (story.due_at is not None and story.due_at <= at)):
        return "danger"
    return "warning" if story.state == "running" and story.warned_at else LOOKS[story.state]


def _when(story: ClockStory, at: datetime) -> str:
    if story.state == "paused":
        return "stands still"
    if story.stopped_at is not None:
        return ""
    if story.due_at is not None:
        return due_in_words(story.due_at, at)
    if story.warned_at is not None or story.warn_at is None or story.warn_at <= at:
        return "has warned"
    return f"warns in {timeuntil(story.warn_at, at, depth=1)}"
