"""`kill -9` of a worker in the middle of an import and of its undo: nothing is doubled, nothing is lost."""

import io
from collections import Counter

import pytest
from django.utils import timezone

from flowledger.clients.models import Client, Contact, IdentityKey
from flowledger.outbox import broker
from flowledger.outbox.wake import nudge
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope
from tests.faults.processes import wait_for
from workstream import services
from workstream.machines import ImportStatus
from workstream.models import ImportChange, ImportRow, ImportRun, Signal, SignalDelivery, SignalPayload
from workstream.services.imports import IMPORT_TASK

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 2500
WORKER = ("--beat", "--queues=imports")
CLERK = Actor.system("clerk of the fault tests")


def look(org, pk):
    with org_scope(org):
        return ImportRun.objects.for_org(org).get(pk=pk)


def count(org, model):
    with org_scope(org):
        return model.objects.for_org(org).count()


def test_nothing_is_doubled_or_lost(fleet, ledger):
    org = ledger.org
    text = "Email,Message\n" + "".join(f"p{n}@c{n % 40}.example,Sign {n}\n" for n in range(ROWS))
    run = services.create_import(
        org=org,
        kind="signals",
        file_name="leads.csv",
        file=io.BytesIO(text.encode()),
        actor=CLERK,
        at=timezone.now(),
    )
    services.start_import(org=org, import_id=run.pk, actor=CLERK, at=timezone.now())

    def kill_when(condition):
        worker = fleet.worker(*WORKER)
        worker.wait_until_up()
        broker.ask_again()
        nudge(IMPORT_TASK)
        wait_for("some chunks", condition)
        worker.kill()

    kill_when(lambda: look(org, run.pk).rows_done >= 1000)
    halfway = look(org, run.pk)
    assert halfway.status == ImportStatus.RUNNING
    # What was committed is whole: row, signal, payload, delivery and journal agree.
    assert {count(org, model) for model in (Signal, SignalPayload, SignalDelivery)} == {halfway.created_count}
    with org_scope(org):
        assert ImportRow.objects.for_org(org).filter(run=run, outcome="created").count() == halfway.created_count

    last = fleet.worker(*WORKER)
    last.wait_until_up()
    nudge(IMPORT_TASK)
    wait_for("the end of the import", lambda: look(org, run.pk).status == ImportStatus.DONE)
    last.kill()
    assert look(org, run.pk).created_count == ROWS
    with org_scope(org):
        said = Counter(Signal.objects.for_org(org).values_list("snippet", flat=True))
        assert said == Counter(f"Sign {n}" for n in range(ROWS))
        assert not SignalDelivery.objects.for_org(org).filter(is_repeat=True).exists()
        journaled = ImportChange.objects.for_org(org).filter(run=run, model="workstream.signal")
        assert journaled.count() == ROWS
    assert (count(org, Contact), count(org, Client)) == (ROWS, 40)

    services.undo_import(org=org, import_id=run.pk, actor=CLERK, at=timezone.now())
    kill_when(lambda: look(org, run.pk).undone_count >= 1000)
    assert look(org, run.pk).status == ImportStatus.UNDOING
    fleet.worker(*WORKER).wait_until_up()
    nudge(IMPORT_TASK)
    wait_for("the end of the undo", lambda: look(org, run.pk).status == ImportStatus.UNDONE)
    undone = look(org, run.pk)
    assert (undone.undone_count, undone.kept_count) == (ROWS + ROWS + 40, 0)
    assert {count(org, model) for model in (Signal, SignalPayload, Contact, Client, IdentityKey)} == {0}
