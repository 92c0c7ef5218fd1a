"""No beat: the nudge of each commit alone keeps events flowing."""

from collections.abc import Iterator
from typing import Any

import pytest

from flowledger.outbox import broker
from flowledger.outbox.wake import DRAIN_TASK, heed
from tests.faults.conftest import all_processed, wait_for
from tests.faults.parcels import FIRST, SECOND

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def awake(settings: Any) -> Iterator[None]:
    settings.OUTBOX_WAKE = True
    broker.ask_again()
    heed(DRAIN_TASK)
    yield
    broker.ask_again()


def test_a_commit_wakes_the_worker(start_worker, weigh, effects, awake):
    start_worker("--pool=prefork")
    ids = weigh(1)
    wait_for("the first event", all_processed)
    for _ in range(5):
        ids += weigh(1)
        wait_for("an event of the idle system", all_processed)
    assert effects() == {(event_id, handler): 1 for event_id in ids for handler in (FIRST, SECOND)}
