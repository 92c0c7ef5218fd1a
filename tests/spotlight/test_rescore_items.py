"""A re-score goes through signals and candidates from the newest on, a batch at a time, and can be stopped."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowledger.errors import InvalidTransition, NotFound, PermissionRefused, Unavailable
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Origin, Role
from spotlight.models import RescoreRun, SpotlightScore
from spotlight.services import update_spotlight
from spotlight.services.rescores import Progress, cancel_rescore, note_stall, rescore_batch
from tests.factories import ClientFactory, ContactFactory
from tests.queries import counted_queries
from tests.spotlight.rescoring import (
    BANK,
    ask_for,
    changes_of,
    fresh,
    profile,
    runs_of,
    score,
    signals,
    start,
    versions_of,
    work,
)
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_candidate
from workstream.services import link_signal, reject_signal

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


class TestWholeRun:
    def test_gives_everything_the_new_version_and_says_why(self, org):
        spotlight = profile(org)
        rows = signals(org, 7)
        score(org, rows)
        ask_for(org, spotlight, 1_000_000)
        run = start(org, spotlight=spotlight, reason="The profile was changed")
        assert (run.status, run.items_total, run.done_count) == ("running", 7, 0)

        done = work(org, run, size=3, at=LATER)

        assert (done.status, done.done_count, done.changed_count, done.items_total) == ("done", 7, 7, 7)
        assert done.finished_at == LATER
        assert versions_of(org) == {row.pk: 2 for row in rows}
        assert changes_of(org) == [(row.pk, "profile", 1, 2) for row in rows]
        facts = WorkEvent.all_orgs.filter(org=org, item_type="rescore_run", item_id=run.pk).order_by("pk")
        assert [fact.event_name for fact in facts] == ["spotlight.rescore_started", "spotlight.rescore_finished"]
        assert facts[1].payload == {"rescore_id": run.pk, "status": "done", "done": 7, "changed": 7}

    def test_again_nothing_moves(self, org):
        spotlight = profile(org)
        score(org, signals(org, 5))
        evaluated = WorkEvent.all_orgs.filter(org=org, event_name="spotlight.evaluated")
        before = evaluated.count()
        done = work(org, start(org, spotlight=spotlight))
        assert (done.done_count, done.changed_count) == (5, 0)
        assert evaluated.count() == before
        assert changes_of(org) == []

    def test_candidates_come_after_signals(self, org):
        spotlight = profile(org)
        rows = signals(org, 2)
        candidate = open_candidate(org)
        link_signal(org=org, signal_id=rows[0].pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        run = start(org, spotlight=spotlight)
        assert run.items_total == 3
        assert rescore_batch(org=org, run_id=run.pk, at=AT, size=50) is Progress.MORE
        halfway = fresh(org, run)
        assert (halfway.item_type, halfway.done_count) == ("candidate", 2)
        assert not SpotlightScore.all_orgs.filter(candidate=candidate).exists()
        assert rescore_batch(org=org, run_id=run.pk, at=AT, size=50) is Progress.DONE
        assert fresh(org, run).done_count == 3
        assert SpotlightScore.all_orgs.get(candidate=candidate).match_score == 1

    def test_the_newest_come_first_and_those_that_come_meanwhile_are_left_to_their_own_event(self, org):
        spotlight = profile(org)
        old = signals(org, 4)
        run = start(org, spotlight=spotlight)
        new = signals(org, 2)
        rescore_batch(org=org, run_id=run.pk, at=AT, size=3)
        assert sorted(versions_of(org)) == [row.pk for row in old[1:]]
        assert fresh(org, run).cursor == old[1].pk
        done = work(org, run)
        assert (done.status, done.done_count) == ("done", 4)
        assert not set(versions_of(org)) & {row.pk for row in new}

    def test_rejected_signals_are_passed_over(self, org):
        spotlight = profile(org)
        rows = signals(org, 3)
        reject_signal(org=org, signal_id=rows[1].pk, reason="Spam", actor=CLERK, at=AT)
        done = work(org, start(org, spotlight=spotlight))
        assert (done.items_total, done.done_count) == (2, 2)
        assert sorted(versions_of(org)) == [rows[0].pk, rows[2].pk]

    def test_of_one_client_or_contact_their_items_alone(self, org):
        profile(org)
        client, contact = ClientFactory(org=org), ContactFactory(org=org)
        mine = signals(org, 2, client=client)
        theirs = signals(org, 1, contact=contact)
        signals(org, 2)
        assert work(org, start(org, client=client, cause="client")).done_count == 2
        assert sorted(versions_of(org)) == [row.pk for row in mine]
        assert work(org, start(org, contact=contact, cause="client")).done_count == 1
        assert sorted(versions_of(org)) == sorted(row.pk for row in [*mine, *theirs])

    def test_without_a_profile_all_active_ones_count(self, org):
        one, two = profile(org), profile(org)
        off = profile(org, active=False)
        (row,) = signals(org, 1)
        work(org, start(org))
        scored = SpotlightScore.all_orgs.filter(signal=row).order_by("spotlight_id")
        assert [each.spotlight_id for each in scored] == [one.pk, two.pk]
        assert off.pk not in {each.spotlight_id for each in scored}

    def test_a_batch_costs_the_same_however_many_items_it_has(self, org):
        spotlight = profile(org)
        signals(org, 40)
        run = start(org, spotlight=spotlight)
        with counted_queries() as few:
            rescore_batch(org=org, run_id=run.pk, at=AT, size=5)
        with counted_queries() as many:
            rescore_batch(org=org, run_id=run.pk, at=AT, size=30)
        assert len(few) == len(many)


class TestResuming:
    def test_goes_on_where_the_last_batch_ended(self, org):
        spotlight = profile(org)
        rows = signals(org, 5)
        run = start(org, spotlight=spotlight)
        rescore_batch(org=org, run_id=run.pk, at=AT, size=2)
        stopped = fresh(org, run)
        assert (stopped.cursor, stopped.done_count) == (rows[3].pk, 2)
        assert work(org, run, size=2).done_count == 5
        assert sorted(versions_of(org)) == [row.pk for row in rows]

    def test_what_has_ended_is_left_alone(self, org):
        run = work(org, start(org, spotlight=profile(org)))
        assert rescore_batch(org=org, run_id=run.pk, at=LATER) is Progress.IDLE
        assert fresh(org, run).row_version == run.row_version

    def test_a_stall_is_shown_and_goes_by(self, org):
        spotlight = profile(org)
        signals(org, 1)
        run = start(org, spotlight=spotlight)
        note_stall(org=org, run_id=run.pk, error=Unavailable("Somebody is in the way."))
        assert fresh(org, run).failure == "Somebody is in the way."
        assert work(org, run).failure == ""

    def test_a_profile_that_is_switched_off_meanwhile_stops_counting(self, org):
        spotlight = profile(org)
        rows = signals(org, 2)
        score(org, rows)
        update_spotlight(org=org, spotlight_id=spotlight.pk, fields={"active": False}, actor=CLERK, at=AT)
        done = work(org, start(org, spotlight=spotlight))
        assert (done.status, done.done_count) == ("done", 2)
        assert versions_of(org) == {row.pk: 1 for row in rows}


class TestSuperseding:
    def test_a_newer_run_of_the_profile_takes_over(self, org):
        spotlight = profile(org)
        signals(org, 3)
        first = start(org, spotlight=spotlight)
        rescore_batch(org=org, run_id=first.pk, at=AT, size=1)
        second = start(org, spotlight=spotlight, at=LATER)
        ended = fresh(org, first)
        assert (ended.status, ended.done_count, ended.finished_at) == ("superseded", 1, LATER)
        assert rescore_batch(org=org, run_id=first.pk, at=LATER) is Progress.IDLE
        assert work(org, second).done_count == 3

    @pytest.mark.parametrize(
        ("older", "newer", "status"),
        [
            ("profile", "everything", "superseded"),
            ("client", "everything", "superseded"),
            ("profile and client", "profile", "superseded"),
            ("profile and client", "client", "superseded"),
            ("everything", "profile", "running"),
            ("everything", "client", "running"),
            ("profile", "other profile", "running"),
            ("client", "contact", "running"),
        ],
    )
    def test_only_what_the_newer_one_covers(self, org, older, newer, status):
        spotlight, client = profile(org), ClientFactory(org=org)
        scopes = {
            "everything": {},
            "profile": {"spotlight": spotlight},
            "other profile": {"spotlight": profile(org)},
            "client": {"client": client},
            "contact": {"contact": ContactFactory(org=org)},
            "profile and client": {"spotlight": spotlight, "client": client},
        }
        first = start(org, **scopes[older])
        start(org, **scopes[newer])
        assert fresh(org, first).status == status

    def test_not_by_one_that_routes_nothing(self, org):
        spotlight = profile(org)
        first = start(org, spotlight=spotlight)
        second = start(org, spotlight=spotlight, actor=Actor.importer())
        assert (fresh(org, first).status, second.fires_rules) == ("running", False)
        third = start(org, spotlight=spotlight)
        assert {fresh(org, each).status for each in (first, second)} == {"superseded"}
        assert third.fires_rules

    def test_of_two_that_did_not_see_each_other_the_older_gives_way(self, org):
        """As after two starts at the same moment: each was written before the other could be read."""
        spotlight = profile(org)
        signals(org, 2)
        first, second = start(org, spotlight=spotlight), start(org, spotlight=spotlight)
        RescoreRun.all_orgs.filter(pk=first.pk).delete()
        copy = {"org": org, "spotlight": spotlight, "cause": "profile", "started_at": AT, "cursor": first.cursor}
        RescoreRun.all_orgs.bulk_create([RescoreRun(pk=first.pk, **copy)])
        assert rescore_batch(org=org, run_id=first.pk, at=LATER) is Progress.DONE
        assert (fresh(org, first).status, fresh(org, first).done_count) == ("superseded", 0)
        assert work(org, second).status == "done"

    def test_another_organisations_runs_go_on(self, org, other_org):
        theirs = start(other_org, spotlight=profile(other_org))
        start(org)
        assert fresh(other_org, theirs).status == "running"


class TestOrigin:
    def test_what_follows_from_an_import_is_imported(self, org):
        spotlight = profile(org)
        signals(org, 1)
        work(org, start(org, spotlight=spotlight, actor=Actor.importer()))
        fact = WorkEvent.all_orgs.get(org=org, event_name="spotlight.evaluated")
        assert fact.origin == Origin.IMPORT

    def test_else_it_is_the_applications_own_on_behalf_of_who_started_it(self, org, manager):
        spotlight = profile(org)
        signals(org, 1)
        run = start(org, spotlight=spotlight, actor=actor_of(manager))
        work(org, run)
        fact = WorkEvent.all_orgs.get(org=org, event_name="spotlight.evaluated")
        assert (fact.origin, fact.actor_label) == (Origin.SYSTEM, f"re-score {run.pk}")
        assert fact.actor_user_id == manager.user_id


class TestCancelling:
    def test_keeps_what_is_scored(self, org, manager):
        spotlight = profile(org)
        rows = signals(org, 4)
        run = start(org, spotlight=spotlight)
        rescore_batch(org=org, run_id=run.pk, at=AT, size=3)
        stopped = cancel_rescore(org=org, rescore_id=run.pk, actor=actor_of(manager), at=LATER)
        assert (stopped.status, stopped.done_count, stopped.finished_at) == ("cancelled", 3, LATER)
        assert rescore_batch(org=org, run_id=run.pk, at=LATER) is Progress.IDLE
        assert sorted(versions_of(org)) == [row.pk for row in rows[1:]]

    def test_is_refused_once_it_has_ended(self, org):
        run = work(org, start(org, spotlight=profile(org)))
        with pytest.raises(InvalidTransition, match="final"):
            cancel_rescore(org=org, rescore_id=run.pk, actor=CLERK, at=LATER)
        assert fresh(org, run).row_version == run.row_version

    def test_a_strangers_run_does_not_exist(self, org, other_org):
        theirs = start(other_org, spotlight=profile(other_org))
        with pytest.raises(NotFound):
            cancel_rescore(org=org, rescore_id=theirs.pk, actor=CLERK, at=LATER)
        assert fresh(other_org, theirs).status == "running"


class TestPermissions:
    def test_everybodys_items_need_a_manager(self, org, rep):
        spotlight, actor = profile(org), actor_of(rep)
        assert actor.role is Role.REP
        for what in ({}, {"spotlight": spotlight}):
            with pytest.raises(PermissionRefused):
                start(org, actor=actor, **what)
        assert runs_of(org) == []

    def test_those_of_a_client_a_representative(self, org, rep, viewer):
        client = ClientFactory(org=org)
        with pytest.raises(PermissionRefused):
            start(org, client=client, actor=actor_of(viewer))
        run = start(org, client=client, actor=actor_of(rep))
        assert run.started_by_id == rep.user_id
        everybody = start(org)
        with pytest.raises(PermissionRefused):
            cancel_rescore(org=org, rescore_id=everybody.pk, actor=actor_of(rep), at=AT)
        assert fresh(org, everybody).status == "running"


def test_facts_of_today_are_scored(org):
    """Not those of when the run began."""
    spotlight = profile(org)
    (row,) = signals(org, 1, attributes={**BANK, "budget": 10})
    run = start(org, spotlight=spotlight)
    type(row).all_orgs.filter(pk=row.pk).update(attributes=BANK)
    work(org, run)
    assert SpotlightScore.all_orgs.get(signal=row).match_score == 1
