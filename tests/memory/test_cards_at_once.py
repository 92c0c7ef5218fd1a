"""Builders of cards beside each other, beside writers and redactions, and killed half-way."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from flowledger.embedded.processes import wait_until
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from memory import tasks
from memory.models import Atom, MemoryCard, MemoryLedger
from memory.services.card_building import build_marked
from memory.services.cards import drop_cards, mark_cards
from tests.factories import ClientFactory
from tests.memory.card_rows import build_due, card, marks_of, remember, stored_cards
from tests.memory.factories import CardMarkFactory, MemoryLedgerFactory
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT
from tests.workstream.trail import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]
SECRET = "The secret word is marzipan."
SECOND = timedelta(seconds=1)
SOON = AT + 15 * SECOND


@pytest.fixture
def client(org: Organization) -> Any:
    MemoryLedgerFactory(org=org)
    return ClientFactory(org=org)


@contextmanager
def interrupted(at_words: str, act: Callable[[], Any]) -> Iterator[list[str]]:
    """Do something once, just before the first statement of this connection that has these words."""
    seen: list[str] = []

    def watch(execute: Any, statement: Any, *rest: Any) -> Any:
        if at_words in str(statement) and not seen:
            seen.append(at_words)
            act()
        return execute(statement, *rest)

    with connection.execute_wrapper(watch):
        yield seen


def forget(atom: Atom) -> None:
    """What a redaction does about cards, in its order: ledger, text, cards."""
    with org_scope(atom.org), transaction.atomic():
        MemoryLedger.objects.for_org(atom.org).select_for_update().get()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE memory_atom SET state = 'redacted', content = '', redacted_at = %s WHERE id = %s",
                [AT, atom.pk],
            )
        drop_cards(atom.org, [atom.pk])
        ledger = MemoryLedger.objects.for_org(atom.org).get()
        ledger.epoch += 1
        ledger.save(update_fields=["epoch"])


def is_known_of(row: Any) -> bool:
    return any("marzipan" in f"{each.summary} {each.top_atoms}" for each in stored_cards(row))


class TestBuildersBesideEachOther:
    def test_eight_build_every_card_once(self, org, other_org):
        with system_scope("tests"):
            clients = [ClientFactory(org=each) for each in (org, other_org) for _ in range(30)]
        for each in clients:
            remember(each.org, "They prefer email.", client=each)

        built = at_once(*[lambda: build_due(at=SOON)] * 8)

        assert all(isinstance(number, int) for number in built), built
        assert sum(built) == 60
        with system_scope("tests"):
            rebuilt = WorkEvent.all_orgs.filter(event_name="memory.summary.rebuilt")
            assert Counter(rebuilt.values_list("item_id", flat=True)) == Counter(each.pk for each in clients)
            assert MemoryCard.all_orgs.count() == 120
        assert not any(marks_of(each) for each in clients)

    def test_many_who_ask_for_a_cold_card_all_get_it(self, client, rep):
        remember(client.org, "They prefer email.", client=client)
        reader = actor_of(rep)

        found = at_once(*[lambda: card(client, reader)] * 6)

        assert [each.atom_count for each in found] == [1] * 6
        assert len({each.etag for each in found}) == 1
        assert len(stored_cards(client)) == 2


class TestBesideWriters:
    def test_a_change_during_a_build_is_built_after_it_and_waits_for_nobody(self, client):
        remember(client.org, "They prefer email.", client=client)

        def write() -> None:
            [answer] = at_once(lambda: remember(client.org, "They prefer calls.", client=client, at=SOON))
            assert isinstance(answer, Atom), answer

        with interrupted("FOR SHARE SKIP LOCKED", write) as seen:
            assert build_due(at=SOON) == 1

        assert seen
        assert [each.atom_count for each in stored_cards(client)] == [1, 1]
        assert len(marks_of(client)) == 1
        assert build_due(at=AT + 60 * SECOND) == 1
        assert [each.atom_count for each in stored_cards(client)] == [2, 2]

    def test_a_mark_that_is_being_renewed_stays(self, client):
        """Its writer has not committed yet; the builder does not wait to hear about it."""
        remember(client.org, "They prefer email.", client=client)
        with org_scope(client.org):
            mark_cards(client.org, [("client", client.pk)], AT)
            assert at_once(lambda: build_due(at=SOON)) == [1]
        assert len(marks_of(client)) == 1
        assert build_due(at=SOON) == 1

    def test_those_who_mark_the_same_cards_in_any_order_never_block_each_other_for_good(self, org):
        with system_scope("tests"):
            pairs = [("client", ClientFactory(org=org).pk) for _ in range(40)]

        def mark(number: int) -> Callable[[], int]:
            mine = pairs[number:] + pairs[:number]
            return lambda: sum(mark_cards(org, mine[::step], AT) for step in (1, -1, 1) for _ in [0])

        answers = at_once(*(lambda number=number: scoped(org, mark(number)) for number in range(0, 40, 5)))

        assert answers == [120] * 8


def scoped(org: Organization, call: Callable[[], Any]) -> Any:
    with org_scope(org):
        return call()


class TestBesideRedactions:
    def test_what_was_read_before_one_is_not_stored_after_it(self, client):
        atom = remember(client.org, SECRET, client=client)

        with interrupted("FOR SHARE SKIP LOCKED", lambda: at_once(lambda: forget(atom))) as seen:
            assert build_due(at=SOON) == 0

        assert seen
        assert stored_cards(client) == []
        # The mark stays, and the next build knows of nothing.
        assert build_due(at=SOON) == 1
        assert not is_known_of(client)
        assert [each.source_epoch for each in stored_cards(client)] == [1, 1]

    def test_a_request_that_read_before_one_stores_nothing_either(self, client, rep):
        atom = remember(client.org, SECRET, client=client)

        with interrupted("FOR SHARE SKIP LOCKED", lambda: at_once(lambda: forget(atom))):
            card(client, actor_of(rep), at=SOON)

        assert stored_cards(client) == []
        assert "marzipan" not in str(card(client, actor_of(rep), at=SOON))

    def test_one_that_is_under_way_is_not_waited_for(self, client):
        atom = remember(client.org, SECRET, client=client)
        with org_scope(client.org):
            MemoryLedger.objects.for_org(client.org).select_for_update().get()
            assert at_once(lambda: build_due(at=SOON)) == [0]
        assert stored_cards(client) == []
        assert len(marks_of(client)) == 1
        forget(atom)
        assert build_due(at=SOON) == 1
        assert not is_known_of(client)

    def test_one_that_comes_while_a_card_is_stored_waits_and_takes_it_away(self, client):
        atom = remember(client.org, SECRET, client=client)
        answers: list[Any] = []

        [mark] = marks_of(client)
        with org_scope(client.org):
            assert build_marked(org=client.org, mark_id=mark.pk, at=SOON)
            # Stored and not committed: the redaction that starts now has to see it.
            started = at_once_without_waiting(lambda: forget(atom), answers)
            assert wait_until(lambda: at_once(is_waiting) == [True], seconds=20)
        started()

        assert answers == [None]
        assert stored_cards(client) == []


def at_once_without_waiting(call: Callable[[], Any], answers: list[Any]) -> Callable[[], None]:
    """Start a call in a thread; what is answered waits for its end."""
    thread = threading.Thread(target=lambda: answers.extend(at_once(call)))
    thread.start()
    return lambda: thread.join(timeout=60)


def is_waiting() -> bool:
    """Whether a session of the database waits for a lock of a row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def build_killed_after(statements: int) -> bool:
    """Build in a process that is killed once it has run that many statements; False when it came to its end."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        left = [statements]

        def count(execute: Any, *call: Any) -> Any:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return execute(*call)

        with connection.execute_wrapper(count):
            build_due(at=SOON)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


class TestKilled:
    def test_a_build_that_dies_is_done_by_the_next_whichever_statement_was_its_last(self, org):
        died = 0
        for statements in range(40):
            with system_scope("tests"):
                client = ClientFactory(org=org)
            remember(org, "They prefer email.", client=client)
            was_killed = build_killed_after(statements)
            died += was_killed
            # All or nothing, and once the server knows of the death nothing keeps the next from it.
            assert wait_until(lambda client=client: not marks_of(client) or build_due(at=SOON) >= 1, seconds=30)
            assert marks_of(client) == []
            assert [each.atom_count for each in stored_cards(client)] == [1, 1]
            if not was_killed:
                break
        # Finding what is due, and the statements of one card.
        assert 8 <= died < 40


class TestTask:
    def test_builds_what_is_due_of_everybody(self, org, other_org):
        clients = [ClientFactory(org=each) for each in (org, other_org, org)]
        for each in clients:
            remember(each.org, "They prefer email.", client=each)

        assert tasks.build_cards() == 3
        assert tasks.build_cards() == 0

        assert [len(stored_cards(each)) for each in clients] == [2, 2, 2]

    def test_a_card_that_cannot_be_built_holds_up_no_other_and_is_tried_again_later(self, org):
        broken, whole = ClientFactory(org=org), ClientFactory(org=org)
        with system_scope("tests"):
            bad = CardMarkFactory(org=org, client=broken, first_marked_at=AT - 60 * SECOND)
        remember(org, "They prefer email.", client=whole)

        def refuse(execute: Any, statement: Any, parameters: Any, *rest: Any) -> Any:
            if "wanted (kind)" in str(statement) and parameters["id"] == broken.pk:
                raise OperationalError("the disk is full")
            return execute(statement, parameters, *rest)

        with connection.execute_wrapper(refuse):
            assert tasks.build_cards() == 1

        assert (len(stored_cards(whole)), stored_cards(broken)) == (2, [])
        [mark] = marks_of(broken)
        assert mark.due_at > bad.due_at
        assert tasks.build_cards() == 0
        assert build_due(at=mark.due_at) == 1
