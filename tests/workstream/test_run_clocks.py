"""Clocks start, stand still, run on and end with the transitions of their items, in the same transaction."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from flowledger.errors import GateBlocked, InvalidInput
from flowledger.outbox.models import WorkEvent
from tests.queries import counted_queries
from tests.workstream.factories import (
    AT,
    CLERK,
    ClientFactory,
    complete_checklist,
    open_candidate,
    open_pursuit,
)
from tests.workstream.trail import events_of, newest_event, nothing_changes
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import BusinessCalendar, Candidate, Pursuit, Signal, SlaBreach, SlaClock, SlaRule
from workstream.services.sla_sweep import sweep

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = 24 * HOUR


def receive(org: Any, *, at: datetime = AT, **fields: Any) -> Signal:
    fields = {"source_type": "note", "snippet": "They asked for a crane", **fields}
    return services.create_signal(org=org, fields=fields, actor=CLERK, at=at).signal


def clocks_of(item: Any, metric: str | None = None) -> list[SlaClock]:
    rows = SlaClock.all_orgs.filter(org_id=item.org_id, **{item._meta.model_name: item.pk})
    return list((rows.filter(metric=metric) if metric else rows).order_by("pk"))


def clock_of(item: Any, metric: str) -> SlaClock:
    (clock,) = clocks_of(item, metric)
    return clock


def running(item: Any) -> set[str]:
    return {clock.metric for clock in clocks_of(item) if clock.stopped_at is None}


def breaches_of(item: Any) -> list[SlaBreach]:
    return list(SlaBreach.all_orgs.filter(org_id=item.org_id, **{item._meta.model_name: item.pk}).order_by("pk"))


def end_of(clock: SlaClock) -> tuple[Any, str, str]:
    return clock.stopped_at, clock.outcome, clock.stopped_by


def log(item: Any, *, at: datetime, **more: Any) -> None:
    services.log_activity(
        org=item.org,
        item_type=item._meta.model_name,
        item_id=item.pk,
        kind="call",
        summary="Talked about the crane",
        actor=CLERK,
        at=at,
        **more,
    )


def rule(org: Any, **fields: Any) -> SlaRule:
    services.ensure_default_rules(org=org, actor=CLERK, at=AT)
    values = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": Decimal(16), **fields}
    return services.create_rule(org=org, fields=values, actor=CLERK, at=AT)


def only(org: Any, **fields: Any) -> SlaRule:
    """This rule and no default beside it."""
    added = rule(org, **fields)
    for other in SlaRule.all_orgs.filter(org=org).exclude(pk=added.pk):
        services.deactivate_rule(org=org, rule_id=other.pk, actor=CLERK, at=AT)
    return added


def move(candidate: Candidate, verb: str, *, at: datetime, **more: Any) -> None:
    service = getattr(services, f"{verb}_candidate")
    service(org=candidate.org, candidate_id=candidate.pk, actor=CLERK, at=at, **more)


def send(pursuit: Pursuit, *, at: datetime) -> Any:
    keys: dict[str, Any] = {"org": pursuit.org, "actor": CLERK, "at": at}
    proposal = services.create_proposal(pursuit_id=pursuit.pk, fields={}, **keys)
    return services.send_proposal(proposal_id=proposal.pk, **keys)


class TestSignal:
    def test_is_measured_from_when_it_happened(self, org):
        signal = receive(org, ts=AT - 5 * HOUR)

        clock = clock_of(signal, "triage_sla")
        assert (clock.started_at, clock.due_at) == (AT - 5 * HOUR, AT + 19 * HOUR)
        assert clock.warn_at == AT + 13 * HOUR, "a quarter of the threshold before the end"
        assert (clock.rule_version, clock.calendar_version, clock.outcome) == (1, 0, "")

    def test_is_met_by_the_first_touch(self, org):
        signal = receive(org)
        log(signal, at=AT + 10 * HOUR, happened_at=AT + 2 * HOUR)
        log(signal, at=AT + 11 * HOUR)

        assert end_of(clock_of(signal, "triage_sla")) == (AT + 2 * HOUR, "met", "activity.logged")

    def test_is_met_by_being_linked(self, org):
        signal, candidate = receive(org), open_candidate(org)
        services.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT + HOUR)

        assert end_of(clock_of(signal, "triage_sla")) == (AT + HOUR, "met", "signal.linked")

    def test_is_met_by_opening_a_candidate_with_several(self, org):
        signals = [receive(org), receive(org)]
        ids = [signal.pk for signal in signals]
        services.create_candidate(org=org, fields={}, signal_ids=ids, actor=CLERK, at=AT + HOUR)

        assert [end_of(clock_of(signal, "triage_sla")) for signal in signals] == [
            (AT + HOUR, "met", "signal.linked")
        ] * 2

    def test_is_cancelled_by_a_rejection(self, org):
        signal = receive(org)
        services.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT + HOUR)

        assert end_of(clock_of(signal, "triage_sla")) == (AT + HOUR, "cancelled", "signal.rejected")
        assert breaches_of(signal) == []

    def test_delivered_again_starts_nothing(self, org):
        signal = receive(org, source_ref="m-1")
        receive(org, source_ref="m-1", at=AT + HOUR)

        assert len(clocks_of(signal)) == 1

    def test_touched_before_it_happened_ends_where_it_began(self, org):
        signal = receive(org)
        log(signal, at=AT + HOUR, happened_at=AT - HOUR)

        assert end_of(clock_of(signal, "triage_sla")) == (AT, "met", "activity.logged")


class TestCandidate:
    def test_starts_with_its_creation(self, org):
        candidate = open_candidate(org, next_step_due=date(2026, 3, 10))

        assert running(candidate) == {"triage_sla", "touch", "due_date"}
        triage, touch, due = (clock_of(candidate, name) for name in ("triage_sla", "touch", "due_date"))
        assert (triage.started_at, triage.due_at, triage.warn_at) == (AT, AT + 24 * HOUR, AT + 18 * HOUR)
        assert (touch.started_at, touch.due_at, touch.warn_at, touch.rule_id) == (AT, None, AT + 72 * HOUR, None)
        assert (due.warn_at, due.due_at) == (datetime(2026, 3, 11, tzinfo=UTC), None)

    def test_is_past_its_date_at_midnight_of_the_organisation(self, org):
        org.timezone = "Pacific/Auckland"
        org.save()
        candidate = open_candidate(org, next_step_due=date(2026, 3, 10))

        assert clock_of(candidate, "due_date").warn_at == datetime(2026, 3, 10, 11, tzinfo=UTC)

    def test_is_met_by_triage(self, org):
        candidate = open_candidate(org)
        move(candidate, "triage", at=AT + 24 * HOUR)

        assert end_of(clock_of(candidate, "triage_sla")) == (AT + 24 * HOUR, "met", "candidate.triaged")
        assert running(candidate) == {"touch"}

    @pytest.mark.parametrize("status", ["triaged", "nurture", "on_hold"])
    def test_archiving_ends_everything(self, org, status):
        candidate = open_candidate(org, status=status, next_step_due=date(2026, 3, 10))
        move(candidate, "archive", reason="No need", at=AT + HOUR)

        assert running(candidate) == set()
        soft = [clock_of(candidate, name) for name in ("touch", "due_date")]
        assert {end_of(clock) for clock in soft} == {(AT + HOUR, "cancelled", "candidate.archived")}
        assert clock_of(candidate, "triage_sla").outcome == "met", "triage was met before"

    def test_promotion_hands_over_to_the_pursuit(self, org):
        candidate = open_candidate(org, status="triaged", next_step_due=date(2026, 3, 10))
        promotion = services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT + HOUR)

        assert running(candidate) == set()
        assert clock_of(candidate, "touch").outcome == "cancelled"
        assert running(promotion.pursuit) == {"proposal_sla", "touch", "due_date"}
        assert clock_of(promotion.pursuit, "proposal_sla").started_at == AT + HOUR

    def test_promoted_again_starts_nothing(self, org):
        candidate = open_candidate(org, status="promoted")
        with nothing_changes():
            services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT + HOUR)

    def test_begins_the_touch_clock_anew_with_every_touch(self, org):
        candidate = open_candidate(org)
        log(candidate, at=AT + 5 * HOUR)
        log(candidate, at=AT + 6 * HOUR, happened_at=AT + HOUR)

        clock = clock_of(candidate, "touch")
        assert (clock.started_at, clock.warn_at) == (AT + 5 * HOUR, AT + 77 * HOUR), "forward, never back"

    def test_touched_after_the_warning_may_be_warned_again(self, org):
        candidate = open_candidate(org)
        SlaClock.all_orgs.filter(candidate=candidate, metric="touch").update(warned_at=AT + 72 * HOUR)
        log(candidate, at=AT + 80 * HOUR)

        clock = clock_of(candidate, "touch")
        assert (clock.warned_at, clock.warn_at) == (None, AT + 152 * HOUR)

    @pytest.mark.parametrize(
        ("before", "after"),
        [(date(2026, 3, 10), date(2026, 3, 20)), (None, date(2026, 3, 20)), (date(2026, 3, 10), None), (None, None)],
    )
    def test_follows_its_next_step(self, org, before, after):
        candidate = open_candidate(org, next_step_due=before)
        services.update_candidate(
            org=org, candidate_id=candidate.pk, fields={"next_step_due": after}, actor=CLERK, at=AT + HOUR
        )

        found = [clock for clock in clocks_of(candidate, "due_date") if clock.stopped_at is None]
        assert [clock.warn_at for clock in found] == ([datetime(2026, 3, 21, tzinfo=UTC)] if after else [])

    def test_that_is_closed_starts_no_due_date(self, org):
        candidate = open_candidate(org, status="archived")
        services.update_candidate(
            org=org, candidate_id=candidate.pk, fields={"next_step_due": date(2026, 4, 1)}, actor=CLERK, at=AT
        )

        assert running(candidate) == set()


class TestPursuit:
    def test_is_met_by_submission(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.RED)
        complete_checklist(pursuit, "pink")
        services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=AT + 10 * HOUR)

        assert end_of(clock_of(pursuit, "proposal_sla")) == (AT + 10 * HOUR, "met", "pursuit.submit")

    def test_runs_on_between_the_open_stages(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.RED)
        services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage="pink", actor=CLERK, at=AT + HOUR)

        clock = clock_of(pursuit, "proposal_sla")
        assert (clock.started_at, clock.due_at, clock.stopped_at) == (AT, AT + 72 * HOUR, None)

    def test_waits_for_the_answer_to_the_newest_proposal(self, org):
        pursuit = open_pursuit(org)
        send(pursuit, at=AT + HOUR)
        send(pursuit, at=AT + 5 * HOUR)

        first, second = clocks_of(pursuit, "response_sla")
        assert end_of(first) == (AT + 5 * HOUR, "cancelled", "proposal.sent")
        assert (second.started_at, second.due_at, second.stopped_at) == (AT + 5 * HOUR, AT + 101 * HOUR, None)

    def test_is_met_by_what_the_customer_says(self, org):
        pursuit = open_pursuit(org)
        send(pursuit, at=AT + HOUR)
        log(pursuit, at=AT + 2 * HOUR, direction="outbound")
        log(pursuit, at=AT + 3 * HOUR, direction="internal")
        assert clock_of(pursuit, "response_sla").stopped_at is None
        log(pursuit, at=AT + 9 * HOUR, direction="inbound", happened_at=AT + 4 * HOUR)

        assert end_of(clock_of(pursuit, "response_sla")) == (AT + 4 * HOUR, "met", "activity.logged")

    def test_is_not_met_by_what_the_customer_said_before(self, org):
        pursuit = open_pursuit(org)
        send(pursuit, at=AT + 5 * HOUR)
        log(pursuit, at=AT + 6 * HOUR, direction="inbound", happened_at=AT + HOUR)

        assert clock_of(pursuit, "response_sla").stopped_at is None

    def test_is_met_by_a_signature_and_ended_by_a_withdrawal(self, org):
        signed, withdrawn = open_pursuit(org), open_pursuit(org)
        proposal = send(signed, at=AT + HOUR)
        services.sign_proposal(org=org, proposal_id=proposal.pk, actor=CLERK, at=AT + 2 * HOUR)
        proposal = send(withdrawn, at=AT + HOUR)
        services.void_proposal(org=org, proposal_id=proposal.pk, actor=CLERK, at=AT + 2 * HOUR)

        assert end_of(clock_of(signed, "response_sla")) == (AT + 2 * HOUR, "met", "proposal.signed")
        assert clock_of(withdrawn, "response_sla").outcome == "cancelled"

    @pytest.mark.parametrize("outcome", ["won", "lost"])
    def test_ends_everything_when_it_is_closed(self, org, outcome):
        pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT)
        services.send_newest_draft(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=AT)
        complete_checklist(pursuit, "red")
        services.move_pursuit(
            org=org, pursuit_id=pursuit.pk, stage=outcome, reason="Price", actor=CLERK, at=AT + 9 * HOUR
        )

        assert running(pursuit) == set()
        assert end_of(clock_of(pursuit, "response_sla")) == (AT + 9 * HOUR, "met", f"pursuit.{outcome}")
        assert clock_of(pursuit, "touch").outcome == "cancelled"

    def test_blocked_at_a_gate_moves_no_clock(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.RED)
        before = [clock.row_version for clock in clocks_of(pursuit)]
        with pytest.raises(GateBlocked):
            services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=AT + 200 * HOUR)

        assert [clock.row_version for clock in clocks_of(pursuit)] == before
        assert breaches_of(pursuit) == []


class TestLate:
    def test_an_end_that_no_sweep_has_seen_is_breach_and_resolution_at_once(self, org):
        candidate = open_candidate(org)
        move(candidate, "triage", at=AT + 30 * HOUR)

        clock = clock_of(candidate, "triage_sla")
        assert (*end_of(clock), clock.breached_at) == (
            AT + 30 * HOUR,
            "breached",
            "candidate.triaged",
            AT + 24 * HOUR,
        )
        (breach,) = breaches_of(candidate)
        assert (breach.breached_at, breach.resolved_at) == (AT + 24 * HOUR, AT + 30 * HOUR)
        assert (breach.reason_code, breach.resolved_by) == ("untouched", "candidate.triaged")
        assert events_of(candidate)[-3:] == ["candidate.triaged", "sla.breached", "sla.resolved"]
        assert newest_event(org, "sla.breached").payload == {
            "item_type": "candidate",
            "item_id": candidate.pk,
            "breach_id": breach.pk,
            "clock_id": clock.pk,
            "rule_id": clock.rule_id,
            "metric": "triage_sla",
            "reason_code": "untouched",
            "due_at": (AT + 24 * HOUR).isoformat(),
        }

    def test_exactly_at_the_end_is_in_time(self, org):
        candidate = open_candidate(org)
        move(candidate, "triage", at=AT + 24 * HOUR)

        assert (clock_of(candidate, "triage_sla").outcome, breaches_of(candidate)) == ("met", [])

    def test_a_breach_of_the_sweep_is_resolved_and_not_doubled(self, org):
        candidate = open_candidate(org)
        sweep(at=AT + 25 * HOUR)
        assert [breach.resolved_at for breach in breaches_of(candidate)] == [None]
        move(candidate, "triage", at=AT + 30 * HOUR)

        (breach,) = breaches_of(candidate)
        assert (breach.resolved_at, breach.resolved_by) == (AT + 30 * HOUR, "candidate.triaged")
        assert events_of(candidate).count("sla.breached") == 1
        assert events_of(candidate).count("sla.resolved") == 1

    def test_what_was_in_time_and_told_of_late_is_met_and_resolves_the_breach(self, org):
        signal = receive(org)
        sweep(at=AT + 25 * HOUR)
        log(signal, at=AT + 26 * HOUR, happened_at=AT + 3 * HOUR)

        assert end_of(clock_of(signal, "triage_sla")) == (AT + 3 * HOUR, "met", "activity.logged")
        (breach,) = breaches_of(signal)
        assert (breach.resolved_at, breach.resolved_by) == (AT + 26 * HOUR, "activity.logged")

    def test_a_cancelled_clock_that_was_late_is_a_breach_all_the_same(self, org):
        signal = receive(org)
        services.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT + 25 * HOUR)

        assert clock_of(signal, "triage_sla").outcome == "breached"
        assert [breach.resolved_by for breach in breaches_of(signal)] == ["signal.rejected"]

    def test_reasons_name_the_metric(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.RED)
        complete_checklist(pursuit, "pink")
        services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=AT + 80 * HOUR)
        services.send_newest_draft(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=AT + 80 * HOUR)
        log(pursuit, at=AT + 180 * HOUR, direction="inbound")

        assert [breach.reason_code for breach in breaches_of(pursuit)] == ["proposal_overdue", "response_overdue"]

    def test_a_refused_move_breaches_nothing(self, org):
        candidate = open_candidate(org, status="triaged")
        with nothing_changes(), pytest.raises(InvalidInput):
            move(candidate, "hold", reason=" ", at=AT + 99 * HOUR)


class TestHold:
    """Bavaria, Friday 2026-04-03 (Good Friday) to Monday 2026-04-06 (Easter Monday) are closed."""

    THURSDAY = datetime(2026, 4, 2, 14, 0, tzinfo=UTC)  # 16:00 in Munich, an hour before closing time
    WEDNESDAY = datetime(2026, 4, 8, 8, 0, tzinfo=UTC)  # 10:00

    @pytest.fixture
    def munich(self, org) -> Any:
        fields = {"name": "Munich", "timezone": "Europe/Berlin", "country": "DE", "subdivision": "BY"}
        return services.create_calendar(org=org, fields=fields, actor=CLERK, at=AT)

    def held(self, org: Any, *, began: datetime, at: datetime) -> Candidate:
        candidate = open_candidate(org, status="triaged", at=began)
        move(candidate, "hold", reason="Easter", at=at)
        return candidate

    def test_over_a_weekend_and_a_holiday_keeps_exactly_what_was_left(self, org, munich):
        only(org, stage="triaged", threshold_hours=Decimal(10), calendar=munich)
        # Three open hours on Thursday are gone when the candidate is held: 13:00 to 16:00.
        candidate = self.held(org, began=self.THURSDAY - 3 * HOUR, at=self.THURSDAY)
        paused = clock_of(candidate, "triage_sla")
        assert (paused.paused_at, paused.stopped_at) == (self.THURSDAY, None)
        move(candidate, "triage", at=self.WEDNESDAY)

        clock = clock_of(candidate, "triage_sla")
        # Seven hours are left, and Wednesday has exactly seven from 10:00 on.
        assert clock.due_at == datetime(2026, 4, 8, 15, 0, tzinfo=UTC)
        # An hour on Thursday, eight on Tuesday, one on Wednesday; not the five days of the wall clock.
        assert (clock.paused_at, clock.paused_seconds) == (None, 10 * 3600)
        assert clock.warn_at == datetime(2026, 4, 8, 12, 30, tzinfo=UTC)

    def test_without_a_calendar_counts_by_the_wall_clock(self, org):
        only(org, stage="triaged", threshold_hours=Decimal(10))
        candidate = self.held(org, began=self.THURSDAY - 3 * HOUR, at=self.THURSDAY)
        move(candidate, "triage", at=self.WEDNESDAY)

        assert clock_of(candidate, "triage_sla").due_at == self.WEDNESDAY + 7 * HOUR

    def test_twice_adds_up(self, org, munich):
        only(org, stage="triaged", threshold_hours=Decimal(10), calendar=munich)
        candidate = self.held(org, began=self.THURSDAY - 3 * HOUR, at=self.THURSDAY)
        move(candidate, "triage", at=self.WEDNESDAY)
        move(candidate, "hold", reason="Again", at=self.WEDNESDAY + HOUR)
        move(candidate, "triage", at=self.WEDNESDAY + 25 * HOUR)

        clock = clock_of(candidate, "triage_sla")
        # Six hours are left on Thursday at 11:00; it closes at 17:00.
        assert clock.due_at == datetime(2026, 4, 9, 15, 0, tzinfo=UTC)
        assert clock.paused_seconds == 18 * 3600

    def test_nothing_falls_due_meanwhile(self, org):
        only(org, stage="triaged", threshold_hours=Decimal(10))
        candidate = self.held(org, began=self.THURSDAY - 3 * HOUR, at=self.THURSDAY)
        sweep(at=self.WEDNESDAY)

        assert breaches_of(candidate) == []
        assert clock_of(candidate, "triage_sla").warned_at is None

    def test_does_not_undo_what_was_late_before(self, org):
        only(org, stage="triaged", threshold_hours=Decimal(2))
        candidate = self.held(org, began=self.THURSDAY - 3 * HOUR, at=self.THURSDAY)
        (breach,) = breaches_of(candidate)
        assert (breach.breached_at, breach.resolved_at) == (self.THURSDAY - HOUR, None)
        move(candidate, "triage", at=self.WEDNESDAY)
        sweep(at=self.WEDNESDAY + DAY)

        assert clock_of(candidate, "triage_sla").due_at == self.THURSDAY - HOUR
        assert len(breaches_of(candidate)) == 1

    def test_does_not_stop_the_touch_and_due_date_clocks(self, org):
        candidate = open_candidate(org, status="on_hold", next_step_due=date(2026, 3, 10))

        assert {clock.paused_at for clock in clocks_of(candidate)} == {None}
        assert running(candidate) == {"touch", "due_date"}

    def test_archived_from_hold_is_judged_by_when_it_stood_still(self, org):
        only(org, stage="triaged", threshold_hours=Decimal(10))
        candidate = self.held(org, began=self.THURSDAY - 3 * HOUR, at=self.THURSDAY)
        move(candidate, "archive", reason="No need", at=self.WEDNESDAY)

        assert end_of(clock_of(candidate, "triage_sla")) == (self.WEDNESDAY, "cancelled", "candidate.archived")
        assert breaches_of(candidate) == []


class TestStage:
    def test_a_rule_with_a_stage_measures_the_stay(self, org):
        only(org, item_type="pursuit", metric="proposal_sla", stage="pink", threshold_hours=Decimal(8))
        pursuit = open_pursuit(org)
        assert clocks_of(pursuit, "proposal_sla") == []
        keys: dict[str, Any] = {"org": org, "pursuit_id": pursuit.pk, "actor": CLERK}
        services.move_pursuit(**keys, stage="pink", at=AT + HOUR)
        services.move_pursuit(**keys, stage="qual", at=AT + 5 * HOUR)
        services.move_pursuit(**keys, stage="pink", at=AT + 9 * HOUR)

        first, second = clocks_of(pursuit, "proposal_sla")
        assert (first.started_at, *end_of(first)) == (AT + HOUR, AT + 5 * HOUR, "met", "pursuit.stage_changed")
        assert (second.started_at, second.due_at, second.stopped_at) == (AT + 9 * HOUR, AT + 17 * HOUR, None)

    def test_held_from_nurture_and_back_in_triage_ends_the_stay_in_nurture(self, org):
        only(org, stage="nurture", threshold_hours=Decimal(10))
        triaged = rule(org, stage="triaged", threshold_hours=Decimal(20))
        candidate = open_candidate(org, status="nurture")
        move(candidate, "hold", reason="Wait", at=AT + 4 * HOUR)
        move(candidate, "triage", at=AT + 100 * HOUR)

        by_rule = {clock.rule_id: clock for clock in clocks_of(candidate, "triage_sla") if clock.stopped_at is None}
        assert set(by_rule) == {triaged.pk}
        assert by_rule[triaged.pk].started_at == AT + 100 * HOUR
        ended = [clock for clock in clocks_of(candidate, "triage_sla") if clock.rule_id != triaged.pk]
        assert [clock.outcome for clock in ended] == ["met"], "it stood still, so it was in time"

    def test_a_rule_for_hold_runs_on_hold(self, org):
        only(org, stage="on_hold", threshold_hours=Decimal(10))
        candidate = open_candidate(org, status="triaged")
        move(candidate, "hold", reason="Wait", at=AT + HOUR)
        clock = clock_of(candidate, "triage_sla")
        assert (clock.started_at, clock.paused_at) == (AT + HOUR, None)
        move(candidate, "triage", at=AT + 20 * HOUR)

        assert clock_of(candidate, "triage_sla").outcome == "breached"

    def test_waiting_for_an_answer_starts_with_the_later_of_sending_and_entry(self, org):
        only(org, item_type="pursuit", metric="response_sla", stage="pink", threshold_hours=Decimal(8))
        sent_before, sent_after, answered = (open_pursuit(org) for _ in range(3))
        for pursuit in (sent_before, answered):
            send(pursuit, at=AT + HOUR)
        log(answered, at=AT + 2 * HOUR, direction="inbound")
        for pursuit in (sent_before, sent_after, answered):
            services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage="pink", actor=CLERK, at=AT + 3 * HOUR)
        send(sent_after, at=AT + 4 * HOUR)

        assert clock_of(sent_before, "response_sla").started_at == AT + 3 * HOUR
        assert clock_of(sent_after, "response_sla").started_at == AT + 4 * HOUR
        assert clocks_of(answered, "response_sla") == []


class TestCost:
    """What the clocks add to a use case, counted."""

    def statements(self, call: Any) -> list[str]:
        with counted_queries() as asked:
            call()
        return [each for each in asked if "sla" in each]

    def test_a_new_candidate_costs_one_look_and_one_insert(self, org):
        open_candidate(org)
        client = ClientFactory(org=org)
        fields = {"title": "Press line", "client": client, "next_step_due": date(2026, 4, 1)}
        asked = self.statements(lambda: services.create_candidate(org=org, fields=fields, actor=CLERK, at=AT))

        assert [each.split()[0] for each in asked] == ["SELECT", "INSERT"], "\n".join(asked)

    def test_a_move_in_time_costs_one_look_and_one_update(self, org):
        candidate = open_candidate(org)
        asked = self.statements(lambda: move(candidate, "triage", at=AT + HOUR))

        assert [each.split()[0] for each in asked] == ["SELECT", "UPDATE"], "\n".join(asked)

    def test_closing_costs_one_update(self, org):
        candidate = open_candidate(org, status="triaged")
        asked = self.statements(lambda: move(candidate, "archive", reason="No need", at=AT + HOUR))

        assert [each.split()[0] for each in asked] == ["UPDATE"], "\n".join(asked)


class TestOrganisations:
    def test_rules_and_clocks_stay_apart(self, org, other_org):
        only(org, threshold_hours=Decimal(2))
        mine, theirs = open_candidate(org), open_candidate(other_org)

        assert clock_of(mine, "triage_sla").due_at == AT + 2 * HOUR
        assert clock_of(theirs, "triage_sla").due_at == AT + 24 * HOUR
        move(mine, "triage", at=AT + HOUR)
        assert clock_of(theirs, "triage_sla").stopped_at is None

    def test_a_new_one_gets_the_default_rules_with_its_first_item(self, org):
        assert not SlaRule.all_orgs.filter(org=org).exists()
        receive(org)

        rules = SlaRule.all_orgs.filter(org=org).order_by("pk")
        assert [(row.item_type, row.metric, row.threshold_hours) for row in rules] == [
            ("signal", "triage_sla", 24),
            ("candidate", "triage_sla", 24),
            ("pursuit", "proposal_sla", 72),
            ("pursuit", "response_sla", 96),
        ]
        assert not WorkEvent.all_orgs.filter(org=org, event_name="sla.rule_changed").exists()

    def test_a_calendar_that_never_opens_stops_nobody(self, org):
        calendar = BusinessCalendar.all_orgs.create(org=org, name="Closed", timezone="UTC", windows={})
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        SlaRule.all_orgs.filter(org=org, item_type="candidate").update(calendar=calendar)
        candidate = open_candidate(org)

        assert running(candidate) == {"touch"}

    def test_switching_every_rule_off_does_not_bring_them_back(self, org):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        for row in SlaRule.all_orgs.filter(org=org):
            services.deactivate_rule(org=org, rule_id=row.pk, actor=CLERK, at=AT)
        candidate = open_candidate(org)

        assert SlaRule.all_orgs.filter(org=org).count() == 4
        assert running(candidate) == {"touch"}

    @pytest.mark.parametrize(
        ("active", "measured"),
        [
            ({"active_from": AT + HOUR}, False),
            ({"active_from": AT}, True),
            ({"active_to": AT}, False),
            ({"active_to": AT + HOUR}, True),
        ],
    )
    def test_a_rule_measures_what_starts_while_it_is_active(self, org, active, measured):
        only(org, **active)
        candidate = open_candidate(org)

        assert ("triage_sla" in running(candidate)) is measured
