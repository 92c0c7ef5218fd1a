"""Imports beside each other and beside people: chunks shared out, locks that nobody waits in for ever."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from flowledger.clients import services as clients
from flowledger.clients.models import Client, Contact, IdentityKey
from flowledger.errors import Unavailable
from flowledger.tenancy.scope import org_scope
from tests.workstream.csv_imports import AT, CLERK, counts, fresh, outcomes, start, text_of, upload, work
from tests.workstream.trail import at_once
from workstream import services
from workstream.machines import ImportStatus
from workstream.models import ImportChange, Signal
from workstream.services.import_rows import Progress, import_chunk
from workstream.services.import_undo import undo_chunk
from workstream.tasks import import_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    settings.OUTBOX_WAKE = False


def finish(org: Any, run: Any, step: Any) -> Any:
    def go() -> int:
        chunks = 0
        while (progress := step(org=org, run_id=run.pk, at=AT)) is not Progress.DONE:
            chunks += progress is Progress.MORE
            if progress is Progress.IDLE and fresh(org, run).status not in (ImportStatus.RUNNING, ImportStatus.UNDOING):
                break
        return chunks

    return go


class TestWorkers:
    def test_never_take_the_same_chunk(self, org):
        rows = [[f"p{n}@c{n % 50}.example", f"Sign {n}"] for n in range(2100)]
        run = upload(org, text_of(["Email", "Message"], rows))
        start(org, run)

        answers = at_once(*[finish(org, run, import_chunk)] * 3)

        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        assert (fresh(org, run).status, counts(fresh(org, run))) == (ImportStatus.DONE, (2100, 0, 0, 0))
        with org_scope(org):
            snippets = Counter(Signal.objects.for_org(org).values_list("snippet", flat=True))
            assert snippets == Counter(row[1] for row in rows)
            journaled = ImportChange.objects.for_org(org).filter(run=run, model="workstream.signal")
            assert Counter(journaled.values_list("item_id", flat=True)).most_common(1)[0][1] == 1

        services.undo_import(org=org, import_id=run.pk, actor=CLERK, at=AT)
        answers = at_once(*[finish(org, run, undo_chunk)] * 3)

        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        assert fresh(org, run).status == ImportStatus.UNDONE
        with org_scope(org):
            for model in (Signal, Contact, Client, IdentityKey):
                assert not model.objects.for_org(org).exists(), model

    def test_the_task_works_on_all_that_is_to_do(self, org, other_org):
        runs = []
        for house in (org, other_org):
            run = upload(house, text_of(["Email", "Message"], [[f"p{n}@c.example", "Hi"] for n in range(600)]))
            start(house, run)
            runs.append((house, run))
        import_rows()

        assert [counts(fresh(house, run)) for house, run in runs] == [(600, 0, 0, 0)] * 2
        for house, run in runs:
            services.undo_import(org=house, import_id=run.pk, actor=CLERK, at=AT)
        import_rows()
        assert [fresh(house, run).status for house, run in runs] == [ImportStatus.UNDONE] * 2

    def test_two_imports_of_the_same_people_make_each_once(self, org):
        body = text_of(
            ["Name", "Email", "Company"], [[f"P {n}", f"p{n}@c{n % 5}.example", f"Company {n % 5}"] for n in range(300)]
        )
        runs = [upload(org, body, kind="contacts"), upload(org, body, kind="contacts")]
        for run in runs:
            start(org, run, mode="upsert")

        def patiently(run: Any) -> Any:
            def go() -> None:
                for _ in range(200):
                    try:
                        work(org, run)
                    except Unavailable:
                        continue
                    return

            return go

        answers = at_once(*[patiently(run) for run in runs])

        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        with org_scope(org):
            assert Contact.objects.for_org(org).count() == 300
            assert Client.objects.for_org(org).count() == 5
        created, _, unchanged, rejected = (
            sum(each) for each in zip(*(counts(fresh(org, run)) for run in runs), strict=True)
        )
        assert (created, unchanged, rejected) == (300, 300, 0)


class TestBesidePeople:
    def test_who_edits_a_contact_is_not_waited_for(self, org):
        """Whoever holds the row may wait for its keys, which the import holds: it lets go and comes again."""
        ann = clients.create_contact(org=org, fields={"name": "Ann", "email": "ann@a.example"}, actor=CLERK, at=AT)
        run = upload(org, text_of(["Name", "Email"], [["Anna", "ann@a.example"]]), kind="contacts")
        start(org, run, mode="update")
        with org_scope(org):
            Contact.objects.for_org(org).locked().get(pk=ann.pk)
            answers = at_once(lambda: import_chunk(org=org, run_id=run.pk, at=AT))
            assert isinstance(answers[0], Unavailable)
            assert outcomes(org, run) == ["pending"]
        assert outcomes(org, work(org, run)) == ["updated"]

    def test_a_stall_is_shown_and_goes_by(self, org):
        ann = clients.create_contact(org=org, fields={"name": "Ann", "email": "ann@a.example"}, actor=CLERK, at=AT)
        run = upload(org, text_of(["Name", "Email"], [["Anna", "ann@a.example"]]), kind="contacts")
        start(org, run, mode="update")
        with org_scope(org):
            Contact.objects.for_org(org).locked().get(pk=ann.pk)
            at_once(import_rows)
        assert "Somebody is changing one of these records" in fresh(org, run).failure
        import_rows()
        assert (fresh(org, run).failure, fresh(org, run).updated_count) == ("", 1)

    def test_a_cancel_comes_between_two_chunks(self, org):
        run = upload(org, text_of(["Message"], [[f"Sign {n}"] for n in range(1500)]))
        start(org, run)

        def cancel() -> Any:
            return services.cancel_import(org=org, import_id=run.pk, actor=CLERK, at=AT)

        at_once(finish(org, run, import_chunk), cancel)

        stopped = fresh(org, run)
        if stopped.status == ImportStatus.CANCELLED:
            assert stopped.created_count % 500 == 0
        with org_scope(org):
            assert Signal.objects.for_org(org).count() == stopped.created_count
