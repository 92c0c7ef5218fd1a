"""`kill -9` of workers in the middle of a re-score, one and two at it: nothing is scored twice, nothing is left out."""

from collections import Counter

import pytest
from django.utils import timezone

from flowledger.outbox import broker
from flowledger.outbox.wake import nudge
from flowledger.tenancy.scope import org_scope
from spotlight.models import RescoreRun, SpotlightScore, SpotlightScoreChange
from spotlight.services.rescores import RESCORE_TASK, start_rescore
from tests.faults.processes import wait_for
from tests.spotlight.rescoring import BANK, ask_for, profile, work
from tests.workstream.factories import AT, CLERK
from workstream.models import Signal

pytestmark = pytest.mark.django_db(transaction=True)

SIGNALS = 4000
WORKER = ("--beat", "--queues=imports")


def look(org, pk):
    with org_scope(org):
        return RescoreRun.objects.for_org(org).get(pk=pk)


def scores(org, version):
    with org_scope(org):
        return SpotlightScore.objects.for_org(org).filter(spotlight_version=version).count()


def test_nothing_is_doubled_or_left_out(fleet, ledger):
    org = ledger.org
    spotlight = profile(org)
    with org_scope(org):
        made = [Signal(org=org, source_type="api", ts=AT, attributes=BANK) for _ in range(SIGNALS)]
        Signal.objects.for_org(org).bulk_create(made)
    first = start_rescore(org=org, spotlight=spotlight, cause="manual", actor=CLERK, at=AT)
    assert work(org, first).done_count == SIGNALS
    ask_for(org, spotlight, 1_000_000, at=timezone.now())
    run = start_rescore(org=org, spotlight=spotlight, cause="profile", actor=CLERK, at=timezone.now())

    for reached in (1000, 2000):
        workers = [fleet.worker(*WORKER), fleet.worker("--queues=imports")]
        for worker in workers:
            worker.wait_until_up()
        broker.ask_again()
        nudge(RESCORE_TASK)
        wait_for("some batches", lambda least=reached: look(org, run.pk).done_count >= least)
        for worker in workers:
            worker.kill()
        halfway = look(org, run.pk)
        assert halfway.status == "running"
        # What was committed is whole: the cursor, the count and the scores agree.
        assert scores(org, 2) == halfway.done_count == halfway.changed_count

    fleet.worker(*WORKER).wait_until_up()
    nudge(RESCORE_TASK)
    wait_for("the end of the re-score", lambda: look(org, run.pk).status == "done")
    done = look(org, run.pk)
    assert (done.done_count, done.changed_count, done.items_total) == (SIGNALS, SIGNALS, SIGNALS)
    assert (scores(org, 1), scores(org, 2)) == (0, SIGNALS)
    with org_scope(org):
        moved = Counter(SpotlightScoreChange.objects.for_org(org).values_list("signal_id", flat=True))
    assert (len(moved), set(moved.values())) == (SIGNALS, {1})
