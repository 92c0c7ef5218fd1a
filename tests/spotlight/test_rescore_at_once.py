"""Re-scores beside each other, beside edits and beside new signals: real connections, each with its own transaction."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction

from flowledger.outbox.drain import drain_all
from flowledger.tenancy.scope import org_scope
from spotlight.models import EnrichedFact, RescoreRun, SpotlightScore
from spotlight.services import cancel_rescore, delete_spotlight, store_facts
from spotlight.services.rescores import Progress, rescore_batch
from spotlight.tasks import rescore_items
from tests.factories import ClientFactory
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
    worker,
)
from tests.workstream.factories import AT, CLERK
from tests.workstream.trail import at_once
from workstream.services import create_signal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


def raised(answers):
    return [answer for answer in answers if isinstance(answer, Exception)]


class TestWorkers:
    def test_share_a_run_without_taking_the_same_batch(self, org):
        spotlight = profile(org)
        rows = signals(org, 120)
        score(org, rows)
        ask_for(org, spotlight, 1_000_000)
        run = start(org, spotlight=spotlight)

        answers = at_once(*[worker(org, run, size=10)] * 3)

        assert not raised(answers), answers
        done = fresh(org, run)
        assert (done.status, done.done_count, done.changed_count) == ("done", 120, 120)
        assert changes_of(org) == [(row.pk, "profile", 1, 2) for row in rows]

    def test_one_that_dies_in_a_batch_costs_nothing(self, org):
        spotlight = profile(org)
        rows = signals(org, 6)
        run = start(org, spotlight=spotlight)
        rescore_batch(org=org, run_id=run.pk, at=AT, size=2)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            rescore_batch(org=org, run_id=run.pk, at=AT, size=2)
            raise KeyboardInterrupt
        assert (fresh(org, run).done_count, len(versions_of(org))) == (2, 2)
        assert work(org, run, size=2).done_count == 6
        assert versions_of(org) == {row.pk: 1 for row in rows}

    def test_the_task_works_on_all_that_is_to_do(self, org, other_org):
        for house in (org, other_org):
            signals(house, 5)
            for _ in range(2):
                start(house, spotlight=profile(house))
        assert rescore_items() == 4
        rescore_items()
        done = [(run.status, run.done_count) for house in (org, other_org) for run in runs_of(house)]
        assert done == [("done", 5)] * 4
        assert rescore_items() == 0

    def test_a_stall_is_shown_and_the_next_tick_goes_on(self, org):
        spotlight = profile(org)
        (row,) = signals(org, 1)
        score(org, [row])
        ask_for(org, spotlight, 1_000_000)
        run = start(org, spotlight=spotlight)
        with org_scope(org), transaction.atomic():
            SpotlightScore.objects.for_org(org).select_for_update().get(signal=row)
            answers = at_once(_impatiently(rescore_items))
            assert not raised(answers), answers
        stalled = fresh(org, run)
        assert (stalled.status, stalled.done_count) == ("running", 0)
        assert stalled.failure.startswith("The database: canceling statement")
        rescore_items()
        assert (fresh(org, run).status, fresh(org, run).failure) == ("done", "")


def _impatiently(call):
    """Who waits for a lock for a second gives up."""

    def go():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1s'")
        return call()

    return go


class TestStarts:
    def test_several_at_once_leave_one_that_runs(self, org):
        spotlight = profile(org)
        rows = signals(org, 10)
        answers = at_once(*[lambda: start(org, spotlight=spotlight)] * 5)
        assert not raised(answers), answers
        rescore_items()
        rescore_items()
        states = [run.status for run in runs_of(org)]
        assert states == ["superseded"] * 4 + ["done"]
        assert versions_of(org) == {row.pk: 1 for row in rows}

    def test_one_beside_a_batch_in_hand_does_not_wait_for_it(self, org):
        spotlight = profile(org)
        signals(org, 4)
        first = start(org, spotlight=spotlight)
        with org_scope(org), transaction.atomic():
            rescore_batch(org=org, run_id=first.pk, at=AT, size=2)
            (second,) = at_once(_impatiently(lambda: start(org, spotlight=spotlight)))
            assert isinstance(second, RescoreRun), second
        assert fresh(org, first).status == "running"
        # Who has it in hand sees that it is covered.
        assert rescore_batch(org=org, run_id=first.pk, at=AT, size=2) is Progress.DONE
        assert (fresh(org, first).status, fresh(org, first).done_count) == ("superseded", 2)
        assert work(org, second).done_count == 4


class TestBesideOthers:
    def test_edits_beside_batches_end_with_the_newest_version_everywhere(self, org):
        spotlight = profile(org)
        rows = signals(org, 60)
        score(org, rows)

        def edit():
            for budget in (1_000_000, 2_000_000, 3_000_000):
                ask_for(org, spotlight, budget)
                drain_all()

        def ticks():
            for _ in range(6):
                rescore_items()

        answers = at_once(edit, ticks, ticks)

        assert not raised(answers), answers
        drain_all()
        rescore_items()
        rescore_items()
        assert versions_of(org) == {row.pk: 4 for row in rows}
        assert [run.status for run in runs_of(org) if run.status not in ("done", "superseded")] == []

    def test_new_signals_do_not_wait_for_a_batch(self, org):
        spotlight = profile(org)
        signals(org, 4)
        run = start(org, spotlight=spotlight)

        def arrive():
            fields = {"source_type": "api", "ts": AT, "contact_email": "a@bank.example", "attributes": BANK}
            signal = create_signal(org=org, fields=fields, actor=CLERK, at=AT).signal
            drain_all()
            return signal.pk

        with org_scope(org), transaction.atomic():
            rescore_batch(org=org, run_id=run.pk, at=AT, size=4)
            (pk,) = at_once(_impatiently(arrive))
            assert isinstance(pk, int), pk
            # Scored by its own event, while the batch is not committed.
            assert at_once(lambda: versions_of(org)) == [{pk: 1}]
        assert len(versions_of(org)) == 5

    def test_a_cancel_waits_for_the_batch_in_hand_alone(self, org):
        spotlight = profile(org)
        signals(org, 40)
        run = start(org, spotlight=spotlight)

        def cancel():
            return cancel_rescore(org=org, rescore_id=run.pk, actor=CLERK, at=AT)

        answers = at_once(worker(org, run, size=1), cancel)

        stopped = fresh(org, run)
        assert len(versions_of(org)) == stopped.done_count
        assert stopped.status in ("cancelled", "done")
        assert not raised(answers[:1]), answers

    def test_a_profile_deleted_beside_a_batch_leaves_nothing(self, org):
        for _ in range(4):
            spotlight = profile(org)
            signals(org, 30)
            run = start(org, spotlight=spotlight)

            def delete(pk=spotlight.pk):
                return delete_spotlight(org=org, spotlight_id=pk, actor=CLERK, at=AT)

            def batches(pk=run.pk):
                while rescore_batch(org=org, run_id=pk, at=AT, size=5) is Progress.MORE:
                    pass

            answers = at_once(batches, delete)
            assert not raised(answers), answers
            assert versions_of(org) == {}
            assert runs_of(org) == []


def test_two_providers_words_at_once_leave_the_newest(org):
    client = ClientFactory(org=org)

    def say(number):
        facts = {f"f{n}": number for n in range(20)}
        what = {"client_id": client.pk, "provider": "Register", "facts": facts}
        return lambda: store_facts(org=org, **what, actor=CLERK, at=AT + timedelta(minutes=number))

    answers = at_once(*[say(number) for number in range(6)])

    assert not raised(answers), answers
    with org_scope(org):
        rows = EnrichedFact.objects.for_org(org)
        assert {row.field_name: row.value for row in rows} == {f"f{n}": 5 for n in range(20)}
