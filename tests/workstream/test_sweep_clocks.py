"""The sweep: warnings, breaches, their events, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.outbox import metrics
from flowledger.outbox.drain import drain_all
from tests.workstream.due_clocks import AT, HOUR, clock_of, rule_of, soft_clock_of, told_of
from tests.workstream.factories import CandidateFactory, PursuitFactory, SignalFactory
from tests.workstream.trail import emails_to, newest_event, nothing_changes
from workstream import tasks
from workstream.models import SlaBreach, SlaClock
from workstream.services.sla_sweep import SweepResult, sweep

pytestmark = pytest.mark.django_db

INSTANT = timedelta(microseconds=1)
# What is done at the moment it is due is in time; from here on it is late.
LATE = AT + INSTANT


@pytest.fixture
def rule(org: Any) -> Any:
    return rule_of(org)


def again(clock: SlaClock) -> SlaClock:
    return SlaClock.all_orgs.get(pk=clock.pk)


class TestWarning:
    def test_comes_when_its_time_has_come(self, org, rule):
        clock = clock_of(rule, due_at=AT + 6 * HOUR)

        assert sweep(at=AT) == SweepResult(warned=1)
        assert (again(clock).warned_at, again(clock).breached_at) == (AT, None)
        event = newest_event(org, "sla.warned")
        assert (event.item_type, event.item_id, event.occurred_at) == ("candidate", clock.candidate_id, AT)
        assert event.payload == {
            "item_type": "candidate",
            "item_id": clock.candidate_id,
            "clock_id": clock.pk,
            "rule_id": rule.pk,
            "metric": "triage_sla",
            "due_at": (AT + 6 * HOUR).isoformat(),
        }

    def test_does_not_come_a_microsecond_before(self, rule):
        clock_of(rule, due_at=AT + 6 * HOUR + INSTANT)

        with nothing_changes():
            assert sweep(at=AT) == SweepResult()

    def test_comes_once(self, rule):
        clock_of(rule, due_at=AT + 6 * HOUR)
        sweep(at=AT)

        with nothing_changes():
            assert sweep(at=AT + HOUR) == SweepResult()

    @pytest.mark.parametrize("metric", ["touch", "due_date"])
    def test_is_all_that_a_clock_without_a_rule_gives(self, org, metric):
        clock = soft_clock_of(PursuitFactory(org=org), metric=metric, warn_at=AT)

        assert sweep(at=AT + 1000 * HOUR) == SweepResult(warned=1)
        assert again(clock).warned_at == AT
        payload = newest_event(org, "sla.warned").payload
        assert (payload["item_type"], payload["rule_id"], payload["due_at"]) == ("pursuit", None, None)
        assert not SlaBreach.all_orgs.exists()


class TestBreach:
    @pytest.mark.parametrize(
        ("metric", "item_type", "factory", "reason"),
        [
            ("triage_sla", "signal", SignalFactory, "untouched"),
            ("triage_sla", "candidate", CandidateFactory, "untouched"),
            ("proposal_sla", "pursuit", PursuitFactory, "proposal_overdue"),
            ("response_sla", "pursuit", PursuitFactory, "response_overdue"),
        ],
    )
    def test_comes_at_the_end_of_the_time(self, org, metric, item_type, factory, reason):
        rule = rule_of(org, metric, item_type)
        item = factory(org=org)
        clock = clock_of(rule, item, due_at=AT, warned_at=AT - 6 * HOUR)

        assert sweep(at=LATE) == SweepResult(breached=1)
        breach = SlaBreach.all_orgs.get()
        assert (breach.clock_id, breach.rule_id, breach.metric, breach.reason_code) == (
            clock.pk,
            rule.pk,
            metric,
            reason,
        )
        assert (breach.item_type, breach.item_id, breach.breached_at) == (item_type, item.pk, AT)
        assert (breach.resolved_at, breach.resolved_by) == (None, "")
        assert again(clock).breached_at == AT
        assert newest_event(org, "sla.breached").payload == {
            "item_type": item_type,
            "item_id": item.pk,
            "breach_id": breach.pk,
            "clock_id": clock.pk,
            "rule_id": rule.pk,
            "metric": metric,
            "reason_code": reason,
            "due_at": AT.isoformat(),
        }

    def test_does_not_come_at_the_moment_itself(self, rule):
        clock_of(rule, due_at=AT, warned_at=AT - 6 * HOUR)

        with nothing_changes():
            assert sweep(at=AT) == SweepResult()

    def test_is_dated_to_the_moment_it_was_missed_however_late_the_sweep(self, rule):
        clock = clock_of(rule, due_at=AT)
        sweep(at=AT + 50 * HOUR)

        assert SlaBreach.all_orgs.get().breached_at == again(clock).breached_at == AT

    def test_comes_alone_where_the_warning_has_passed_too(self, rule):
        clock = clock_of(rule, due_at=AT - HOUR)

        assert sweep(at=LATE) == SweepResult(breached=1)
        assert again(clock).warned_at == AT - 7 * HOUR
        assert told_of("sla.warned", "sla.breached") == {("sla.breached", clock.pk): 1}

    def test_leaves_the_warning_where_it_was(self, rule):
        clock = clock_of(rule, due_at=AT, warned_at=AT - 5 * HOUR)
        sweep(at=LATE)

        assert again(clock).warned_at == AT - 5 * HOUR

    def test_comes_once(self, rule):
        clock_of(rule, due_at=AT)
        sweep(at=LATE)

        with nothing_changes():
            assert sweep(at=AT + HOUR) == SweepResult()

    def test_is_one_per_item_and_rule_even_with_an_older_clock_s_still_open(self, org, rule):
        item = CandidateFactory(org=org)
        old = clock_of(rule, item, due_at=AT - 50 * HOUR)
        sweep(at=LATE - 50 * HOUR)
        SlaClock.all_orgs.filter(pk=old.pk).update(stopped_at=AT - 40 * HOUR, outcome="breached")
        clock = clock_of(rule, item, due_at=AT)

        assert sweep(at=LATE) == SweepResult()
        assert [breach.clock_id for breach in SlaBreach.all_orgs.all()] == [old.pk]
        # It is not looked at again and again.
        assert again(clock).breached_at == AT
        assert told_of("sla.breached") == {("sla.breached", old.pk): 1}

    def test_comes_again_after_the_first_was_resolved(self, org, rule):
        item = CandidateFactory(org=org)
        old = clock_of(rule, item, due_at=AT - 50 * HOUR)
        sweep(at=LATE - 50 * HOUR)
        SlaClock.all_orgs.filter(pk=old.pk).update(stopped_at=AT - 40 * HOUR, outcome="breached")
        SlaBreach.all_orgs.update(resolved_at=AT - 40 * HOUR)
        clock_of(rule, item, due_at=AT)

        assert sweep(at=LATE) == SweepResult(breached=1)


class TestLeavesAlone:
    @pytest.mark.parametrize(
        "state",
        [
            {"paused_at": AT - 10 * HOUR},
            {"stopped_at": AT - 10 * HOUR, "outcome": "met"},
            {"stopped_at": AT - 10 * HOUR, "outcome": "cancelled"},
        ],
    )
    def test_what_is_paused_or_stopped(self, rule, state):
        clock_of(rule, due_at=AT - HOUR, **state)
        clock_of(rule, due_at=AT + HOUR, **state)

        with nothing_changes():
            assert sweep(at=LATE) == SweepResult()


class TestBatches:
    def test_take_everything_in_the_order_of_falling_due(self, rule):
        late = [clock_of(rule, due_at=AT - number * HOUR) for number in range(5)]
        warned = [clock_of(rule, due_at=AT + HOUR + number * HOUR) for number in range(5)]

        assert sweep(at=LATE, limit=2) == SweepResult(warned=5, breached=5)
        assert list(told_of("sla.warned", "sla.breached")) == [
            *(("sla.warned", clock.pk) for clock in warned),
            *(("sla.breached", clock.pk) for clock in reversed(late)),
        ]

    def test_part_clocks_that_are_due_at_one_moment(self, rule):
        for _ in range(7):
            clock_of(rule, due_at=AT)

        assert sweep(at=LATE, limit=3) == SweepResult(breached=7)
        assert set(told_of("sla.breached").values()) == {1}

    def test_take_every_organisation_and_write_to_each_its_own(self, org, other_org, rule):
        other = rule_of(other_org)
        here, there = clock_of(rule, due_at=AT), clock_of(other, due_at=AT - HOUR)

        assert sweep(at=LATE) == SweepResult(breached=2)
        assert newest_event(org, "sla.breached").payload["clock_id"] == here.pk
        assert newest_event(other_org, "sla.breached").payload["clock_id"] == there.pk
        assert set(SlaBreach.all_orgs.values_list("org_id", "clock_id")) == {
            (org.pk, here.pk),
            (other_org.pk, there.pk),
        }


class TestNumbers:
    def test_are_told_with_those_of_the_outbox(self, rule):
        def told() -> dict[str, float]:
            metrics.flush()
            found = metrics.recorded()
            assert found is not None
            return {
                "warned": found.get(("flowledger_sla_warned", "triage_sla"), [0.0])[0],
                "breached": found.get(("flowledger_sla_breached", "triage_sla"), [0.0])[0],
                "sweeps": sum(found.get(("flowledger_sla_sweep_seconds",), [0.0])[1:]),
            }

        clock_of(rule, due_at=AT)
        clock_of(rule, due_at=AT)
        clock_of(rule, due_at=AT + HOUR)
        before = told()
        sweep(at=LATE)

        assert {name: number - before[name] for name, number in told().items()} == {
            "warned": 1,
            "breached": 2,
            "sweeps": 1,
        }


class TestTask:
    def test_sweeps_by_the_clock_and_hands_on_to_email(self, org, rule, rep):
        clock_of(rule, CandidateFactory(org=org, owner=rep.user), due_at=AT)

        tasks.sweep_sla()
        assert told_of("sla.breached") == {("sla.breached", SlaBreach.all_orgs.get().clock_id): 1}
        drain_all()
        tasks.send_notification_emails()
        assert emails_to(org) == [["rita@harbour.example"]]
        tasks.sweep_sla()
        tasks.send_notification_emails()
        assert emails_to(org) == [["rita@harbour.example"]]
