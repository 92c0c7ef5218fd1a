"""Why a row of the Today panel stands where it does, in sentences, and what its item wants done next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.permissions import may
from workstream.machines import CandidateStatus, PursuitStage
from workstream.models import TodayItem
from workstream.models.sla import SlaMetric
from workstream.models.today import NextVerb, Urgency
from workstream.ranking import Ranking


@dataclass(frozen=True)
class Reason:
    """One term of the priority score: which, how many points it gave or took, and why."""

    code: str
    points: int
    sentence: str


@dataclass(frozen=True)
class NextAction:
    """What to do next: the request that does it, with what it always says and what is to be asked for."""

    verb: str
    label: str
    method: str
    url: str
    body: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Way:
    """How a next step is taken: below the item's address, and by which verb it is authorised."""

    verb: str
    path: str
    method: str = "POST"
    body: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


_WAYS: Mapping[str, _Way] = MappingProxyType(
    {
        NextVerb.TRIAGE: _Way("triage", "triage"),
        NextVerb.PROMOTE: _Way("promote", "promote"),
        NextVerb.RESUME: _Way("triage", "triage"),
        NextVerb.START_PINK: _Way("move", "stage", body={"stage": PursuitStage.PINK.value}),
        NextVerb.START_RED: _Way("move", "stage", body={"stage": PursuitStage.RED.value}),
        NextVerb.COMPLETE_PINK: _Way("complete_checklist", "checklist", method="GET"),
        NextVerb.COMPLETE_RED: _Way("complete_checklist", "checklist", method="GET"),
        NextVerb.WRITE_PROPOSAL: _Way("write_proposal", "proposals"),
        NextVerb.SUBMIT: _Way("submit", "submit"),
        NextVerb.WIN: _Way("close", "won"),
        NextVerb.LOG_CALL: _Way("log_activity", "activities", body={"kind": "call"}, needs=("direction", "summary")),
    }
)
_STATES = {**dict(CandidateStatus.choices), **dict(PursuitStage.choices)}
_BAND_NAMES = {"high": "High", "med": "Medium", "low": "Low"}
_METRIC_NAMES = {
    SlaMetric.TRIAGE.value: "Triage",
    SlaMetric.PROPOSAL.value: "Proposal",
    SlaMetric.RESPONSE.value: "Response",
}


def next_action(item: TodayItem, *, actor: Actor | None) -> NextAction | None:
    """The next step of the item; None when the actor may not take it."""
    way = _WAYS[item.next_verb]
    if actor is not None and not may(actor, way.verb, item):
        return None
    return NextAction(
        verb=item.next_verb,
        label=NextVerb(item.next_verb).label,
        method=way.method,
        url=f"/api/{item.item_type}s/{item.item_id}/{way.path}",
        body=dict(way.body),
        needs=way.needs,
    )


def reasons(item: TodayItem, *, ranking: Ranking, timezone: str, at: datetime) -> list[Reason]:
    """Every term of the item's score; their points add up to it."""
    return [
        _reason("urgency", item.urgency_points, _urgency(item, ZoneInfo(timezone), at)),
        _value(item, ranking),
        _reason("stage", item.stage_points, f"{_STATES.get(item.state, item.state)} stage"),
        _reason("workload", -item.workload_penalty, _workload(item, ranking)),
    ]


def _reason(code: str, points: int, why: str) -> Reason:
    # A real minus sign, as in print.
    said = f"{points:+d}".replace("-", "\u2212") if points else "0"
    return Reason(code, points, f"{why}: {said}")


def _urgency(item: TodayItem, zone: ZoneInfo, at: datetime) -> str:
    name = _METRIC_NAMES.get(item.sla_metric, "")
    when = moment(item.sla_due_at, zone, at) if item.sla_due_at else ""
    if item.urgency == Urgency.BREACHED:
        return f"{name} overdue since {when}"
    if item.urgency == Urgency.PAST_DUE:
        return f"Past its due date, {day(item.due_date, at.astimezone(zone))}" if item.due_date else "Past its due date"
    if item.urgency == Urgency.WARNED:
        if item.sla_metric == SlaMetric.TOUCH:
            return f"Untouched since {moment(item.last_touch_at, zone, at)}"
        return f"{name} due {when}"
    return f"Nothing is late; {name.lower()} due {when}" if name and when else "Nothing is late"


def _value(item: TodayItem, ranking: Ranking) -> Reason:
    """The higher of the two bands, named; the value band when both give the same."""
    by_value = ranking.bands.get(item.value_band, 0)
    if ranking.bands.get(item.icp_band, 0) > by_value:
        return _reason("icp", item.value_points, f"{_BAND_NAMES.get(item.icp_band, item.icp_band)} customer fit")
    if not item.value_points:
        return _reason("value", 0, "No value to go by")
    return _reason("value", item.value_points, f"{_BAND_NAMES.get(item.value_band, item.value_band)} value")


def _workload(item: TodayItem, ranking: Ranking) -> str:
    if item.owner is None:
        return "Nobody owns it"
    who = item.owner.get_full_name() or item.owner.get_username()
    if not item.workload_penalty:
        return f"{who} has no other open item"
    further = item.workload_penalty // ranking.penalty if ranking.penalty else 0
    most = " or more" if item.workload_penalty >= ranking.most_penalty else ""
    return f"{who} has {further}{most} further open {'item' if further == 1 and not most else 'items'}"


def moment(when: datetime, zone: ZoneInfo, at: datetime) -> str:
    """A time near enough to be known by its weekday, else by its date, in the organisation's time zone."""
    local, now = when.astimezone(zone), at.astimezone(zone)
    if abs((local.date() - now.date()).days) < 7:
        return f"{local:%A %H:%M}"
    return f"{day(local.date(), now)}, {local:%H:%M}"


def day(date: Any, now: datetime) -> str:
    """A date, with its year when that is another one."""
    return f"{date.day} {date:%B}" + ("" if date.year == now.year else f" {date.year}")
