"""The frame of a service: its scope, its transaction, and refusals that leave nothing but their evidence."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from flowledger.clients.models import Client
from flowledger.errors import Conflict
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import current_org_id, current_scope, org_scope, system_scope
from flowledger.tenancy.usecases import use_case

pytestmark = pytest.mark.django_db


class Refused(Conflict):
    """Keeps a client named "evidence", as a gate keeps its ledger row."""

    def __init__(self, org: Organization) -> None:
        super().__init__("No.")
        self.org = org

    def keep(self) -> None:
        Client(org=self.org, name="evidence").save()


@use_case
def write(*, org: Organization, name: str, then: Any = None) -> Client:
    """Store a client, then do what the test wants."""
    client = Client(org=org, name=name)
    client.save()
    if then is not None:
        then()
    return client


def raising(error: BaseException) -> Any:
    def fail() -> None:
        raise error

    return fail


def stored() -> list[str]:
    with system_scope("tests"):
        return list(Client.all_orgs.order_by("name").values_list("name", flat=True))


def test_runs_in_its_organisations_scope(org: Organization):
    seen: list[int | None] = []
    write(org=org, name="Acme", then=lambda: seen.append(current_org_id()))

    assert seen == [org.pk]
    assert current_scope() is None
    assert stored() == ["Acme"]


def test_a_refusal_leaves_its_evidence_and_nothing_else(org: Organization):
    with pytest.raises(Refused):
        write(org=org, name="Acme", then=raising(Refused(org)))

    assert stored() == ["evidence"]


def test_a_refusal_without_evidence_leaves_nothing(org: Organization):
    with pytest.raises(Conflict):
        write(org=org, name="Acme", then=raising(Conflict("No.")))

    assert stored() == []


def test_a_failure_keeps_nothing(org: Organization):
    with pytest.raises(LookupError):
        write(org=org, name="Acme", then=raising(LookupError()))

    assert stored() == []


def test_a_door_may_commit_after_a_refusal(org: Organization):
    with org_scope(org):
        Client(org=org, name="before").save()
        with pytest.raises(Refused):
            write(org=org, name="Acme", then=raising(Refused(org)))
        Client(org=org, name="later").save()

    assert stored() == ["before", "evidence", "later"]


def test_a_door_that_rolls_back_takes_the_evidence_with_it(org: Organization):
    with pytest.raises(Refused), transaction.atomic():
        write(org=org, name="Acme", then=raising(Refused(org)))

    assert stored() == []


def test_an_inner_refusal_that_is_answered_leaves_its_evidence(org: Organization):
    """One use case calls another, takes no for an answer and goes on."""

    def ask_another() -> None:
        with pytest.raises(Refused):
            write(org=org, name="inner", then=raising(Refused(org)))

    write(org=org, name="Acme", then=ask_another)

    assert stored() == ["Acme", "evidence"]


def test_a_refused_statement_can_be_followed_by_evidence(org: Organization):
    """The savepoint heals the transaction, so that `keep()` can write."""

    def break_a_rule() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        finally:
            raise Refused(org)

    with pytest.raises(Refused):
        write(org=org, name="Acme", then=break_a_rule)

    assert stored() == ["evidence"]


@pytest.mark.django_db(transaction=True)
def test_by_itself_it_commits(db: None):
    with system_scope("tests"):
        org = Organization.objects.create(name="Harbour")

    with pytest.raises(Refused):
        write(org=org, name="Acme", then=raising(Refused(org)))
    write(org=org, name="Globex")
    connection.close()

    assert stored() == ["Globex", "evidence"]


def test_keeps_name_and_signature():
    assert write.__name__ == "write"
    assert write.__doc__.startswith("Store a client")
