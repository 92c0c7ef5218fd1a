"""What a use case left behind: events, stays, and proof that it left nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connection, connections

from flowledger.outbox.models import OutgoingEmail, WorkEvent
from workstream.models import Candidate, GateCheck, Pursuit, StageHistory

# Rows that whoever looks at a page leaves behind: the card that was built for it, and when it was seen.
LOOKED_AT = {"memory_memorycard", "memory_cardlook"}


def events_of(item: Any) -> list[str]:
    """Names of the item's events, oldest first."""
    rows = WorkEvent.all_orgs.filter(org_id=item.org_id, item_type=item._meta.model_name, item_id=item.pk)
    return list(rows.order_by("pk").values_list("event_name", flat=True))


def newest_event(org: Any, name: str) -> WorkEvent:
    """The last event of that name."""
    return WorkEvent.all_orgs.filter(org=org, event_name=name).order_by("-pk")[0]


def stays_of(item: Candidate | Pursuit) -> list[StageHistory]:
    """The item's stays in its states, in order."""
    rows = StageHistory.all_orgs.filter(org_id=item.org_id, **{str(item._meta.model_name): item})
    return list(rows.order_by("entered_at", "pk"))


def emails_to(org: Any) -> list[list[str]]:
    """Recipients of every queued message, in order."""
    return list(OutgoingEmail.all_orgs.filter(org=org).order_by("pk").values_list("to", flat=True))


@contextmanager
def nothing_changes(*, apart_from: tuple[type[Any], ...] = ()) -> Iterator[None]:
    """Every row of clients, pipeline, spotlight, memory and outbox is the same afterwards, with events and emails."""
    left_out = {model._meta.db_table for model in apart_from}
    before = _contents(left_out)
    yield
    after = _contents(left_out)
    assert {table for table in before if before[table] != after[table]} == set()


@contextmanager
def only_the_ledger_grows(pursuit: Pursuit) -> Iterator[None]:
    """A blocked gate: one more ledger row that did not pass, and nothing else."""
    rows = GateCheck.all_orgs.filter(pursuit=pursuit, passed=False)
    before = rows.count()
    with nothing_changes(apart_from=(GateCheck,)):
        yield
    assert rows.count() == before + 1


def _contents(left_out: set[str]) -> dict[str, str]:
    watched = {"workstream", "clients", "spotlight", "memory"}
    tables = [
        model._meta.db_table
        for model in apps.get_models()
        if model._meta.managed and (model._meta.app_label in watched or model in {WorkEvent, OutgoingEmail})
    ]
    looks = " UNION ALL ".join(
        f"SELECT '{table}', md5(coalesce(string_agg(t::text, '|' ORDER BY id), '')) FROM {table} t"
        for table in tables
        if table not in left_out | LOOKED_AT
    )
    with connection.cursor() as cursor:
        cursor.execute(looks)
        return dict(cursor.fetchall())


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads with connections of their own, started together; what each answered, in order."""
    barrier = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        try:
            barrier.wait(timeout=30)
            answers[number] = call()
        except Exception as error:
            answers[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers
