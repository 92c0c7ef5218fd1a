"""From what a person writes to an answer of the search, by real workers: within seconds, once, after a kill as well."""

import time
from statistics import quantiles

import pytest

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from memory.models import Atom, AtomLink, AtomSource
from tests.client import ApiClient, bearer
from tests.factories import ClientFactory, MembershipFactory
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SAID = 20
SECONDS = 5.0


@pytest.fixture
def customer(ledger):
    return ClientFactory(org=ledger.org, name="Baltic Freight")


@pytest.fixture
def client(ledger, settings):
    settings.API_THROTTLES = dict.fromkeys(settings.API_THROTTLES, 0)
    with system_scope("tests"):
        return ApiClient(bearer(MembershipFactory(org=ledger.org, role=Role.REP)))


def is_drained():
    with system_scope("tests"):
        return not WorkEvent.all_orgs.filter(processed_at__isnull=True).exists()


def say(client, customer, number):
    answer = client.post(
        f"/api/clients/{customer.pk}/notes",
        {
            "summary": f"They asked for crane number{number} in hall{number}",
        },
    )
    assert answer.status_code == 201, answer.content


def found(client, number):
    answer = client.get("/api/memory/search", {"q": f"who wants crane number{number}?"})
    assert answer.status_code == 200, answer.content
    return [hit for hit in answer.json()["data"] if f"number{number} " in hit["atom"]["content"]]


def test_it_is_searchable_within_seconds(fleet, client, customer):
    fleet.worker().wait_until_up()
    say(client, customer, 0)
    wait_for("the first one", lambda: found(client, 0))
    waits = []
    for number in range(1, SAID):
        started = time.monotonic()
        say(client, customer, number)
        wait_for(f"the atom {number}", lambda wanted=number: found(client, wanted), seconds=30)
        waits.append(time.monotonic() - started)
    assert quantiles(waits, n=20)[-1] < SECONDS, sorted(waits)


def test_once_when_a_worker_dies_over_it(fleet, client, customer):
    worker = fleet.worker()
    worker.wait_until_up()
    for number in range(SAID):
        say(client, customer, number)
    worker.kill()
    fleet.worker().wait_until_up()
    wait_for("the end", is_drained)
    with system_scope("tests"):
        atoms = Atom.all_orgs.filter(client=customer, kind="note")
        assert sorted(atoms.values_list("seen_count", flat=True)) == [1] * SAID
        assert AtomSource.all_orgs.filter(atom__in=atoms).count() == SAID
        assert AtomLink.all_orgs.filter(atom__in=atoms).count() == SAID
        assert not WorkEvent.all_orgs.filter(dead_letter_at__isnull=False).exists()
