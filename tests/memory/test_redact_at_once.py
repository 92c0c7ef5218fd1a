"""Redaction beside writers: whoever read the text before writes nothing of it after; nobody waits in a circle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from flowledger.tenancy.scope import org_scope, system_scope
from memory import services
from memory.machines import AtomState
from memory.models import Atom
from memory.services.ledger import held_ledger
from memory.services.redaction import Target
from memory.services.writing import Draft, write_atoms
from tests.factories import ClientFactory
from tests.memory.canaries import rows_with
from tests.memory.capturing import captured
from tests.memory.factories import AtomFactory, AtomLinkFactory, AtomSourceFactory
from tests.queries import counted_queries
from tests.workstream.factories import AT, CLERK, ActivityFactory
from tests.workstream.trail import at_once
from workstream import services as pipeline

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]
LATER = AT + timedelta(days=2)
SECRET = "xylophant"


def note_on(org: Any, client: Any, text: str) -> Any:
    return pipeline.log_activity(
        org=org, item_type="client", item_id=client.pk, kind="note", summary="Visit", body=text, actor=CLERK, at=AT
    )


def redact_source(org: Any, note: Any) -> Any:
    return services.redact(
        org=org, target=Target(source=("activity", note.pk)), reason="Asked for", actor=CLERK, at=LATER
    )


class TestBesideWriters:
    def test_what_a_writer_under_way_stores_is_redacted_too(self, org):
        """It holds the ledger, has read the text, and commits while the redaction waits for it."""
        client = ClientFactory(org=org)
        note = note_on(org, client, f"They prefer the {SECRET}.")
        has_read, may_write = threading.Event(), threading.Event()

        def write() -> None:
            with org_scope(org), transaction.atomic():
                ledger = held_ledger(org)
                has_read.set()
                may_write.wait(30)
                draft = Draft(
                    kind="preference",
                    content=f"They prefer the {SECRET}.",
                    entity_type="client",
                    entity_id=client.pk,
                    occurred_at=AT,
                    source_type="activity",
                    source_id=note.pk,
                    source_field="body",
                    event_name="activity.logged",
                    slot="late",
                )
                write_atoms(org=org, drafts=[draft], actor=CLERK, at=AT, ledger=ledger)

        writer = run(write)
        assert has_read.wait(30)
        redactor = run(lambda: redact_source(org, note))
        time.sleep(0.5)
        assert redactor.is_alive(), "it has to wait for the writer"
        may_write.set()
        done(writer, redactor)

        assert rows_with(SECRET) == {}
        with system_scope("tests"):
            assert [atom.state for atom in Atom.all_orgs.all()] == [AtomState.REDACTED]

    def test_many_at_once_neither_deadlock_nor_leave_anything(self, org):
        client = ClientFactory(org=org)
        notes = [note_on(org, client, f"They prefer {SECRET} number {number}.") for number in range(4)]
        captured(org)
        calls: list[Callable[[], Any]] = [lambda note=note: redact_source(org, note) for note in notes]
        calls += [lambda: captured(org), lambda: captured(org)]

        results = at_once(*calls)

        failed = [each for each in results[:4] if isinstance(each, Exception)]
        assert failed == []
        captured(org)
        assert rows_with(SECRET) == {}


class TestManyAtoms:
    def test_a_hundred_take_as_many_statements_as_ten(self, org):
        counts = []
        for many in (10, 10, 100):  # the first one makes the ledger
            client = ClientFactory(org=org)
            with system_scope("tests"):
                note = ActivityFactory(org=org, candidate=None, client=client, body="They said a lot.")
                for number in range(many):
                    atom = AtomFactory(
                        org=org, client=client, content=f"They said sentence {number} of {many}.", bare=True
                    )
                    AtomLinkFactory(org=org, atom=atom, client=client)
                    AtomSourceFactory(org=org, atom=atom, source_type="activity", source_id=note.pk)
            target = Target(entity=("client", client.pk))
            with counted_queries() as statements:
                redacted = services.redact(org=org, target=target, reason="Why", actor=CLERK, at=LATER)
            assert redacted.atom_count == many
            counts.append(len(statements))
        assert counts[1] == counts[2]


def run(work: Callable[[], Any]) -> threading.Thread:
    """A thread with a connection of its own."""

    def within() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=within)
    thread.start()
    return thread


def done(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
