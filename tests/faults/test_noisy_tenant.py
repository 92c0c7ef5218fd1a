"""One organisation writes very much: the others' single events do not wait behind it."""

import pytest

from tests.faults.processes import BATCH_SIZE, PATIENT, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long_fault]

NOISE, QUIET = 100_000, 50


def test_fifty_small_organisations_are_served_within_ten_claims_each(start_worker, ledger):
    ledger.ship_at_once(NOISE)
    quiet = [ledger.ship(org=ledger.new_org(f"Quiet {number}"))[0] for number in range(QUIET)]
    ledger.inject("flood of events", batches=0)
    start_worker(FAULT_EFFECT_SECONDS="0", **PATIENT)
    wait_for("the end of all", ledger.all_ended, seconds=300)
    before = ledger.execute(
        "SELECT count(*) FROM fault_effect WHERE handler = 'faults.first' AND NOT move_id = ANY(%s)"
        " AND place < (SELECT max(place) FROM fault_effect WHERE move_id = ANY(%s))",
        [quiet, quiet],
    )[0][0]
    # Two processes.
    assert before <= 10 * BATCH_SIZE * 2
    ledger.audit()
