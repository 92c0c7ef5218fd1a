"""Use cases of SLA rules: make them, edit them, and bring the clocks that run by them up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flowledger.errors import InvalidInput
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import breaches
from workstream.events import SlaRecomputeContinued, SlaRecomputed
from workstream.machines import OPEN_STAGES, CandidateStatus, SignalDisposition
from workstream.models import BusinessCalendar, SlaClock, SlaRule
from workstream.models.sla import METRICS_OF_ITEM, SlaItem, SlaOutcome, metric_named
from workstream.services.changes import changed_names
from workstream.sla_rules import calendar_version, moments, seed_default_rules
from workstream.sql import clocks as sql

# Clocks per transaction: well under a second, so that nobody waits for it.
RECOMPUTE_BATCH = 1000
EDITABLE = frozenset({"threshold_hours", "warn_before_hours", "calendar", "active_from", "active_to", "is_active"})
RULE_FIELDS = EDITABLE | {"item_type", "stage", "metric"}
RECOMPUTED = "sla.recomputed"
STATES_OF_ITEM: dict[str, tuple[str, ...]] = {
    SlaItem.SIGNAL: (SignalDisposition.NEW.value,),
    SlaItem.CANDIDATE: tuple(
        status.value for status in CandidateStatus if status not in {CandidateStatus.PROMOTED, CandidateStatus.ARCHIVED}
    ),
    SlaItem.PURSUIT: tuple(stage.value for stage in OPEN_STAGES),
}


@use_case
def ensure_default_rules(*, org: Organization, actor: Actor, at: datetime) -> None:
    """Give an organisation that never had a rule those of the registry. Raises PermissionRefused."""
    authorize(actor, "view")
    if not SlaRule.objects.for_org(org).exists():
        seed_default_rules(org)


@use_case
def create_rule(*, org: Organization, fields: Mapping[str, Any], actor: Actor, at: datetime) -> SlaRule:
    """Add a rule; it measures what starts from now on. Raises PermissionRefused, InvalidInput."""
    authorize(actor, "edit_sla")
    _refuse_unknown(fields, RULE_FIELDS)
    ensure_default_rules(org=org, actor=actor, at=at)
    _hold_calendar(org, fields)
    rule = SlaRule(org=org, **fields)
    rule.metric = metric_named(rule.metric)
    _require_sense(rule, at=at)
    rule.note_creation(actor=actor, at=at)
    rule.save()
    return rule


@use_case
def update_rule(*, org: Organization, rule_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime) -> SlaRule:
    """Change a rule; its running clocks follow, the ended ones keep what they were measured by.

    What it measures stays: that would be another rule. Saying what it says already changes nothing. Raises NotFound,
    PermissionRefused, InvalidInput.
    """
    rule: SlaRule = SlaRule.objects.for_org(org).locked().select_related("calendar").fetch(rule_id)
    authorize(actor, "edit_sla")
    _refuse_unknown(fields, RULE_FIELDS)
    given = dict(fields)
    if "metric" in given:
        given["metric"] = metric_named(given["metric"])
    changed = changed_names(rule, given)
    if fixed := sorted(set(changed) - EDITABLE):
        sentence = "What a rule measures stays; make another rule and switch this one off."
        raise InvalidInput(sentence, fields={name: [sentence] for name in fixed})
    _hold_calendar(org, given)
    for name in changed:
        setattr(rule, name, given[name])
    if changed:
        _require_sense(rule, at=at)
        rule.note_change(actor=actor, at=at)
        rule.save(update_fields=[*changed, "version"])
    return rule


@use_case
def deactivate_rule(*, org: Organization, rule_id: int, actor: Actor, at: datetime) -> SlaRule:
    """Switch a rule off for good or until it is switched on again; its running clocks are cancelled.

    Raises NotFound, PermissionRefused.
    """
    return update_rule(org=org, rule_id=rule_id, fields={"is_active": False}, actor=actor, at=at)


@dataclass(frozen=True)
class Recomputed:
    """What one part of a recompute did; until `is_done` an event asks for the next part."""

    clocks: int
    is_done: bool


@use_case
def recompute_clocks(
    *,
    org: Organization,
    rule_id: int,
    counted: int = 0,
    after: int = 0,
    batch: int = RECOMPUTE_BATCH,
    actor: Actor,
    at: datetime,
) -> Recomputed:
    """Bring the running clocks of a rule to its present version and its calendar's, at most `batch` of them.

    They get new moments from when they started; a breach that would not be one is resolved, and a clock that is due by
    now is left to the sweep. Clocks of a rule that is off are cancelled. Ended ones are never touched. When there is
    more, `sla.recompute_continued` is recorded (its handler comes here again, with `counted` clocks done and the last
    one's id in `after`), at the end `sla.recomputed`. Raises NotFound, PermissionRefused.
    """
    rule: SlaRule = SlaRule.objects.for_org(org).select_related("calendar").fetch(rule_id)
    authorize(actor, "edit_sla")
    rows = _take(rule, after=after, batch=batch)
    if rule.is_active:
        _move(rule, rows, actor=actor, at=at)
    elif rows:
        ids = [clock.pk for clock in rows]
        by = "sla.rule_changed"
        ended = sql.end_named(org_id=org.pk, ids=ids, ended_at=at, outcome=SlaOutcome.CANCELLED, by=by)
        breaches.settle(org.pk, ended, at=at, by=by, actor=actor)
    total = counted + len(rows)
    if not rows and after == 0 and not _started_meanwhile(rule):
        record_event(org=org, event=SlaRecomputed(rule_id=rule.pk, clocks=total), actor=actor, at=at)
        return Recomputed(clocks=total, is_done=True)
    # A short batch ends the pass; the next one begins anew, for what was held by somebody else or started meanwhile.
    last = rows[-1].pk if len(rows) == batch else 0
    event = SlaRecomputeContinued(rule_id=rule.pk, clocks=total, after_clock_id=last)
    record_event(org=org, event=event, actor=actor, at=at)
    return Recomputed(clocks=total, is_done=False)


@use_case
def recompute_calendar(*, org: Organization, calendar_id: int, actor: Actor, at: datetime) -> list[Recomputed]:
    """Begin to bring the clocks of every rule with this calendar up to date. Raises PermissionRefused."""
    authorize(actor, "edit_sla")
    rules = SlaRule.objects.for_org(org).filter(calendar_id=calendar_id).order_by("pk")
    return [
        recompute_clocks(org=org, rule_id=rule_id, actor=actor, at=at) for rule_id in rules.values_list("pk", flat=True)
    ]


def _stale(rule: SlaRule) -> Any:
    return (
        SlaClock.objects.for_org(rule.org_id)
        .filter(rule_id=rule.pk, stopped_at__isnull=True)
        .exclude(rule_version=rule.version, calendar_version=calendar_version(rule))
        .order_by("pk")
    )


def _take(rule: SlaRule, *, after: int, batch: int) -> list[SlaClock]:
    """The next clocks that run by an older version, locked. Nobody is waited for while any lock is held."""
    rows = _stale(rule).filter(pk__gt=after)
    taken = list(rows.select_for_update(of=("self",), no_key=True, skip_locked=True)[:batch])
    if not taken and after == 0:
        taken = list(rows.locked()[:1])
    return taken


def _started_meanwhile(rule: SlaRule) -> bool:
    """Whether clocks were started by an older version and committed only now: waits for whoever is about to.

    Nothing else is locked here, so that nobody who starts clocks can be waiting for this transaction.
    """
    SlaRule.objects.for_org(rule.org_id).select_for_update(of=("self",)).get(pk=rule.pk)
    if rule.calendar_id is not None:
        BusinessCalendar.objects.for_org(rule.org_id).select_for_update(of=("self",)).get(pk=rule.calendar_id)
    return bool(_stale(rule).exists())


def _move(rule: SlaRule, rows: list[SlaClock], *, actor: Actor, at: datetime) -> None:
    new: list[sql.NewMoments] = []
    pardoned: list[SlaClock] = []
    for clock in rows:
        found = moments(rule, started_at=clock.started_at, paused_seconds=clock.paused_seconds)
        assert clock.due_at is not None and clock.warn_at is not None  # noqa: PT018  every clock by a rule has both
        # A calendar that never opens leaves the clock as it is.
        due_at, warn_at = found or (clock.due_at, clock.warn_at)
        # A paused clock stands where it was paused.
        stands_at = clock.paused_at or at
        is_pardoned = clock.breached_at is not None and due_at > stands_at
        if is_pardoned:
            pardoned.append(clock)
        new.append(
            sql.NewMoments(
                id=clock.pk,
                due_at=due_at,
                warn_at=warn_at,
                paused_at=clock.paused_at,
                paused_seconds=clock.paused_seconds,
                warned_at=None if warn_at > stands_at else clock.warned_at,
                breached_at=None if is_pardoned else clock.breached_at,
                rule_version=rule.version,
                calendar_version=calendar_version(rule),
            )
        )
    if new:
        sql.move(org_id=rule.org_id, clocks=new)
    if pardoned:
        breaches.pardon(rule.org_id, pardoned, at=at, by=RECOMPUTED, actor=actor)


def _require_sense(rule: SlaRule, *, at: datetime) -> None:
    """Raises InvalidInput for a rule that could never measure anything, or warns after the end."""
    faults: dict[str, list[str]] = {}
    if rule.item_type not in METRICS_OF_ITEM:
        faults["item_type"] = [f"Choose from: {', '.join(METRICS_OF_ITEM)}."]
    elif rule.metric not in METRICS_OF_ITEM[rule.item_type]:
        faults["metric"] = [f"On a {rule.item_type} choose from: {', '.join(METRICS_OF_ITEM[rule.item_type])}."]
    elif rule.stage and rule.stage not in STATES_OF_ITEM[rule.item_type]:
        faults["stage"] = [f"Leave it blank or choose from: {', '.join(STATES_OF_ITEM[rule.item_type])}."]
    if rule.threshold_hours is None or rule.threshold_hours < Decimal("0.01"):
        faults["threshold_hours"] = ["This must be at least 0.01 hours."]
    elif rule.warn_before_hours is not None and not 0 <= rule.warn_before_hours < rule.threshold_hours:
        faults["warn_before_hours"] = ["The warning must come after the start and not after the end."]
    if rule.active_from and rule.active_to and rule.active_to <= rule.active_from:
        faults["active_to"] = ["The end must come after the begin."]
    if not faults and rule.is_active and moments(rule, started_at=at) is None:
        faults["calendar_id"] = ["This calendar never opens for so long."]
    if faults:
        name, sentences = next(iter(faults.items()))
        raise InvalidInput(f"{name}: {sentences[0]}", fields=faults)


def _hold_calendar(org: Organization, fields: Mapping[str, Any]) -> None:
    """Keep the calendar that a rule is about to name from being deleted. Raises NotFound when it was."""
    calendar = fields.get("calendar")
    if calendar is not None:
        BusinessCalendar.objects.for_org(org).locked().fetch(calendar.pk)


def _refuse_unknown(fields: Mapping[str, Any], known: frozenset[str]) -> None:
    if unknown := sorted(set(fields) - known):
        raise InvalidInput(
            f"An SLA rule has no field {', '.join(unknown)} to write.",
            fields={name: ["This cannot be written."] for name in unknown},
        )
