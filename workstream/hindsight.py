"""Clocks written after the fact, for what an organisation had before anything measured it.

Measured by the rules in force when they are written. What was overdue by then is in breach from the start, and what was
due a warning has had it: the sweep finds nothing to tell anybody about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flowledger.tenancy.models import Organization
from workstream.clocks import Item, due_clock_warns_at, due_day_of, item_type_of
from workstream.models import Candidate, Pursuit, SlaBreach, SlaClock, SlaRule
from workstream.models.sla import REASON_OF_METRIC, SlaItem, SlaMetric, SlaOutcome
from workstream.sla_rules import calendar_version, is_in_force, moments, rules_of, untouched_for

BATCH = 2000


@dataclass
class Hindsight:
    """Collects clocks and stores them with their breaches in two statements. `at` is the time of the writing."""

    org: Organization
    rules: Mapping[str, Sequence[SlaRule]]
    untouched: timedelta
    at: datetime
    clocks: list[SlaClock] = field(default_factory=list, init=False)

    @classmethod
    def in_force(cls, org: Organization, *, at: datetime) -> Hindsight:
        """Inside the transaction that stores the clocks: the rules stay what they are until it ends."""
        rules = {
            kind: [rule for rule in rules_of(org, item_type=kind) if is_in_force(rule, at=at)]
            for kind in SlaItem.values
        }
        return cls(org=org, rules=rules, untouched=untouched_for(org), at=at)

    def measure(
        self, item: Item, metric: SlaMetric, began: datetime, ended: datetime | None = None, *, by: str = ""
    ) -> None:
        """One clock for each rule of the metric; without an end it runs."""
        for rule in self.rules[item_type_of(item)]:
            if rule.metric == metric and not rule.stage:
                self._add(item, rule, began, ended, by)
        if ended is None:
            self.measure_stay(item, metric, began)

    def measure_stay(self, item: Item, metric: SlaMetric, began: datetime) -> None:
        """Running clocks by the rules that are bound to the state that an item is in, from its entry on."""
        state = str(getattr(item, "status", getattr(item, "stage", "")))
        for rule in self.rules[item_type_of(item)]:
            if rule.metric == metric and rule.stage and rule.stage == state:
                self._add(item, rule, max(began, getattr(item, "state_entered_at", began)), None, "")

    def run_softly(self, item: Candidate | Pursuit) -> None:
        """The clocks without a rule of an open item."""
        self._soft(item, SlaMetric.TOUCH, item.last_touch_at + self.untouched)
        due = due_day_of(item)
        if due is not None:
            self._soft(item, SlaMetric.DUE_DATE, due_clock_warns_at(self.org, due))

    def store(self) -> tuple[int, int]:
        """Insert what was collected, and the breaches of what was missed; answers how many clocks and breaches."""
        rows = SlaClock.objects.for_org(self.org).bulk_create(self.clocks, batch_size=BATCH)
        breaches = SlaBreach.objects.for_org(self.org).bulk_create(_breaches(rows), batch_size=BATCH)
        self.clocks = []
        return len(rows), len(breaches)

    def _add(self, item: Item, rule: SlaRule, began: datetime, ended: datetime | None, by: str) -> None:
        found = moments(rule, started_at=began)
        if found is None:
            return
        due_at, warn_at = found
        seen = self.at if ended is None else ended
        is_late = due_at < seen
        outcome = "" if ended is None else SlaOutcome.BREACHED if is_late else SlaOutcome.MET
        self.clocks.append(
            SlaClock(
                org=self.org,
                rule=rule,
                rule_version=rule.version,
                calendar_version=calendar_version(rule),
                metric=rule.metric,
                started_at=began,
                due_at=due_at,
                warn_at=warn_at,
                warned_at=warn_at if warn_at < seen else None,
                breached_at=due_at if is_late else None,
                stopped_at=ended,
                stopped_by="" if ended is None else by,
                outcome=outcome,
                **{f"{item_type_of(item)}_id": item.pk},
            )
        )

    def _soft(self, item: Candidate | Pursuit, metric: SlaMetric, warn_at: datetime) -> None:
        self.clocks.append(
            SlaClock(
                org=self.org,
                metric=metric,
                started_at=item.last_touch_at,
                warn_at=warn_at,
                warned_at=warn_at if warn_at < self.at else None,
                **{f"{item_type_of(item)}_id": item.pk},
            )
        )


def _breaches(rows: Iterable[SlaClock]) -> Iterator[SlaBreach]:
    for clock in rows:
        if clock.breached_at is not None:
            yield SlaBreach(
                org_id=clock.org_id,
                clock=clock,
                rule=clock.rule,
                metric=clock.metric,
                reason_code=REASON_OF_METRIC[SlaMetric(clock.metric)],
                breached_at=clock.breached_at,
                resolved_at=clock.stopped_at,
                resolved_by=clock.stopped_by,
                **{f"{clock.item_type}_id": clock.item_id},
            )
