"""Nine mistakes that other products make with deadlines (peers.md, section 6), each shown not to happen here.

The times are those of the peers' own reports where they gave any. Offices are in Berlin, Monday to Friday.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction

from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.queries import counted_queries
from tests.workstream.due_clocks import clock_of, rule_of, told_of
from tests.workstream.factories import CLERK, CandidateFactory, ClientFactory, open_candidate, open_pursuit
from tests.workstream.panel import badges_by_the_clocks, is_listed, row_of, shown
from tests.workstream.trail import at_once, nothing_changes
from workstream import business_time, services
from workstream.business_time import WEEKDAYS, BusinessTime, OpenHours
from workstream.models import BusinessCalendar, Candidate, SlaBreach, SlaClock, SlaRule, TodayItem
from workstream.models.sla import SlaMetric
from workstream.models.today import Badge
from workstream.opening import business_time_of
from workstream.services.sla_sweep import sweep

pytestmark = pytest.mark.django_db

INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
# Before all that happens here.
BEFORE = datetime(2026, 1, 5, 8, tzinfo=UTC)


def berlin(text: str) -> datetime:
    """A time as the clock on a wall in Berlin shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


def office(org: Organization, opens: str, closes: str, **fields: Any) -> BusinessCalendar:
    """Monday to Friday in Berlin."""
    windows = {day: [[opens, closes]] for day in WEEKDAYS[:5]}
    fields = {"name": f"{opens}–{closes}", "timezone": "Europe/Berlin", "windows": windows, **fields}
    return services.create_calendar(org=org, fields=fields, actor=CLERK, at=BEFORE)


def default_rule(org: Organization, item_type: str, metric: str, **fields: Any) -> SlaRule:
    """The rule that every organisation begins with, changed."""
    services.ensure_default_rules(org=org, actor=CLERK, at=BEFORE)
    rule = SlaRule.all_orgs.get(org=org, item_type=item_type, metric=metric)
    return services.update_rule(org=org, rule_id=rule.pk, fields=fields, actor=CLERK, at=BEFORE)


def rule_while_triaged(calendar: BusinessCalendar, hours: int) -> SlaRule:
    """So many open hours to bring a triaged candidate on; being on hold stops the time."""
    fields = {"item_type": "candidate", "metric": "triage_sla", "stage": "triaged", "threshold_hours": Decimal(hours)}
    return services.create_rule(org=calendar.org, fields={**fields, "calendar": calendar}, actor=CLERK, at=BEFORE)


def clock_on(item: Any, metric: SlaMetric, **more: Any) -> SlaClock:
    """The item's newest clock of a metric."""
    rows = SlaClock.all_orgs.filter(**{str(item._meta.model_name): item.pk}, metric=metric, **more)
    clock: SlaClock = rows.order_by("-started_at", "-pk")[0]
    return clock


def drained() -> None:
    result = drain_all()
    assert (result.failed, result.dead) == (0, 0)


class TestClosedDayArithmetic:
    """Frappe CRM adds a day to a closed day and keeps the clock time: a lead of Saturday 14:30 is due Monday 15:30."""

    @pytest.mark.parametrize(
        ("arrives", "due"),
        [
            ("2026-11-21T14:30", "2026-11-23T11:00"),
            ("2026-11-21T19:00", "2026-11-23T11:00"),
            ("2026-11-21T03:00", "2026-11-23T11:00"),
            ("2026-11-20T17:30", "2026-11-23T10:30"),
            ("2026-11-20T18:00", "2026-11-23T11:00"),
            ("2026-11-23T09:59", "2026-11-23T11:00"),
        ],
    )
    def test_a_lead_that_comes_when_closed_has_its_hour_after_the_next_opening(self, org, arrives, due):
        calendar = office(org, "10:00", "18:00")
        rule = default_rule(org, "candidate", "triage_sla", calendar=calendar, threshold_hours=Decimal(1))

        candidate = open_candidate(org, at=berlin(arrives))

        clock = clock_on(candidate, SlaMetric.TRIAGE)
        assert (clock.rule_id, clock.due_at) == (rule.pk, berlin(due))
        assert clock.warn_at == berlin(due) - timedelta(minutes=15)


class TestSecondStepping:
    """Frappe CRM steps one second at a time: 30 days took 2.5 s. Here the work does not depend on the span."""

    HOURS = OpenHours("Europe/Berlin", (((540, 720), (780, 1020)),) * 5 + ((), ()), country="DE", subdivision="BY")

    @staticmethod
    def work(call: Callable[[], Any]) -> Counter[str]:
        """How many lines of the calendar library a call runs, by function."""
        lines: Counter[str] = Counter()

        def traced(frame: FrameType, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename != business_time.__file__:
                return None
            if event == "line":
                lines[frame.f_code.co_name] += 1
            return traced

        before = sys.gettrace()
        sys.settrace(traced)
        try:
            call()
        finally:
            sys.settrace(before)
        return lines

    def test_a_month_costs_what_an_hour_costs(self):
        start = berlin("2026-02-03T10:00")
        BusinessTime(self.HOURS).elapsed(start, start + HOUR)  # holidays and offsets are known then
        spans = [HOUR, timedelta(days=30), timedelta(days=300)]
        elapsed = [self.work(lambda span=span: BusinessTime(self.HOURS).elapsed(start, start + span)) for span in spans]
        added = [self.work(lambda hours=hours: BusinessTime(self.HOURS).add(start, hours * 3600)) for hours in (1, 900)]

        assert elapsed[0] == elapsed[1] == elapsed[2]
        assert added[0] == added[1]
        # The windows of each day of one year, and of the days that its ends share with other years.
        assert elapsed[0]["windows_of"] > 300
        assert elapsed[0].total() < 366 * 30

    def test_what_is_laid_out_once_costs_next_to_nothing(self):
        time = BusinessTime(self.HOURS)
        start = berlin("2020-02-03T10:00")
        time.elapsed(start, start + timedelta(days=3650))

        decade = self.work(lambda: time.elapsed(start, start + timedelta(days=3650)))

        assert decade["windows_of"] == decade["_lay_out"] == 0
        assert 0 < decade.total() < 150


class TestBreachOnlyOnSave:
    """Frappe CRM knows a breach when somebody saves the record: what nobody touches stays "first response due"."""

    def test_a_lead_that_nobody_opens_is_in_breach_and_on_the_panel(self, org):
        default_rule(org, "candidate", "triage_sla", threshold_hours=Decimal(1))
        candidate = open_candidate(org, at=berlin("2026-11-23T10:00"))
        untouched = Candidate.all_orgs.filter(pk=candidate.pk).values().get()
        drained()
        assert not is_listed(candidate)

        assert sweep(at=berlin("2026-11-23T11:00") + INSTANT).breached == 1
        drained()

        breach = SlaBreach.all_orgs.get(candidate=candidate)
        assert (breach.breached_at, breach.resolved_at) == (berlin("2026-11-23T11:00"), None)
        assert row_of(candidate).badge == Badge.RED
        assert Candidate.all_orgs.filter(pk=candidate.pk).values().get() == untouched


class TestPanelAndEngineDisagree:
    """Bottle's Today adds plain hours while its engine counts open ones: overdue on a Sunday here, not due there."""

    def test_the_panel_says_what_the_clocks_say_all_weekend_long(self, org):
        calendar = office(org, "09:00", "17:00")
        default_rule(org, "pursuit", "proposal_sla", calendar=calendar, threshold_hours=Decimal(8))
        pursuit = open_pursuit(org, at=berlin("2026-11-20T16:00"))
        drained()
        seen: list[tuple[str, str]] = []
        at = berlin("2026-11-20T16:30").astimezone(UTC)
        while at < berlin("2026-11-23T18:00"):
            sweep(at=at)
            drained()
            rows = {(row.item_type, row.item_id): row for row in shown(org, at=at)}
            assert {key: row.badge for key, row in rows.items()} == badges_by_the_clocks(org)
            row, clock = rows["pursuit", pursuit.pk], clock_on(pursuit, SlaMetric.PROPOSAL)
            assert (row.sla_metric, row.sla_due_at) == ("proposal_sla", clock.due_at)
            if not seen or seen[-1][1] != row.badge:
                seen.append((f"{at.astimezone(ZoneInfo('Europe/Berlin')):%a %H:%M}", row.badge))
            at += HOUR

        # Seven hours of Monday are left on Friday evening; two before the end it is near.
        assert seen == [("Fri 16:30", "green"), ("Mon 14:30", "amber"), ("Mon 16:30", "red")]


class TestWallClockPause:
    """Bottle's pause is wall-clock time: 48 hours of a weekend push a Friday deadline into the night."""

    def test_a_weekend_on_hold_costs_no_open_time(self, org):
        rule_while_triaged(office(org, "09:00", "17:00"), 8)
        candidate = open_candidate(org, status="triaged", at=berlin("2026-11-19T16:30"))
        clock = clock_on(candidate, SlaMetric.TRIAGE, rule__stage="triaged")
        assert clock.due_at == berlin("2026-11-20T16:30")

        held(candidate, since=berlin("2026-11-20T16:00"), until=berlin("2026-11-22T16:00"))

        clock.refresh_from_db()
        assert (clock.paused_at, clock.stopped_at) == (None, None)
        assert clock.due_at == berlin("2026-11-23T09:30")
        assert clock.paused_seconds == 3600  # what was open of it: Friday from four to five


def held(candidate: Candidate, *, since: datetime, until: datetime) -> None:
    """Put on hold and brought back by the sweep of held candidates."""
    key: dict[str, Any] = {"org": candidate.org, "candidate_id": candidate.pk, "actor": CLERK}
    services.hold_candidate(**key, reason="They are away", resume_at=until, at=since)
    # However long past its old end: on hold nothing falls due.
    assert sweep(at=until).breached == 0
    assert services.resume_candidate(**key, at=until) is not None


class TestHoldOverHolidays:
    """A candidate put on hold over a weekend and a holiday resumes with exactly its remaining business time."""

    @pytest.mark.parametrize(
        ("until", "due"),
        [
            # Good Friday is 3 April and Easter Monday 6 April 2026.
            ("2026-04-07T12:00", "2026-04-07T16:00"),
            ("2026-04-04T03:17:12.345678", "2026-04-07T13:00"),
            ("2026-04-06T13:00", "2026-04-07T13:00"),
            ("2026-04-02T16:59:59.999999", "2026-04-07T12:59:59.999999"),
            ("2026-04-07T16:00", "2026-04-08T12:00"),
        ],
    )
    def test_resumes_with_exactly_what_was_left(self, org, until, due):
        calendar = office(org, "09:00", "17:00", country="DE", subdivision="BY")
        rule_while_triaged(calendar, 8)
        candidate = open_candidate(org, status="triaged", at=berlin("2026-04-02T11:00"))
        clock = clock_on(candidate, SlaMetric.TRIAGE, rule__stage="triaged")
        time = business_time_of(calendar)
        assert clock.due_at == berlin("2026-04-07T11:00")
        pause, back = berlin("2026-04-02T15:00"), berlin(until)
        assert time.elapsed(pause, clock.due_at) == 4 * 3600

        held(candidate, since=pause, until=back)

        clock.refresh_from_db()
        assert clock.due_at == berlin(due)
        assert time.elapsed(back, clock.due_at) == 4 * 3600
        assert clock.paused_seconds == round(time.elapsed(pause, back))
        # Kept to the end: the moment itself is in time, the next one is late.
        assert sweep(at=clock.due_at).breached == 0
        assert sweep(at=clock.due_at + INSTANT).breached == 1

    def test_holds_add_up(self, org):
        """Three holds, one within opening hours, one over the change to summer time, one over Easter."""
        calendar = office(org, "09:00", "17:00", country="DE")
        rule_while_triaged(calendar, 40)
        begin = berlin("2026-03-26T10:00")
        candidate = open_candidate(org, status="triaged", at=begin)
        holds = [
            (berlin("2026-03-26T12:00"), berlin("2026-03-26T13:30")),
            (berlin("2026-03-27T16:00"), berlin("2026-03-30T10:00")),
            (berlin("2026-04-02T09:00"), berlin("2026-04-07T09:00")),
        ]
        for since, until in holds:
            held(candidate, since=since, until=until)

        clock, time = clock_on(candidate, SlaMetric.TRIAGE, rule__stage="triaged"), business_time_of(calendar)
        lost = sum(time.elapsed(since, until) for since, until in holds)
        assert lost == clock.paused_seconds == (1.5 + 2 + 8) * 3600
        assert time.elapsed(begin, clock.due_at) - lost == 40 * 3600


def clocks_on_leads(rule: SlaRule, number: int, *, due_at: datetime) -> None:
    """That many leads with a clock each, all due at one moment."""
    leads = CandidateFactory.create_batch(number, org=rule.org, client=ClientFactory(org=rule.org))
    times = {"started_at": due_at - 24 * HOUR, "warn_at": due_at - 6 * HOUR, "due_at": due_at}
    SlaClock.all_orgs.bulk_create(
        SlaClock(org=rule.org, rule=rule, metric=rule.metric, candidate=lead, **times) for lead in leads
    )


class TestScanOfEverything:
    """Bottle scans every open case with four calendar queries each and no lock: two workers escalate twice."""

    def test_the_sweep_asks_the_same_for_few_and_many(self, org):
        calendar = office(org, "09:00", "17:00")
        rule = default_rule(org, "candidate", "triage_sla", calendar=calendar)
        at = berlin("2026-11-23T12:00")
        asked: dict[int, list[str]] = {}
        for number in (2, 200):
            clocks_on_leads(rule, number, due_at=at - HOUR)
            with counted_queries() as statements:
                assert sweep(at=at).breached == number
            asked[number] = statements

        assert len(asked[2]) == len(asked[200]) < 12, "\n".join(asked[200])
        assert not any("businesscalendar" in statement or "closingday" in statement for statement in asked[200])

    def test_what_is_not_due_is_not_asked_for(self, org):
        rule = default_rule(org, "candidate", "triage_sla")
        at = berlin("2026-11-23T12:00")
        clocks_on_leads(rule, 500, due_at=at + 100 * HOUR)
        with nothing_changes(), counted_queries() as statements:
            sweep(at=at)

        assert len(statements) <= 4, "\n".join(statements)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.usefixtures("transactional_db")
    def test_eight_sweepers_at_once_escalate_once(self, org):
        at = berlin("2026-11-23T12:00")
        with system_scope("tests"):
            rule = rule_of(org)
            clocks_on_leads(rule, 300, due_at=at - HOUR)

        results = at_once(*[lambda: sweep(at=at, limit=20)] * 8)

        assert sum(result.breached for result in results) == 300
        with system_scope("tests"):
            assert SlaBreach.all_orgs.filter(org=org, resolved_at=None).count() == 300
        told = told_of("sla.breached")
        assert (len(told), set(told.values())) == (300, {1})


class TestClockRunsAfterResolution:
    """Chatwoot's next-response clock goes on after the conversation was resolved."""

    def test_an_answer_ends_the_wait_for_it(self, org):
        sent_at = berlin("2026-11-23T10:00")
        pursuit = open_pursuit(org, at=sent_at)
        key: dict[str, Any] = {"org": org, "actor": CLERK}
        proposal = services.create_proposal(**key, pursuit_id=pursuit.pk, fields={}, at=sent_at)
        services.send_proposal(**key, proposal_id=proposal.pk, at=sent_at)
        services.log_activity(
            **key,
            item_type="pursuit",
            item_id=pursuit.pk,
            kind="email",
            direction="inbound",
            summary="They agree",
            at=sent_at + 2 * HOUR,
        )

        clock = clock_on(pursuit, SlaMetric.RESPONSE)
        assert (clock.stopped_at, clock.outcome) == (sent_at + 2 * HOUR, "met")
        sweep(at=sent_at + 1000 * HOUR)
        assert not SlaBreach.all_orgs.filter(pursuit=pursuit, metric="response_sla").exists()

    def test_what_is_closed_has_no_clock_running(self, org):
        begin = berlin("2026-11-23T10:00")
        candidate = open_candidate(org, status="archived", at=begin)
        won = open_pursuit(org, stage="won", at=begin)

        for item in (candidate, won):
            clocks = SlaClock.all_orgs.filter(**{item._meta.model_name: item.pk})
            assert clocks.exists()
            assert not clocks.filter(stopped_at=None).exists()
        with nothing_changes():
            sweep(at=begin + 1000 * HOUR)

    def test_a_resolved_breach_stays_resolved(self, org):
        default_rule(org, "candidate", "triage_sla", threshold_hours=Decimal(1))
        begin = berlin("2026-11-23T10:00")
        candidate = open_candidate(org, at=begin)
        sweep(at=begin + 2 * HOUR)
        key: dict[str, Any] = {"org": org, "actor": CLERK}
        services.triage_candidate(**key, candidate_id=candidate.pk, at=begin + 3 * HOUR)

        breach = SlaBreach.all_orgs.get(candidate=candidate)
        assert (breach.resolved_at, breach.resolved_by) == (begin + 3 * HOUR, "candidate.triaged")
        services.log_activity(
            **key, item_type="candidate", item_id=candidate.pk, kind="call", summary="Spoke", at=begin + 4 * HOUR
        )
        assert sweep(at=begin + 1000 * HOUR).breached == 0
        assert [each.pk for each in SlaBreach.all_orgs.filter(candidate=candidate)] == [breach.pk]


class TestCheckThenInsert:
    """Chatwoot asks `SlaEvent.exists?` and then creates: two at once write two."""

    def test_the_table_takes_no_second_open_breach(self, org):
        rule = rule_of(org)
        clock = clock_of(rule, due_at=berlin("2026-11-23T10:00"))
        sweep(at=berlin("2026-11-23T12:00"))
        breach = SlaBreach.all_orgs.get()
        second = SlaBreach(
            org=org,
            clock=clock,
            rule=rule,
            candidate_id=clock.candidate_id,
            metric=breach.metric,
            reason_code=breach.reason_code,
            breached_at=breach.breached_at,
        )

        with pytest.raises(IntegrityError, match="sla_breach_open_candidate"), transaction.atomic():
            second.save()

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.usefixtures("transactional_db")
    def test_sweepers_and_the_person_who_comes_late_make_one_breach(self, org):
        begin = berlin("2026-11-23T10:00")
        late = begin + 30 * HOUR
        candidates = [open_candidate(org, at=begin) for _ in range(6)]

        def triage(candidate: Candidate) -> Any:
            return services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=late)

        def everybody() -> list[Candidate]:
            return [triage(candidate) for candidate in candidates]

        answers = at_once(everybody, *[lambda: sweep(at=late, limit=2)] * 4)
        assert not [answer for answer in answers if isinstance(answer, Exception)]
        sweep(at=late)

        with org_scope(org):
            for candidate in candidates:
                breaches = SlaBreach.objects.for_org(org).filter(candidate=candidate)
                assert [(each.breached_at, each.resolved_at) for each in breaches] == [(begin + 24 * HOUR, late)]
                told = WorkEvent.objects.for_org(org).filter(item_type="candidate", item_id=candidate.pk)
                counts = Counter(told.filter(event_name__startswith="sla.").values_list("event_name", flat=True))
                assert (counts["sla.breached"], counts["sla.resolved"]) == (1, 1)


class TestTodayInAnotherZone:
    """ "Today" in UTC is yesterday or tomorrow for half of the world."""

    @pytest.mark.parametrize(
        ("zone", "midnight"),
        [
            ("Pacific/Auckland", "2026-03-04T11:00"),  # still the 4th in UTC
            ("UTC", "2026-03-05T00:00"),
            ("America/Los_Angeles", "2026-03-05T08:00"),  # the 5th in UTC since eight hours
        ],
    )
    def test_a_date_is_past_when_it_is_over_where_the_organisation_is(self, org, zone, midnight):
        with system_scope("tests"):
            Organization.objects.filter(pk=org.pk).update(timezone=zone)
            org.refresh_from_db()
        over = datetime.fromisoformat(midnight).replace(tzinfo=UTC)
        created = over - 60 * HOUR  # untouched for less than three days
        candidate = open_candidate(org, status="triaged", next_step_due=date(2026, 3, 4), at=created)
        drained()

        sweep(at=over - INSTANT)
        drained()
        assert row_of(candidate).badge == Badge.GREEN
        sweep(at=over)
        drained()
        row = row_of(candidate)
        assert (row.badge, row.urgency) == (Badge.AMBER, "past_due")
        assert TodayItem.all_orgs.filter(org=org).count() == 1
