"""`kill -9` of the worker in the middle of a batch: every event is handled, every effect is there once."""

import pytest
from django.db.models import Sum

from flowledger.outbox.models import HandlerReceipt, WorkEvent
from flowledger.tenancy.scope import system_scope
from tests.faults.conftest import all_processed, wait_for
from tests.faults.parcels import FIRST, SECOND

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = 200
KILLS = 3


def test_every_event_is_handled_and_every_effect_is_there_once(start_worker, weigh, effects):
    ids = weigh(EVENTS)
    for kill in range(1, KILLS + 1):
        worker = start_worker()
        enough = EVENTS * 2 * kill // (KILLS + 2)
        wait_for("some effects", lambda least=enough: sum(effects().values()) >= least)
        worker.kill()
        assert not all_processed()
    start_worker()
    wait_for("the rest", all_processed)

    once = {(event_id, handler): 1 for event_id in ids for handler in (FIRST, SECOND)}
    assert effects() == once
    with system_scope("tests"):
        assert set(HandlerReceipt.all_orgs.values_list("event_id", "handler")) == set(once)
        assert WorkEvent.all_orgs.filter(processed_at__isnull=False).count() == EVENTS
        # The kills really hit batches in hand.
        assert WorkEvent.all_orgs.aggregate(crashes=Sum("crashes"))["crashes"] >= KILLS
