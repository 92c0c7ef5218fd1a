"""SIGTERM: the worker finishes or gives back the event in hand, gives back the rest at once and charges nobody."""

import pytest

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from tests.faults.conftest import all_processed, wait_for
from tests.faults.parcels import FIRST, SECOND

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("whom", ["main process", "all processes"])
def test_a_stopped_worker_leaves_nothing_claimed(start_worker, weigh, effects, whom):
    ids = weigh(120)
    worker = start_worker(OUTBOX_BATCH_SIZE="100", OUTBOX_LEASE_SECONDS="300")
    wait_for("some effects", lambda: len(effects()) > 10)
    if whom == "main process":
        assert worker.terminate() == 0
    else:
        worker.terminate_all()
    with system_scope("tests"):
        rest = WorkEvent.all_orgs.filter(processed_at=None)
        assert rest.count() > 0
        assert rest.filter(claimed_at__isnull=False).count() == 0
        assert rest.exclude(attempts=0, crashes=0).count() == 0

    start_worker(OUTBOX_LEASE_SECONDS="300")
    wait_for("the rest", all_processed)
    assert effects() == {(event_id, handler): 1 for event_id in ids for handler in (FIRST, SECOND)}
