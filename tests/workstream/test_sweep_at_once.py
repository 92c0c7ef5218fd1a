"""Sweeps beside each other, beside what ends clocks, killed half-way, and with something broken in their way."""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections

from flowledger.embedded.processes import wait_until
from flowledger.outbox import metrics
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from tests.workstream.due_clocks import AT, HOUR, clock_of, many_clocks, rule_of, told_of
from tests.workstream.factories import CLERK, open_candidate
from tests.workstream.trail import at_once
from workstream import services
from workstream.models import SlaBreach, SlaClock, SlaRule
from workstream.services.sla_sweep import SweepFailure, SweepResult, sweep

INSTANT = timedelta(microseconds=1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestBesideEachOther:
    def test_eight_sweepers_tell_of_everything_once(self, org, other_org):
        with system_scope("tests"):
            rules = [rule_of(org), rule_of(org, threshold_hours=20), rule_of(other_org)]
            for rule in rules:
                many_clocks(rule, 1000, due_at=AT - 2 * HOUR)
            many_clocks(rules[0], 1000, due_at=AT + HOUR)

        results = at_once(*[lambda: sweep(at=AT, limit=60)] * 8)

        assert all(isinstance(result, SweepResult) and not result.failures for result in results), results
        assert sum(result.breached for result in results) == 3000
        assert sum(result.warned for result in results) == 1000
        # It was shared out, not done by one while the others looked on.
        assert sum(result.breached > 0 for result in results) > 1
        with system_scope("tests"):
            late = set(SlaClock.all_orgs.filter(due_at__lt=AT).values_list("pk", flat=True))
            soon = set(SlaClock.all_orgs.filter(due_at__gte=AT).values_list("pk", flat=True))
            assert Counter(SlaBreach.all_orgs.values_list("clock_id", flat=True)) == Counter(late)
            assert set(SlaClock.all_orgs.filter(breached_at__isnull=False).values_list("pk", flat=True)) == late
        assert told_of("sla.breached") == Counter(("sla.breached", pk) for pk in late)
        assert told_of("sla.warned") == Counter(("sla.warned", pk) for pk in soon)
        assert sweep(at=AT) == SweepResult()

    def test_a_sweeper_waits_for_nobody(self, org):
        """What another transaction holds is left to it; the rest is not."""
        with system_scope("tests"):
            rule = rule_of(org)
            held, free = clock_of(rule, due_at=AT - HOUR), clock_of(rule, due_at=AT - HOUR)
        with system_scope("tests"):
            SlaClock.all_orgs.locked().get(pk=held.pk)
            assert at_once(lambda: sweep(at=AT)) == [SweepResult(breached=1)]
        assert told_of("sla.breached") == {("sla.breached", free.pk): 1}
        assert sweep(at=AT) == SweepResult(breached=1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestBesideTheEndOfAClock:
    @pytest.mark.parametrize("lateness", [-INSTANT, timedelta(0), INSTANT])
    def test_one_breach_is_opened_and_resolved_or_none(self, org, lateness):
        """Whichever comes first, and however close to the end."""
        candidates = [open_candidate(org, at=AT - 30 * HOUR) for _ in range(8)]
        with system_scope("tests"):
            SlaClock.all_orgs.filter(metric="triage_sla").update(due_at=AT - lateness, warn_at=AT - HOUR)

        def triage(candidate_id: int) -> Any:
            return lambda: services.triage_candidate(org=org, candidate_id=candidate_id, actor=CLERK, at=AT)

        sweeps = [lambda: sweep(at=AT)] * 4
        answers = at_once(*sweeps, *(triage(candidate.pk) for candidate in candidates), *sweeps)

        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        is_late = lateness > timedelta(0)
        with system_scope("tests"):
            clocks = list(SlaClock.all_orgs.filter(metric="triage_sla").order_by("pk"))
            breaches = list(SlaBreach.all_orgs.order_by("clock_id"))
            names = WorkEvent.all_orgs.filter(event_name__in=["sla.breached", "sla.resolved"])
            told = [(row.item_id, row.event_name) for row in names.order_by("item_id", "pk")]
        assert {clock.outcome for clock in clocks} == {"breached" if is_late else "met"}
        assert [breach.clock_id for breach in breaches] == ([clock.pk for clock in clocks] if is_late else [])
        assert all(breach.resolved_at == AT for breach in breaches)
        expected = [(candidate.pk, name) for candidate in candidates for name in ("sla.breached", "sla.resolved")]
        assert told == (expected if is_late else [])


def sweep_killed_after(statements: int) -> bool:
    """Sweep in a process that is killed once it has run that many statements; False when it came to its end."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        left = [statements]

        def count(execute: Any, *call: Any) -> Any:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            answer = execute(*call)
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        with connection.execute_wrapper(count):
            sweep(at=AT, limit=2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert wait_until(lambda: not others(), seconds=60)
    return os.WIFSIGNALED(status)


def others() -> int:
    """Sessions of the database besides this one: the server notices a dead client a moment later."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])


def books(org: Organization) -> dict[str, list[int]]:
    """By each of its books, the clocks that are warned of or in breach."""
    with system_scope("tests"):
        clocks = SlaClock.all_orgs.filter(org=org).order_by("pk")
        events = told_of("sla.warned", "sla.breached")
        return {
            "warned clocks": list(
                clocks.filter(warned_at__isnull=False, breached_at__isnull=True).values_list("pk", flat=True)
            ),
            "warned events": sorted(key for name, key in events.elements() if name == "sla.warned"),
            "breached clocks": list(clocks.filter(breached_at__isnull=False).values_list("pk", flat=True)),
            "breaches": list(SlaBreach.all_orgs.order_by("clock_id").values_list("clock_id", flat=True)),
            "breached events": sorted(key for name, key in events.elements() if name == "sla.breached"),
        }


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestKilled:
    def test_leaves_nothing_half_whichever_statement_was_its_last(self, org):
        with system_scope("tests"):
            rule = rule_of(org)
        died = 0
        for statements in range(40):
            with system_scope("tests"):
                for _ in range(3):
                    clock_of(rule, due_at=AT - HOUR)
                clock_of(rule, due_at=AT + HOUR)
            was_killed = sweep_killed_after(statements)
            died += was_killed
            found = books(org)
            assert found["warned clocks"] == found["warned events"], statements
            assert found["breached clocks"] == found["breaches"] == found["breached events"], statements
            sweep(at=AT)
            found = books(org)
            assert len(found["warned clocks"]) == len(found["warned events"]) == statements + 1
            assert found["breached clocks"] == found["breaches"] == found["breached events"]
            assert len(found["breaches"]) == 3 * (statements + 1)
            if not was_killed:
                break
        # One batch of warnings and two of breaches, each of several statements.
        assert 6 <= died < 40


def spoil(*clocks: SlaClock) -> None:
    """Give clocks a metric for which no breach has a reason: the database refuses theirs."""
    SlaClock.all_orgs.filter(pk__in=[clock.pk for clock in clocks]).update(metric="touch")


def failures_counted(org: Organization, rule: SlaRule) -> float:
    metrics.flush()
    stored = metrics.recorded()
    assert stored is not None
    return stored.get(("flowledger_sla_sweep_failures", "breach", str(org.pk), str(rule.pk)), [0.0])[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestBroken:
    def test_a_rule_holds_up_no_other_and_is_reported(self, org, other_org):
        with system_scope("tests"):
            broken, whole, abroad = rule_of(org), rule_of(org), rule_of(other_org)
            bad = [clock_of(broken, due_at=AT - number * HOUR) for number in range(1, 4)]
            good = [clock_of(rule, due_at=AT - number * HOUR) for number in range(1, 4) for rule in (whole, abroad)]
            soon = clock_of(broken, due_at=AT + HOUR)
            spoil(*bad)

        before = failures_counted(org, broken)
        result = sweep(at=AT, limit=4)

        assert (result.warned, result.breached) == (1, len(good))
        assert {(each.step, each.org_id, each.rule_id) for each in result.failures} == {("breach", org.pk, broken.pk)}
        assert sum(each.clocks for each in result.failures) == len(bad)
        assert failures_counted(org, broken) - before == len(bad)
        assert all("reason_code" in each.error for each in result.failures)
        assert told_of("sla.breached") == Counter(("sla.breached", clock.pk) for clock in good)
        assert told_of("sla.warned") == {("sla.warned", soon.pk): 1}
        with system_scope("tests"):
            untold = SlaClock.all_orgs.filter(breached_at__isnull=True, due_at__lt=AT).order_by("pk")
            assert set(untold.values_list("pk", flat=True)) == {clock.pk for clock in bad}

    def test_a_clock_holds_up_no_other_of_its_rule_and_is_found_again_once_it_is_mended(self, org):
        with system_scope("tests"):
            rule = rule_of(org)
            clocks = [clock_of(rule, due_at=AT - HOUR) for _ in range(5)]
            spoil(clocks[2])

        result = sweep(at=AT)

        assert result.breached == 4
        assert [(each.rule_id, each.clocks) for each in result.failures] == [(rule.pk, 1)]
        with system_scope("tests"):
            SlaClock.all_orgs.filter(pk=clocks[2].pk).update(metric="triage_sla")
        assert sweep(at=AT) == SweepResult(breached=1)

    def test_a_rule_that_fails_again_and_again_is_left_for_the_next_sweep(self, org):
        """Clocks are tried alone, but not thousands of them."""
        with system_scope("tests"):
            broken, whole = rule_of(org), rule_of(org)
            bad = [clock_of(broken, due_at=AT - 2 * HOUR) for _ in range(60)]
            clock_of(broken, due_at=AT - HOUR)
            clock_of(whole, due_at=AT - HOUR)
            spoil(*bad)

        result = sweep(at=AT)

        assert result.breached == 1
        (failure,) = result.failures
        assert isinstance(failure, SweepFailure)
        assert (failure.rule_id, failure.clocks) == (broken.pk, 61)


class Reads:
    """Rows that this transaction has read of the clocks and the breaches, by the database's own count."""

    def __enter__(self) -> Reads:
        self._before = self._count()
        return self

    def __exit__(self, *exception: object) -> None:
        self.rows = self._count() - self._before

    @staticmethod
    def _count() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
                " WHERE relname IN ('workstream_slaclock', 'workstream_slabreach')"
            )
            return int(cursor.fetchone()[0])


def analyse() -> None:
    """Have the planner believe what is there now, which only the owner of the table may."""
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("ANALYZE workstream_slaclock")
        cursor.execute("SELECT set_config('role', %s, true)", [settings.SYSTEM_DB_ROLE])


MANY, DUE = 3_000, 40


@pytest.mark.django_db
class TestCost:
    @pytest.mark.parametrize("known", ["as it is", "nothing runs", "everything is due", "never"])
    def test_follows_what_is_due_whatever_the_planner_believes(self, org, known):
        rule = rule_of(org)
        later = AT + 48 * HOUR
        clocks = SlaClock.all_orgs.filter(rule=rule)
        many_clocks(rule, MANY, due_at=later if known != "everything is due" else AT - 1000 * HOUR)
        if known == "nothing runs":
            clocks.update(stopped_at=AT, outcome="met")
        if known != "never":
            analyse()
        clocks.update(stopped_at=None, outcome="", due_at=later, warn_at=later - HOUR)

        with Reads() as reads:
            assert sweep(at=AT) == SweepResult()
        # The planner looks up the ends of an index.
        assert reads.rows <= 8

        due = clocks.order_by("pk").values_list("pk", flat=True)
        clocks.filter(pk__in=list(due[:DUE])).update(due_at=AT - HOUR)
        clocks.filter(pk__in=list(due[DUE : 2 * DUE])).update(warn_at=AT - HOUR)
        with Reads() as reads:
            assert sweep(at=AT) == SweepResult(warned=DUE, breached=DUE)
        # Each is read to be picked, to be locked and to be changed, and once more by foreign keys.
        assert 2 * DUE <= reads.rows <= 2 * DUE * 8
