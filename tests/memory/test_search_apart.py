"""Search stays in its organisation, whatever is asked; and it fails where there is no organisation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as some

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope, system_scope
from memory.models import Kind
from memory.search.questions import Word
from memory.search.types import Filters
from memory.services.search import search
from memory.sql import search as sql
from tests.factories import ClientFactory, ContactFactory, OrganizationFactory
from tests.memory.factories import AtomFactory
from tests.workstream.factories import AT

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("tests")
TEXTS = (
    "Palletising was left out of the tender RFP-2024/17.",
    "They prefer deliveries on Monday mornings, and Ann Lee signs.",
    "The price is too high for Hartmann Logistik.",
    "Budget frozen until May; a rival is in the house.",
)


def _filled() -> tuple[Any, set[int], int]:
    """An organisation with the same texts and names as every other."""
    org = OrganizationFactory()
    client = ClientFactory(org=org, name="Hartmann Logistik")
    contact = ContactFactory(org=org, name="Ann Lee", client=client)
    kinds = (Kind.DECISION, Kind.PREFERENCE, Kind.RISK, Kind.NOTE)
    made = {
        AtomFactory(org=org, content=text, kind=kind, contact=contact, through=[client], tags=["t"], thread_key="x").pk
        for text, kind in zip(TEXTS, kinds, strict=True)
    }
    return org, made, client.pk


@pytest.fixture
def two() -> Any:
    return _filled(), _filled()


WORDS = some.sampled_from(
    [word for text in TEXTS for word in text.split()] + ["'", ":*", "|", "&", "!", "<->", "x", "w", "Ann", "%", "\\"]
)


@limits(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    words=some.lists(WORDS | some.text(max_size=12), min_size=1, max_size=12),
    prefixed=some.booleans(),
    kinds=some.lists(some.sampled_from(Kind.values), max_size=2),
    about_other=some.booleans(),
    past=some.booleans(),
)
def test_nothing_of_the_neighbour_is_ever_found(two, words, prefixed, kinds, about_other, past):
    (org, mine, client), (other, _, others_client) = two
    salted = [f"{other.pk}x{word}" for word in words] if prefixed else words
    filters = Filters(
        entities=(("client", others_client if about_other else client),) if past else (),
        kinds=tuple(kinds),
        include_archived=past,
    )

    try:
        results = search(org=org, question=" ".join(salted)[:900], filters=filters, actor=SYSTEM, at=AT, limit=50)
    except InvalidInput:
        return

    assert {hit.atom.pk for hit in results.hits} <= mine
    assert {named.entity_id for named in results.named if named.entity_type == "client"} <= {client}
    if about_other and past:
        assert results.hits == []


def test_writing_next_door_moves_no_score(two):
    (org, _, _), (other, _, _) = two
    before = [(hit.atom.pk, hit.parts) for hit in search(org=org, question="palletising", actor=SYSTEM, at=AT).hits]
    for number in range(30):
        AtomFactory(org=other, content=f"Palletising {number}")

    after = [(hit.atom.pk, hit.parts) for hit in search(org=org, question="palletising", actor=SYSTEM, at=AT).hits]

    assert before == after


class TestTheFunction:
    def ask(self) -> list[Any]:
        return sql.candidates(
            words=[Word("palletising", 1)],
            languages=["en"],
            named=[],
            filters=Filters(),
            reader=sql.Reader(None, sees_managers=True),
        )

    def test_it_finds_inside_a_scope(self, two):
        (org, _, _), _ = two
        with org_scope(org):
            assert len(self.ask()) == 1

    def test_outside_of_a_scope_it_fails(self, two):
        with pytest.raises(DatabaseError), transaction.atomic():
            self.ask()

    def test_in_a_system_scope_it_fails(self, two):
        with pytest.raises(DatabaseError), system_scope("tests"):
            self.ask()

    def test_a_scope_that_failed_leaves_nothing_behind(self, two):
        (org, _, _), _ = two
        with pytest.raises(ZeroDivisionError), org_scope(org):
            raise ZeroDivisionError
        with pytest.raises(DatabaseError), transaction.atomic():
            self.ask()

    def test_the_functions_are_the_search_roles_and_for_the_tenant_role_only(self):
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT p.proname, pg_get_userbyid(p.proowner), p.prosecdef, p.proconfig,
                          has_function_privilege('public', p.oid, 'EXECUTE'),
                          has_function_privilege(%s, p.oid, 'EXECUTE')
                     FROM pg_proc p WHERE p.proname IN ('memory_search', 'memory_named') ORDER BY 1""",
                [settings.TENANT_DB_ROLE],
            )
            rows = cursor.fetchall()

        assert [row[0] for row in rows] == ["memory_named", "memory_search"]
        for _, owner, is_definer, config, for_all, for_tenant in rows:
            assert (owner, is_definer, for_all, for_tenant) == (settings.SEARCH_DB_ROLE, True, False, True)
            assert "search_path=pg_catalog, pg_temp" in config

    def test_the_search_role_may_not_read_the_secret_of_a_ledger(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT has_column_privilege(%s, 'memory_memoryledger', 'secret', 'SELECT')", [settings.SEARCH_DB_ROLE]
            )
            assert cursor.fetchone() == (False,)

    def test_the_words_have_no_statistics(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT attname, attstattarget FROM pg_attribute WHERE attname IN ('words', 'lexeme') "
                "AND attrelid IN ('memory_atom'::regclass, 'memory_termstat'::regclass) ORDER BY 1"
            )
            assert cursor.fetchall() == [("lexeme", 0), ("words", 0)]


@pytest.mark.django_db(transaction=True)
def test_searches_of_two_organisations_at_once_do_not_mix():
    filled = [_filled(), _filled()]

    def ask(place: int) -> bool:
        org, mine, _ = filled[place % 2]
        try:
            results = search(org=org, question="palletising price deliveries", actor=SYSTEM, at=AT)
            return bool(results.hits) and {hit.atom.pk for hit in results.hits} <= mine
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(40)))
