"""Term statistics: counted batch by batch, taken out with a redaction, made anew when due."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope, system_scope
from memory import tasks
from memory.models import Atom, MemoryLedger, TermStat
from memory.services import terms
from memory.services.ledger import ledger_of
from memory.services.search import search
from memory.sql import search_functions
from tests.factories import OrganizationFactory
from tests.memory.factories import AtomFactory
from tests.workstream.factories import AT

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("tests")


@pytest.fixture
def org() -> Any:
    org = OrganizationFactory()
    with org_scope(org):
        ledger_of(org)
    return org


def refresh(org: Any, *, at: Any = AT) -> int:
    """Batches until the pass is done."""
    batches = 1
    while terms.refresh_terms(org=org, actor=SYSTEM, at=at):
        batches += 1
        assert batches < 100
    return batches


def dfs(org: Any) -> dict[str, int]:
    with org_scope(org):
        return dict(TermStat.objects.for_org(org).values_list("lexeme", "df"))


def ledger(org: Any) -> MemoryLedger:
    with org_scope(org):
        found: MemoryLedger = MemoryLedger.objects.for_org(org).get()
    return found


def test_it_counts_the_active_atoms_with_each_word(org):
    AtomFactory(org=org, content="late machines, late machines")
    AtomFactory(org=org, content="a machine")
    AtomFactory(org=org, content="late", state="archived", archived_at=AT)
    AtomFactory(org=OrganizationFactory(), content="machines next door")

    refresh(org)

    assert dfs(org) == {"xlate": 1, "xmachin": 2}
    assert (ledger(org).atom_count, ledger(org).refreshed_at) == (2, AT)


def test_a_pass_goes_on_where_it_stopped_and_counts_nothing_twice(org, monkeypatch):
    monkeypatch.setattr(terms, "ATOMS_A_BATCH", 3)
    monkeypatch.setattr(terms, "LEXEMES_A_BATCH", 2)
    for number in range(10):
        AtomFactory(org=org, content=f"word{number} everywhere")

    refresh(org)
    first = dfs(org)
    refresh(org)

    assert first == dfs(org) == {"xeverywher": 10} | {f"{prefix}word{n}": 1 for n in range(10) for prefix in ("x", "w")}


def test_words_that_no_atom_has_any_more_go(org):
    atom = AtomFactory(org=org, content="palletising")
    refresh(org)
    with org_scope(org):
        Atom.objects.for_org(org).filter(pk=atom.pk).update(content="machines")

    refresh(org)

    assert dfs(org) == {"xmachin": 1}


def test_a_redacted_word_leaves_at_once(org):
    canary = AtomFactory(org=org, content="zebra1234 machines")
    for _ in range(40):
        AtomFactory(org=org, content="machines")
    refresh(org)
    assert {"xzebra1234", "wzebra1234"} <= dfs(org).keys()

    with org_scope(org):
        terms.forget_terms(org=org, atom_ids=[canary.pk])

    assert dfs(org) == {"xmachin": 40}


@pytest.mark.django_db(transaction=True)
def test_what_was_counted_before_a_redaction_is_not_written():
    org = OrganizationFactory()
    with org_scope(org):
        ledger_of(org)
    canary = AtomFactory(org=org, content="zebra1234")
    refresh(org)
    locked, may_commit = Event(), Event()

    def redact() -> None:
        try:
            with org_scope(org):
                held = MemoryLedger.objects.for_org(org).locked().get()
                locked.set()
                assert may_commit.wait(20)
                terms.forget_terms(org=org, atom_ids=[canary.pk])
                Atom.objects.for_org(org).filter(pk=canary.pk).update(content="gone")
                MemoryLedger.objects.for_org(org).filter(pk=held.pk).update(epoch=F("epoch") + 1)
        finally:
            connection.close()

    def count() -> bool:
        try:
            return terms.refresh_terms(org=org, actor=SYSTEM, at=AT)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        redaction = pool.submit(redact)
        assert locked.wait(20)
        counting = pool.submit(count)
        _wait_until_somebody_waits_for_a_lock()
        may_commit.set()
        redaction.result()
        # It had read the word, and says that there is more to do.
        assert counting.result() is True

    assert dfs(org) == {}
    refresh(org)
    assert dfs(org) == {"xgone": 1}


def _wait_until_somebody_waits_for_a_lock() -> None:
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database())"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError("Nobody waits for the ledger.")


def test_a_redaction_in_the_middle_begins_the_pass_anew(org, monkeypatch):
    monkeypatch.setattr(terms, "ATOMS_A_BATCH", 2)
    for _ in range(5):
        AtomFactory(org=org, content="machines")
    terms.refresh_terms(org=org, actor=SYSTEM, at=AT)
    with org_scope(org):
        MemoryLedger.objects.for_org(org).update(epoch=F("epoch") + 1)

    refresh(org)

    assert dfs(org) == {"xmachin": 5}


class TestDue:
    def due(self, org: Any, at: Any) -> bool:
        with system_scope("tests"):
            return org.pk in terms.due_organizations(at=at, most=100)

    def test_new_old_grown_and_redacted_memories_are_due(self, org, monkeypatch):
        monkeypatch.setattr(terms, "FEWEST_NEW", 3)
        assert self.due(org, AT)
        refresh(org)
        assert not self.due(org, AT)
        assert self.due(org, AT + timedelta(days=1))

        AtomFactory.create_batch(2, org=org)
        assert not self.due(org, AT)
        AtomFactory(org=org)
        assert self.due(org, AT)
        refresh(org)
        assert not self.due(org, AT)

        with org_scope(org):
            MemoryLedger.objects.for_org(org).update(epoch=F("epoch") + 1)
        assert self.due(org, AT)

    def test_the_task_counts_what_is_due(self, org):
        AtomFactory(org=org, content="palletising")

        tasks.refresh_memory_terms()

        assert dfs(org) == {"xpalletis": 1}


def test_large_scopes_are_searched_by_the_words_that_tell(org, monkeypatch):
    """The same question in a scope that is taken for a large one, where common words lead nowhere by themselves."""
    for number in range(30):
        AtomFactory(org=org, content=f"machine number {number} works")
    wanted = AtomFactory(org=org, content="one machine needs palletising")
    refresh(org)
    with org_scope(org):
        MemoryLedger.objects.for_org(org).update(atom_count=search_functions.SMALL_SCOPE + 1)

    rare = search(org=org, question="palletising machine", actor=SYSTEM, at=AT)
    common = search(org=org, question="works", actor=SYSTEM, at=AT, limit=50)

    assert rare.hits[0].atom.pk == wanted.pk
    assert len(common.hits) == 30
