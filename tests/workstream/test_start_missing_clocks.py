"""Items from before the clocks get the ones that would run on them, once, silently, beside services at work."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils.timezone import now

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.queries import counted_queries
from tests.workstream.exports import IMPORTED_AT, deal, load, write_export
from tests.workstream.factories import AT, CLERK, open_candidate, open_pursuit
from tests.workstream.panel import badges_by_the_clocks, counted, kept_counts, row_of
from tests.workstream.test_run_clocks import breaches_of, clocks_of, receive, running
from tests.workstream.trail import at_once, nothing_changes
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import (
    Candidate,
    Pursuit,
    Signal,
    SlaBreach,
    SlaClock,
    SlaRule,
    TodayItem,
    TodayVersion,
)
from workstream.models.today import Badge
from workstream.services.sla_backfill import start_missing_clocks

HOUR = timedelta(hours=1)
SOON = AT + HOUR
LATE = AT + 100 * HOUR
KINDS = (Signal, Candidate, Pursuit)


def forget(*orgs: Organization) -> None:
    """The organisations as they were before there were clocks."""
    for model in (SlaBreach, SlaClock, SlaRule, TodayItem, TodayVersion):
        model.all_orgs.filter(org__in=orgs).delete()


def runs(org: Organization) -> set[tuple[Any, ...]]:
    """Item, metric and moments of every running clock; when a due date was set nobody knows any more."""
    rows = SlaClock.all_orgs.filter(org=org, stopped_at=None)
    since = {row: None if row.metric == "due_date" else row.started_at for row in rows}
    return {(row.item_type, row.item_id, row.metric, since[row], row.due_at, row.warn_at) for row in rows}


def busy(org: Organization) -> dict[str, Any]:
    """Open and closed items of every kind."""
    keys: dict[str, Any] = {"org": org, "actor": CLERK, "at": AT}
    items = {
        "signal": receive(org, at=AT),
        "touched": receive(org, at=AT),
        "new": open_candidate(org),
        "triaged": open_candidate(org, status="triaged", next_step_due=AT.date()),
        "held": open_candidate(org, status="on_hold"),
        "archived": open_candidate(org, status="archived"),
        "qual": open_pursuit(org),
        "submitted": open_pursuit(org, stage=PursuitStage.SUBMIT),
        "answered": open_pursuit(org, stage=PursuitStage.SUBMIT),
        "won": open_pursuit(org, stage=PursuitStage.WON),
    }
    services.log_activity(item_type="signal", item_id=items["touched"].pk, kind="call", summary="Called", **keys)
    for name in ("submitted", "answered"):
        services.send_newest_draft(pursuit_id=items[name].pk, **keys)
    heard = {**keys, "at": AT + HOUR}
    services.log_activity(
        item_type="pursuit", item_id=items["answered"].pk, kind="email", summary="Yes", direction="inbound", **heard
    )
    return items


@pytest.mark.django_db
class TestBackfill:
    def test_starts_what_the_services_would_have_started(self, org: Organization):
        busy(org)
        expected = runs(org)
        assert {metric for _, _, metric, *_ in expected} == {
            *("triage_sla", "proposal_sla", "response_sla", "touch", "due_date")
        }
        forget(org)

        start_missing_clocks(org=org, at=SOON)

        assert runs(org) == expected
        assert not SlaClock.all_orgs.filter(org=org).exclude(stopped_at=None).exists()

    def test_leaves_what_is_closed_touched_or_answered_without(self, org: Organization):
        items = busy(org)
        forget(org)

        start_missing_clocks(org=org, at=SOON)

        assert [clocks_of(items[name]) for name in ("touched", "archived", "won")] == [[], [], []]
        assert running(items["answered"]) == {"touch", "due_date"}
        assert running(items["held"]) == {"touch"}

    def test_gives_the_times_that_the_import_gives(self, org: Organization, tmp_path: Any):
        fresh = deal("FRESH", engage_date="3/1/2026")
        load(write_export(tmp_path, [deal("OPEN"), fresh, deal("NEW", "Prospecting"), deal("WON", "Won")]), org)
        marks = ("metric", "started_at", "due_at", "warn_at", "warned_at", "breached_at", "candidate_id", "pursuit_id")
        rows = SlaClock.all_orgs.filter(org=org, stopped_at=None).order_by("metric", "candidate_id", "pursuit_id")
        expected = list(rows.values_list(*marks))
        breaches = SlaBreach.all_orgs.filter(org=org, resolved_at=None).order_by("clock__metric", "pursuit_id")
        open_breaches = list(breaches.values_list("reason_code", "breached_at", "candidate_id", "pursuit_id"))
        assert expected
        assert open_breaches
        forget(org)

        start_missing_clocks(org=org, at=IMPORTED_AT)

        assert list(rows.all().values_list(*marks)) == expected
        found = list(breaches.all().values_list("reason_code", "breached_at", "candidate_id", "pursuit_id"))
        assert found == open_breaches

    def test_is_breached_from_the_start_and_tells_nobody(self, org: Organization):
        items = busy(org)
        forget(org)
        told = WorkEvent.all_orgs.filter(org=org).count()

        done = start_missing_clocks(org=org, at=LATE)

        assert WorkEvent.all_orgs.filter(org=org).count() == told
        assert SlaBreach.all_orgs.filter(org=org, resolved_at=None).count() == done.breaches > 0
        (breach,) = breaches_of(items["new"])
        assert (breach.breached_at, breach.reason_code) == (AT + 24 * HOUR, "untouched")
        (triage,) = clocks_of(items["new"], "triage_sla")
        assert (triage.warned_at, triage.breached_at) == (AT + 18 * HOUR, AT + 24 * HOUR)

    def test_counts_the_items_clocks_and_breaches_that_there_are_now(self, org: Organization):
        busy(org)
        forget(org)

        done = start_missing_clocks(org=org, at=LATE)

        rows = SlaClock.all_orgs.filter(org=org)
        assert done.clocks == rows.count()
        assert done.items == rows.values("signal", "candidate", "pursuit").distinct().count()

    def test_brings_the_items_onto_the_panel(self, org: Organization):
        items = busy(org)
        forget(org)

        start_missing_clocks(org=org, at=LATE)

        assert {row.item_id for row in TodayItem.all_orgs.filter(org=org)} >= {items["new"].pk, items["qual"].pk}
        shown = {(row.item_type, row.item_id): Badge(row.badge).label for row in TodayItem.all_orgs.filter(org=org)}
        assert shown == badges_by_the_clocks(org)
        assert row_of(items["new"]).badge == Badge.RED
        assert kept_counts(org) == counted(org)

    @pytest.mark.parametrize("batch", [1, 2, 500])
    def test_goes_batch_by_batch(self, org: Organization, batch: int):
        busy(org)
        expected = runs(org)
        forget(org)

        start_missing_clocks(org=org, at=SOON, batch=batch)

        assert runs(org) == expected

    def test_again_does_nothing(self, org: Organization):
        busy(org)
        forget(org)
        start_missing_clocks(org=org, at=LATE)

        with nothing_changes():
            assert start_missing_clocks(org=org, at=LATE + HOUR).items == 0

    def test_finds_nothing_in_a_few_looks(self, org: Organization):
        busy(org)

        with counted_queries() as statements:
            start_missing_clocks(org=org, at=SOON)

        assert len(statements) == 4  # each kind, and the organisation's first rule

    def test_leaves_alone_what_has_a_clock_even_an_ended_one(self, org: Organization):
        candidate = open_candidate(org, status="triaged")
        SlaClock.all_orgs.filter(candidate=candidate, stopped_at=None).delete()

        assert start_missing_clocks(org=org, at=SOON).items == 0
        assert running(candidate) == set()

    def test_a_signal_that_came_while_no_rule_was_on_stays_without(self, org: Organization):
        receive(org, at=AT)
        rules = SlaRule.all_orgs.filter(org=org, item_type="signal")
        rules.update(is_active=False)
        late = receive(org, at=AT)
        rules.update(is_active=True)

        assert start_missing_clocks(org=org, at=SOON).items == 0
        assert clocks_of(late) == []

    def test_a_rule_for_a_stage_measures_from_the_entry(self, org: Organization):
        candidate = open_candidate(org, status="triaged")
        forget(org)
        bound = SlaRule.all_orgs.create(
            org=org, item_type="candidate", metric="triage_sla", stage="triaged", threshold_hours=10
        )
        SlaRule.all_orgs.create(org=org, item_type="candidate", metric="triage_sla", stage="nurture", threshold_hours=1)

        start_missing_clocks(org=org, at=SOON)

        (clock,) = clocks_of(candidate, "triage_sla")
        assert (clock.rule_id, clock.started_at, clock.due_at) == (bound.pk, AT, AT + 10 * HOUR)

    def test_touches_no_other_organisation(self, org: Organization, other_org: Organization):
        mine, strange = open_candidate(org), open_candidate(other_org)
        forget(org, other_org)

        start_missing_clocks(org=org, at=SOON)

        assert running(mine) == {"touch", "triage_sla"}
        assert clocks_of(strange) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtOnce:
    def test_two_backfills_start_each_clock_once(self, org: Organization):
        for _ in range(8):
            open_candidate(org)
        with system_scope("tests"):
            forget(org)
        backfill = partial(start_missing_clocks, org=org, at=LATE, batch=3)

        answers = at_once(backfill, backfill, backfill)

        assert not [each for each in answers if isinstance(each, Exception)]
        assert sum(each.items for each in answers) == 8
        with system_scope("tests"):
            assert SlaClock.all_orgs.filter(org=org, metric="triage_sla").count() == 8
            assert SlaBreach.all_orgs.filter(org=org).count() == 8
            assert kept_counts(org) == counted(org)

    def test_waits_for_a_service_and_measures_what_it_left(self, org: Organization):
        """The candidate is read as new and is triaged before it can be locked."""
        candidate = open_candidate(org)
        with system_scope("tests"):
            forget(org)
        moved, finish = threading.Event(), threading.Event()

        def triage() -> None:
            try:
                with org_scope(org):
                    services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=SOON)
                    moved.set()
                    finish.wait(timeout=30)
            finally:
                moved.set()
                connections.close_all()

        def backfill() -> None:
            moved.wait(timeout=30)
            start_missing_clocks(org=org, at=LATE)

        def watch() -> bool:
            moved.wait(timeout=30)
            try:
                return waits_for_a_row()
            finally:
                finish.set()

        answers = at_once(triage, backfill, watch)

        assert not [each for each in answers if isinstance(each, Exception)]
        assert answers[2] is True
        with system_scope("tests"):
            assert running(candidate) == {"touch"}
            assert breaches_of(candidate) == []

    def test_a_killed_run_is_gone_on_with(self, org: Organization, monkeypatch: pytest.MonkeyPatch):
        for _ in range(5):
            open_candidate(org)
        with system_scope("tests"):
            expected = runs(org)
            forget(org)
        real, calls = start_missing_clocks.__globals__["_start"], []

        def dying(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setitem(start_missing_clocks.__globals__, "_start", dying)
            with pytest.raises(KeyboardInterrupt):
                start_missing_clocks(org=org, at=SOON, batch=2)
        with system_scope("tests"):
            assert SlaClock.all_orgs.filter(org=org, metric="touch").count() == 4

        assert start_missing_clocks(org=org, at=SOON, batch=2).items == 1
        with system_scope("tests"):
            assert runs(org) == expected


@pytest.mark.django_db
class TestCommand:
    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("sla", "backfill", *arguments, stdout=out, stderr=out)
        return out.getvalue()

    def test_goes_over_every_organisation(self, org: Organization, other_org: Organization):
        items = [open_candidate(org, at=now()), open_candidate(other_org, at=now())]
        forget(org, other_org)

        assert self.run() == "4 clocks were started on 2 items that had none; 0 of them are overdue.\n"
        assert [running(item) for item in items] == [{"touch", "triage_sla"}] * 2
        assert self.run() == "No open item is without its clocks.\n"

    def test_of_one_organisation_in_numbers(self, org: Organization, other_org: Organization):
        open_candidate(org)
        open_candidate(other_org)
        forget(org, other_org)

        told = json.loads(self.run("--org", str(org.pk), "--json"))

        assert told == {"organizations": 1, "items": 1, "clocks": 2, "breaches": 1, "failed": []}
        assert not SlaClock.all_orgs.filter(org=other_org).exists()

    def test_refuses_an_organisation_that_is_not_there(self):
        with pytest.raises(CommandError, match="There is no organisation 999999"):
            self.run("--org", "999999")


def waits_for_a_row() -> bool:
    """Whether somebody comes to wait for a lock within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            ((waiting,),) = cursor.fetchall()
        if waiting:
            return True
    return False
