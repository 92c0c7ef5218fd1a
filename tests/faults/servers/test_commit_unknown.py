"""The answer to a COMMIT gets lost: nobody knows whether it happened, and nothing happens twice or never."""

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from flowledger.outbox.recording import record_event
from flowledger.tenancy.scope import org_scope
from tests.faults.ledger import PRODUCER, django_on
from tests.faults.parcels import ParcelMoved
from tests.faults.processes import wait_for
from tests.faults.servers.proxies import CommitProxy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def proxy(ledger) -> Iterator[CommitProxy]:
    with CommitProxy(ledger.place.database_url) as proxy:
        yield proxy


def move_once(org, move: int) -> None:
    """A request with a natural key, as an importer sends it: it may be sent again."""
    with org_scope(org):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO fault_move (move_id, org_id, parcel_id) SELECT %s, %s, 1"
                " WHERE NOT EXISTS (SELECT FROM fault_move WHERE move_id = %s)",
                [move, org.pk, move],
            )
        record_event(
            org=org,
            event=ParcelMoved(parcel_id=1, move_id=move),
            actor=PRODUCER,
            at=timezone.now(),
            dedupe_key=f"move-{move}",
        )


@pytest.mark.parametrize(
    "rounds", [pytest.param(1, id="short"), pytest.param(20, id="long", marks=pytest.mark.long_fault)]
)
def test_neither_requests_nor_workers_do_anything_twice(proxy, ledger, start_worker, rounds):
    """Of an insertion, which the client sends again; of a claim, which its lease gives back; of a completion."""
    worker = start_worker(DATABASE_URL=proxy.database_url, FAULT_EFFECT_SECONDS="0.001")
    ledger.ship()
    wait_for("the first event", ledger.all_ended)
    for turn in range(1, rounds + 1):
        move = 1_000_000 + turn
        with django_on(proxy.database_url):
            proxy.lose("INSERT INTO fault_move")
            with pytest.raises(DatabaseError):
                move_once(ledger.org, move)
            connection.close()
            assert move in ledger.rows(), "The lost answer was to have been a yes."
            move_once(ledger.org, move)
        ledger.committed.add(move)
        ledger.inject("commit of an insertion unknown", batches=0)
        for what in ("outbox_claim(", "outbox_finish("):
            before = proxy.lost
            proxy.lose(what)
            ledger.ship(10)
            wait_for("the answer to get lost", lambda least=before + 1: proxy.lost >= least)
            ledger.inject(f"commit of {what.strip('(')} unknown")
    wait_for("the rest", ledger.all_ended)
    assert proxy.lost == 3 * rounds
    assert worker.process.poll() is None
    ledger.audit()
