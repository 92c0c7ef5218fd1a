"""Events of many organisations in one batch: a handler that forgets to filter sees its own one's rows only."""

import pytest

from tests.faults.processes import wait_for
from tests.faults.servers.conftest import WITH_THIRD, as_owner

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seen(ledger):
    as_owner(ledger, "CREATE TABLE fault_seen (org_id bigint, seen bigint[])", "GRANT ALL ON fault_seen TO PUBLIC")
    yield lambda: ledger.execute("SELECT org_id, seen FROM fault_seen")
    as_owner(ledger, "DROP TABLE fault_seen")


@pytest.mark.parametrize(
    "orgs", [pytest.param(6, id="short"), pytest.param(60, id="long", marks=pytest.mark.long_fault)]
)
def test_a_handler_without_a_filter_sees_its_own_organisation(start_worker, ledger, seen, orgs):
    """Even after others failed in the same batch, whose transactions were rolled back."""
    movers = [ledger.new_org(f"Movers {number}") for number in range(orgs)]
    for turn in range(6):
        for org in movers:
            ledger.ship(1, org=org, orders="raise:1" if turn == 3 else "look")
    ledger.inject("failure", orgs, batches=0)
    start_worker(*WITH_THIRD)
    wait_for("the end of all", lambda: ledger.hurry() >= 0 and ledger.all_ended())
    found = seen()
    assert len(found) == 5 * orgs
    assert {org_id for org_id, _ in found} == {org.pk for org in movers}
    assert [row for row in found if row[1] != [row[0]]] == []
    ledger.audit()
