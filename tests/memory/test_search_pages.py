"""Reading on: the order of the first page holds whatever is written, and ends with a redaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.scope import org_scope
from memory.models import Atom, MemoryLedger
from memory.search.types import MOST_RESULTS
from memory.services.ledger import ledger_of
from memory.services.search import Filters, Results, search
from tests.factories import OrganizationFactory
from tests.memory.factories import AtomFactory
from tests.workstream.factories import AT

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("tests")


@pytest.fixture
def org() -> Any:
    org = OrganizationFactory()
    for number in range(25):
        AtomFactory(org=org, content=f"Machine {number} is late.", occurred_at=AT - timedelta(days=number))
    return org


def ask(org: Any, **more: Any) -> Results:
    return search(org=org, **{"question": "late machines", "actor": SYSTEM, "at": AT, "limit": 10, **more})


def ids(results: Results) -> list[int]:
    return [hit.atom.pk for hit in results.hits]


def test_pages_follow_each_other_without_gap_or_double(org):
    whole = ask(org, limit=50)
    first = ask(org)
    second = ask(org, cursor=first.next_cursor)
    third = ask(org, cursor=second.next_cursor)

    assert ids(first) + ids(second) + ids(third) == ids(whole)
    assert [(page.page, page.total, len(page.hits)) for page in (first, second, third)] == [
        (1, 25, 10),
        (2, 25, 10),
        (3, 25, 5),
    ]
    assert third.next_cursor is None
    for hit, again in zip(second.hits, whole.hits[10:20], strict=True):
        assert hit.score == pytest.approx(again.score, abs=0.005)


def test_what_is_written_meanwhile_moves_nothing(org):
    whole = ids(ask(org, limit=50))
    first = ask(org)
    for number in range(30):
        AtomFactory(org=org, content=f"Late machines, late machines {number}.")

    assert ids(ask(org, cursor=first.next_cursor, at=AT + timedelta(hours=1))) == whole[10:20]


def test_what_was_archived_or_hidden_meanwhile_is_left_out(org):
    whole = ids(ask(org, limit=50))
    first = ask(org)
    with org_scope(org):
        Atom.objects.for_org(org).filter(pk=whole[11]).update(audience="author")

    assert ids(ask(org, cursor=first.next_cursor)) == [whole[10], *whole[12:20]]


def test_after_a_redaction_a_cursor_is_refused(org):
    first = ask(org)
    with org_scope(org):
        ledger_of(org)
        MemoryLedger.objects.for_org(org).update(epoch=F("epoch") + 1)

    with pytest.raises(InvalidInput, match="redacted since"):
        ask(org, cursor=first.next_cursor)


@pytest.mark.parametrize(
    "other",
    [
        {"question": "late trucks"},
        {"filters": Filters(kinds=("note",))},
        {"sort": "recent"},
        {"actor": replace(SYSTEM, role=Role.VIEWER)},
    ],
)
def test_a_cursor_belongs_to_its_question(org, other):
    first = ask(org)

    with pytest.raises(InvalidInput, match="another search"):
        ask(org, cursor=first.next_cursor, **other)


@pytest.mark.parametrize("cursor", ["x", "eJw:abc", "a" * 5_000, "é", "AAAA:BBBB:CCCC"])
def test_a_text_that_is_no_cursor(org, cursor):
    with pytest.raises(InvalidInput, match="not one of ours"):
        ask(org, cursor=cursor)


def test_a_cursor_of_another_organisation_is_refused(org):
    first = ask(org)

    with pytest.raises(InvalidInput, match="another search"):
        ask(OrganizationFactory(), cursor=first.next_cursor)


def test_a_search_ranks_the_best_hundred(org):
    for number in range(100):
        AtomFactory(org=org, content=f"Machine {number + 30} is late.")

    results = ask(org)

    assert results.total == MOST_RESULTS
    assert len(results.next_cursor or "") < 2_500
