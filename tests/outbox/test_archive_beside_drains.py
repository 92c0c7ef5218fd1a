"""Months leave while workers deliver: nothing is lost, nothing is delivered twice, and nobody fails."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowledger.outbox.drain import DrainLimits, drain
from flowledger.outbox.partitions import keep_partitions, month_partitions
from flowledger.outbox.recording import record_events
from flowledger.outbox.registry import Delivery, handler
from flowledger.outbox.retention import archive_and_drop
from flowledger.tenancy.scope import org_scope, system_scope
from tests.outbox.months import in_threads, labels, processed, put_back, rows
from tests.outbox.parcels import CLERK, ParcelSent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_handlers")]

MONTHS = tuple(datetime(2021, month, 20, tzinfo=UTC) for month in (2, 3, 4, 5))
JULY = datetime(2021, 7, 15, tzinfo=UTC)
EVENTS, OF_A_MONTH = 600, 400


@pytest.fixture(autouse=True)
def months_as_before(transactional_db: None) -> Iterator[None]:
    before = month_partitions()
    for month in MONTHS:
        keep_partitions(at=month, ahead=0)
    yield
    put_back(before)


def test_months_leave_while_three_drains_work(org, settings, tmp_path):
    settings.STORAGES = {
        **settings.STORAGES,
        "archive": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}},
    }
    delivered: Counter[int] = Counter()

    @handler("parcel.sent", name="parcels.count")
    def count(delivery: Delivery) -> None:
        delivered[delivery.item_id or 0] += 1

    old = [key for month in MONTHS for key in processed(org, month, OF_A_MONTH)]
    with org_scope(org):
        facts = ((org.pk, ParcelSent(parcel_id=number, note="")) for number in range(EVENTS))
        record_events(facts=facts, actor=CLERK, at=MONTHS[-1])

    def work() -> int:
        return drain(DrainLimits(batch_size=10, seconds=30)).handled

    *handled, archived = in_threads(work, work, work, lambda: archive_and_drop(months=1, at=JULY))

    assert sum(handled) == EVENTS
    # A slice that had to be begun anew runs its handlers again; what counts is that each event was completed once.
    assert set(delivered) == set(range(EVENTS))
    assert [one.events for one in archived] == [OF_A_MONTH] * len(MONTHS)
    assert sorted(_archived_keys(tmp_path)) == sorted(old)
    assert not {f"y2021m{month.month:02}" for month in MONTHS} & set(labels())
    with system_scope("tests"):
        assert rows("SELECT count(*), count(processed_at), min(attempts), max(attempts) FROM outbox_workevent") == [
            (EVENTS, EVENTS, 1, 1)
        ]


def _archived_keys(directory: Path) -> Iterator[int]:
    for file in directory.rglob("*.jsonl.gz"):
        for line in gzip.decompress(file.read_bytes()).splitlines():
            event: dict[str, Any] = json.loads(line)
            yield event["id"]
