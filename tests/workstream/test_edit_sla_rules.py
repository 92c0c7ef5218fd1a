"""Rules are made, edited and switched off; their running clocks follow in batches, the ended ones never change."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from flowledger.errors import InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_candidate
from tests.workstream.test_run_clocks import HOUR, breaches_of, clock_of, clocks_of, move
from tests.workstream.trail import events_of, newest_event, nothing_changes
from workstream import services
from workstream.models import BusinessCalendar, SlaClock, SlaRule
from workstream.services.sla import Recomputed
from workstream.services.sla_sweep import sweep

pytestmark = pytest.mark.django_db


def drained() -> None:
    result = drain_all()
    assert (result.failed, result.dead) == (0, 0)


def triage_rule(org: Any) -> SlaRule:
    services.ensure_default_rules(org=org, actor=CLERK, at=AT)
    rule: SlaRule = SlaRule.all_orgs.get(org=org, item_type="candidate")
    return rule


def edit(rule: SlaRule, *, at: Any = AT, actor: Actor = CLERK, **fields: Any) -> SlaRule:
    return services.update_rule(org=rule.org, rule_id=rule.pk, fields=fields, actor=actor, at=at)


def recompute(rule: SlaRule, *, at: Any = AT, **more: Any) -> Recomputed:
    return services.recompute_clocks(org=rule.org, rule_id=rule.pk, actor=CLERK, at=at, **more)


class TestCreateRule:
    def test_is_stored_beside_the_defaults_with_one_event(self, org, manager):
        fields = {"item_type": "pursuit", "metric": "submit_sla", "threshold_hours": Decimal(48), "stage": "submit"}
        rule = services.create_rule(org=org, fields=fields, actor=actor_of(manager), at=AT)

        stored = SlaRule.all_orgs.get(pk=rule.pk)
        assert (stored.metric, stored.version, stored.is_active) == ("response_sla", 1, True), "an alias"
        assert SlaRule.all_orgs.filter(org=org).count() == 5
        event = newest_event(org, "sla.rule_changed")
        assert event.payload == {
            "rule_id": rule.pk,
            "version": 1,
            "item_type": "pursuit",
            "stage": "submit",
            "metric": "response_sla",
            "threshold_hours": "48",
            "warn_before_hours": None,
            "calendar_id": None,
            "is_active": True,
        }
        assert event.actor_label == "maria"

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"metric": "proposal_sla"}, "metric"),
            ({"metric": "touch"}, "metric"),
            ({"item_type": "engagement"}, "item_type"),
            ({"stage": "pink"}, "stage"),
            ({"stage": "promoted"}, "stage"),
            ({"threshold_hours": Decimal(0)}, "threshold_hours"),
            ({"warn_before_hours": Decimal(8)}, "warn_before_hours"),
            ({"warn_before_hours": Decimal(-1)}, "warn_before_hours"),
            ({"active_from": AT, "active_to": AT}, "active_to"),
            ({"version": 7}, "version"),
        ],
    )
    def test_that_could_never_measure_is_refused(self, org, fields, field):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        values = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": Decimal(8), **fields}
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            services.create_rule(org=org, fields=values, actor=CLERK, at=AT)

        assert set(refusal.value.details["fields"]) == {field}

    def test_by_a_calendar_that_never_opens_is_refused(self, org):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        calendar = BusinessCalendar.all_orgs.create(org=org, name="Closed", timezone="UTC", windows={})
        fields = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": Decimal(8), "calendar": calendar}
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            services.create_rule(org=org, fields=fields, actor=CLERK, at=AT)

        assert set(refusal.value.details["fields"]) == {"calendar_id"}

    def test_by_a_calendar_that_was_deleted_meanwhile_is_refused(self, org):
        fields = {"name": "Berlin", "timezone": "Europe/Berlin"}
        calendar = services.create_calendar(org=org, fields=fields, actor=CLERK, at=AT)
        services.delete_calendar(org=org, calendar_id=calendar.pk, actor=CLERK, at=AT)
        rule = {"item_type": "pursuit", "metric": "response_sla", "threshold_hours": Decimal(8), "calendar": calendar}
        with nothing_changes(), pytest.raises(NotFound, match="business calendar"):
            services.create_rule(org=org, fields=rule, actor=CLERK, at=AT)

    def test_is_refused_to_a_representative(self, org, rep):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        fields = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": Decimal(8)}
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.create_rule(org=org, fields=fields, actor=actor_of(rep), at=AT)

    def test_measures_what_starts_from_then_on(self, org):
        before = open_candidate(org)
        fields = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": Decimal(8)}
        rule = services.create_rule(org=org, fields=fields, actor=CLERK, at=AT)
        after = open_candidate(org)

        assert [clock.rule_id for clock in clocks_of(before, "triage_sla")] == [triage_rule_id(org)]
        assert [clock.rule_id for clock in clocks_of(after, "triage_sla")] == [triage_rule_id(org), rule.pk]


def triage_rule_id(org: Any) -> int:
    return int(SlaRule.all_orgs.get(org=org, default_key="candidate_triage").pk)


class TestUpdateRule:
    def test_raises_the_version_and_says_what_holds_now(self, org):
        rule = edit(triage_rule(org), threshold_hours=Decimal("12.5"))

        assert (rule.version, rule.threshold_hours) == (2, Decimal("12.5"))
        payload = newest_event(org, "sla.rule_changed").payload
        assert (payload["version"], payload["threshold_hours"]) == (2, "12.5")

    def test_that_changes_nothing_tells_nothing(self, org):
        rule = triage_rule(org)
        with nothing_changes():
            edit(rule, threshold_hours=Decimal(24), metric="triage_sla", calendar=None)

    @pytest.mark.parametrize(
        "fields", [{"metric": "response_sla"}, {"item_type": "signal"}, {"stage": "new"}, {"warn_before_hours": 30}]
    )
    def test_cannot_measure_something_else(self, org, fields):
        rule = triage_rule(org)
        with nothing_changes(), pytest.raises(InvalidInput):
            edit(rule, **fields)

    def test_of_a_stranger_does_not_exist(self, org, other_org):
        rule = triage_rule(other_org)
        with nothing_changes(), pytest.raises(NotFound):
            services.update_rule(org=org, rule_id=rule.pk, fields={"is_active": False}, actor=CLERK, at=AT)

    def test_is_refused_to_a_representative(self, org, rep):
        rule = triage_rule(org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            edit(rule, threshold_hours=Decimal(1), actor=actor_of(rep))


class TestRecompute:
    def test_moves_the_running_clocks_and_leaves_the_ended_ones(self, org):
        rule = triage_rule(org)
        running, ended = open_candidate(org), open_candidate(org, status="triaged")
        before = SlaClock.all_orgs.filter(candidate=ended, rule=rule).values().get()
        edit(rule, threshold_hours=Decimal(48), warn_before_hours=Decimal(2))
        drained()

        clock = clock_of(running, "triage_sla")
        assert (clock.due_at, clock.warn_at, clock.rule_version) == (AT + 48 * HOUR, AT + 46 * HOUR, 2)
        assert SlaClock.all_orgs.filter(candidate=ended, rule=rule).values().get() == before
        assert newest_event(org, "sla.recomputed").payload == {"rule_id": rule.pk, "clocks": 1}

    def test_goes_on_in_batches_until_all_are_done(self, org):
        rule = triage_rule(org)
        candidates = [open_candidate(org) for _ in range(5)]
        rule = edit(rule, threshold_hours=Decimal(2))
        counted = after = 0
        parts = []
        for _ in range(10):
            part = recompute(rule, counted=counted, after=after, batch=2)
            parts.append(part.clocks)
            if part.is_done:
                break
            payload = newest_event(org, "sla.recompute_continued").payload
            counted, after = payload["clocks"], payload["after_clock_id"]

        assert parts == [2, 4, 5, 5]
        assert {clock_of(each, "triage_sla").due_at for each in candidates} == {AT + 2 * HOUR}
        assert newest_event(org, "sla.recomputed").payload["clocks"] == 5

    def test_again_does_nothing(self, org):
        rule = triage_rule(org)
        candidate = open_candidate(org)
        edit(rule, threshold_hours=Decimal(2))
        drained()
        version = clock_of(candidate, "triage_sla").row_version
        assert recompute(rule) == Recomputed(clocks=0, is_done=True)

        assert clock_of(candidate, "triage_sla").row_version == version

    def test_resolves_a_breach_that_would_not_be_one(self, org):
        rule = triage_rule(org)
        candidate = open_candidate(org)
        sweep(at=AT + 25 * HOUR)
        edit(rule, threshold_hours=Decimal(100), at=AT + 26 * HOUR)
        drained()

        (breach,) = breaches_of(candidate)
        assert (breach.resolved_at, breach.resolved_by) == (AT + 26 * HOUR, "sla.recomputed")
        clock = clock_of(candidate, "triage_sla")
        assert (clock.breached_at, clock.warned_at, clock.stopped_at) == (None, None, None)
        assert events_of(candidate)[-1] == "sla.resolved"
        sweep(at=AT + 101 * HOUR)
        assert [each.breached_at for each in breaches_of(candidate)] == [AT + 24 * HOUR, AT + 100 * HOUR]

    def test_leaves_a_breach_that_still_is_one(self, org):
        rule = triage_rule(org)
        candidate = open_candidate(org)
        sweep(at=AT + 25 * HOUR)
        edit(rule, threshold_hours=Decimal("24.5"), at=AT + 26 * HOUR)
        drained()

        (breach,) = breaches_of(candidate)
        assert breach.resolved_at is None
        assert clock_of(candidate, "triage_sla").breached_at == AT + 24 * HOUR

    def test_leaves_what_is_overdue_now_to_the_sweep(self, org):
        rule = triage_rule(org)
        candidate = open_candidate(org)
        edit(rule, threshold_hours=Decimal(2), at=AT + 5 * HOUR)
        drained()
        assert breaches_of(candidate) == []
        sweep(at=AT + 6 * HOUR)

        assert [breach.breached_at for breach in breaches_of(candidate)] == [AT + 2 * HOUR]

    def test_a_paused_clock_keeps_its_pause(self, org):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        fields = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": Decimal(10), "stage": "triaged"}
        rule = services.create_rule(org=org, fields=fields, actor=CLERK, at=AT)
        candidate = open_candidate(org, status="triaged")
        move(candidate, "hold", reason="Wait", at=AT + 3 * HOUR)
        edit(rule, threshold_hours=Decimal(20))
        drained()
        move(candidate, "triage", at=AT + 100 * HOUR)

        clock = SlaClock.all_orgs.get(candidate=candidate, rule=rule)
        assert (clock.due_at, clock.paused_seconds) == (AT + 117 * HOUR, 97 * 3600)
        edit(rule, threshold_hours=Decimal(21))
        drained()
        clock.refresh_from_db()
        assert clock.due_at == AT + 118 * HOUR

    def test_a_calendar_edit_moves_the_clocks_of_its_rules(self, org):
        calendar = services.create_calendar(org=org, fields={"name": "Office", "timezone": "UTC"}, actor=CLERK, at=AT)
        rule = edit(triage_rule(org), calendar=calendar)
        drained()
        candidate = open_candidate(org)
        # Monday nine o'clock: eight hours a day from there.
        assert clock_of(candidate, "triage_sla").due_at == AT + timedelta(days=2, hours=8)
        windows = {"mon": [["09:00", "21:00"]], "tue": [["09:00", "21:00"]]}
        services.update_calendar(
            org=org, calendar_id=calendar.pk, fields={"windows": windows}, actor=CLERK, at=AT + HOUR
        )
        drained()

        clock = clock_of(candidate, "triage_sla")
        assert clock.due_at == AT + timedelta(days=1, hours=12)
        assert (clock.rule_version, clock.calendar_version) == (rule.version, 2)

    def test_switching_a_rule_off_cancels_its_running_clocks(self, org):
        rule = triage_rule(org)
        in_time, late = open_candidate(org), open_candidate(org, at=AT - 30 * HOUR)
        sweep(at=AT)
        services.deactivate_rule(org=org, rule_id=rule.pk, actor=CLERK, at=AT + HOUR)
        drained()

        assert clock_of(in_time, "triage_sla").outcome == "cancelled"
        assert clock_of(late, "triage_sla").outcome == "breached", "what was late stays late"
        (breach,) = breaches_of(late)
        assert breach.resolved_by == "sla.rule_changed"
        assert {clock.stopped_by for clock in clocks_of(in_time, "triage_sla")} == {"sla.rule_changed"}

    def test_touches_no_other_organisation(self, org, other_org):
        theirs = open_candidate(other_org)
        rule = triage_rule(org)
        edit(rule, threshold_hours=Decimal(2))
        drained()

        assert clock_of(theirs, "triage_sla").due_at == AT + 24 * HOUR
        assert not WorkEvent.all_orgs.filter(org=other_org, event_name="sla.recomputed").exists()
