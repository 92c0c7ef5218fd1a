"""Dead letters: a manager retries them or discards them with a reason, one or many."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.letters import MOST_LETTERS, Choice
from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.outbox.recording import record_event
from flowledger.outbox.registry import Delivery, handler
from flowledger.outbox.services import (
    discard_dead_letter,
    discard_dead_letters,
    retry_dead_letter,
    retry_dead_letters,
)
from flowledger.tenancy.scope import org_scope, system_scope
from tests.outbox.parcels import AT, MANAGER, REP, ParcelLost, again, change_delivery, receipts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_handlers")]


@pytest.fixture
def dead(send, settings) -> WorkEvent:
    """An event that one handler could not take and another could."""
    settings.OUTBOX_MAX_ATTEMPTS = 1

    @handler("parcel.sent", name="bad")
    def bad(delivery: Delivery) -> None:
        if delivery.event_id not in CURED:
            raise ValueError("broken")

    handler("parcel.sent", name="good")(lambda delivery: None)
    CURED.clear()
    event = send()
    drain_all()
    return again(event)


CURED: set[int] = set()


class TestDeadLetters:
    def test_are_listed_with_error_handler_and_traceback(self, dead, org):
        with org_scope(org):
            rows = WorkEvent.objects.for_org(org)
            assert [event.pk for event in rows.dead()] == [dead.pk]
            assert (rows.pending().count(), rows.ready().count()) == (0, 0)
            (failure,) = HandlerFailure.objects.for_org(org).filter(event_id=dead.pk).unresolved()
        assert (failure.handler, failure.error) == ("bad", "ValueError: broken")
        assert "Traceback" in failure.traceback

    def test_the_list_never_looks_into_the_months_of_history(self, dead, org):
        with org_scope(org):
            rows = WorkEvent.objects.for_org(org)
            plans = [found.order_by("-dead_letter_at", "-pk").explain() for found in (rows.dead(), rows.discarded())]
        assert all("outbox_workevent_open" in plan for plan in plans)
        assert not any("outbox_workevent_y" in plan for plan in plans)


class TestRetryDeadLetter:
    def test_runs_what_has_not_succeeded_with_new_attempts(self, dead, org):
        event = retry_dead_letter(org=org, event_id=dead.pk, actor=MANAGER, at=AT)
        assert (event.dead_letter_at, event.attempts, event.retried_by, event.retried_at) == (None, 0, "Maria", AT)
        CURED.add(dead.pk)
        assert drain_all().handled == 1
        assert again(dead).processed_at is not None
        assert receipts() == {(dead.pk, "bad"), (dead.pk, "good")}

    def test_keeps_what_killed_workers_in_its_own_lane(self, dead, org):
        change_delivery(dead, crashes=5)
        retry_dead_letter(org=org, event_id=dead.pk, actor=MANAGER, at=AT)
        assert again(dead).crashes == 1

    def test_twice_is_refused(self, dead, org):
        retry_dead_letter(org=org, event_id=dead.pk, actor=MANAGER, at=AT)
        with pytest.raises(Conflict, match="not on the dead-letter list"):
            retry_dead_letter(org=org, event_id=dead.pk, actor=MANAGER, at=AT)


class TestDiscardDeadLetter:
    def test_takes_it_off_the_list_and_keeps_who_when_and_why(self, dead, org):
        discard_dead_letter(org=org, event_id=dead.pk, reason=" sent by hand ", actor=MANAGER, at=AT)
        stored = again(dead)
        assert (stored.discarded_by, stored.discarded_at, stored.discard_reason) == ("Maria", AT, "sent by hand")
        with org_scope(org):
            assert not WorkEvent.objects.for_org(org).dead().exists()
            assert WorkEvent.objects.for_org(org).discarded().exists()
        assert drain_all().claimed == 0

    def test_without_a_reason_is_refused(self, dead, org):
        with pytest.raises(InvalidInput):
            discard_dead_letter(org=org, event_id=dead.pk, reason=" ", actor=MANAGER, at=AT)
        assert again(dead).discarded_at is None

    def test_a_discarded_one_cannot_be_retried(self, dead, org):
        discard_dead_letter(org=org, event_id=dead.pk, reason="x", actor=MANAGER, at=AT)
        with pytest.raises(Conflict, match="discarded by Maria"):
            retry_dead_letter(org=org, event_id=dead.pk, actor=MANAGER, at=AT)
        assert again(dead).dead_letter_at is not None


class TestRefusals:
    @pytest.fixture(params=["retry", "discard"])
    def operate(self, request):
        def run(**arguments):
            if request.param == "retry":
                return retry_dead_letter(**arguments)
            return discard_dead_letter(reason="x", **arguments)

        return run

    def test_a_representative_may_not(self, dead, org, operate):
        with pytest.raises(PermissionRefused):
            operate(org=org, event_id=dead.pk, actor=REP, at=AT)
        assert again(dead).__dict__ | {"_state": 0} == dead.__dict__ | {"_state": 0}

    def test_a_strangers_event_does_not_exist(self, dead, other_org, operate):
        with pytest.raises(NotFound):
            operate(org=other_org, event_id=dead.pk, actor=MANAGER, at=AT)
        assert again(dead).__dict__ | {"_state": 0} == dead.__dict__ | {"_state": 0}

    def test_a_live_event_is_none(self, send, org, operate):
        event = send()
        with pytest.raises(Conflict):
            operate(org=org, event_id=event.pk, actor=MANAGER, at=AT)


def kill(*events: WorkEvent, handler_name: str = "bad") -> None:
    """Put events on the dead-letter list, as eight attempts would."""
    change_delivery(*events, dead_letter_at=AT, attempts=8, last_error=f"{handler_name}: ValueError: broken")
    with system_scope("tests"):
        HandlerFailure.all_orgs.bulk_create(
            HandlerFailure(
                org_id=event.org_id,
                event_id=event.pk,
                handler=handler_name,
                attempt=8,
                error="ValueError",
                traceback="",
            )
            for event in events
        )


def states(*events: WorkEvent) -> list[str]:
    """`dead`, `pending` or `discarded` of each."""
    found = [again(event) for event in events]
    return ["discarded" if e.discarded_at else "dead" if e.dead_letter_at else "pending" for e in found]


class TestRetryMany:
    def test_is_one_transaction_of_a_few_statements_whatever_the_number(self, send, org):
        def asked(number: int) -> list[str]:
            letters = [send(n) for n in range(1, number + 1)]
            kill(*letters)
            choice = Choice(event_ids=[letter.pk for letter in letters])
            with CaptureQueriesContext(connection) as captured:
                result = retry_dead_letters(org=org, choice=choice, actor=MANAGER, at=AT)
            assert (result.done, result.refused, result.more) == ([letter.pk for letter in letters], [], False)
            assert states(*letters) == ["pending"] * number
            return [query["sql"] for query in captured.captured_queries if "outbox_" in query["sql"]]

        assert len(asked(2)) == len(asked(20)) == 2

    def test_answers_for_each_and_does_what_can_be_done(self, send, org, other_org):
        dead, alive, discarded, theirs = send(1), send(2), send(3), send(4, to=other_org)
        kill(dead, discarded, theirs)
        discard_dead_letter(org=org, event_id=discarded.pk, reason="twice", actor=MANAGER, at=AT)
        ids = [dead.pk, alive.pk, discarded.pk, theirs.pk, dead.pk]
        result = retry_dead_letters(org=org, choice=Choice(event_ids=ids), actor=MANAGER, at=AT)
        assert result.done == [dead.pk]
        assert [(each.event_id, type(each.refusal)) for each in result.refused] == [
            (alive.pk, Conflict),
            (discarded.pk, Conflict),
            (theirs.pk, NotFound),
        ]
        assert states(dead, alive, discarded, theirs) == ["pending", "pending", "discarded", "dead"]
        stored = again(dead)
        assert (stored.attempts, stored.retried_by, stored.retried_at) == (0, "Maria", AT)

    def test_by_handler_takes_those_in_which_it_has_not_succeeded(self, send, org):
        bad, worse, cured = send(1), send(2), send(3)
        kill(bad, cured)
        kill(worse, handler_name="worse")
        change_delivery(cured, handled_by=["bad"])
        result = retry_dead_letters(org=org, choice=Choice(handler="bad"), actor=MANAGER, at=AT)
        assert result.done == [bad.pk]
        assert states(bad, worse, cured) == ["pending", "dead", "dead"]

    def test_by_event_name(self, send, org):
        sent = send(1)
        with org_scope(org):
            record_event(org=org, event=ParcelLost(parcel_id=1), actor=MANAGER, at=AT)
            lost = WorkEvent.objects.for_org(org).named("parcel.lost").get()
        kill(sent, lost)
        choice = Choice(event_name="parcel.lost", handler="bad")
        assert retry_dead_letters(org=org, choice=choice, actor=MANAGER, at=AT).done == [lost.pk]
        assert states(sent, lost) == ["dead", "pending"]

    def test_takes_the_first_thousand_of_a_filter_and_says_that_there_are_more(self, org):
        with system_scope("tests"):
            WorkEvent.all_orgs.bulk_create(
                WorkEvent(
                    org=org,
                    event_name="parcel.sent",
                    item_type="parcel",
                    item_id=number,
                    payload={"parcel_id": number, "note": ""},
                    actor_kind="system",
                    actor_label="tests",
                    origin="system",
                    occurred_at=AT,
                    dead_letter_at=AT,
                )
                for number in range(1, MOST_LETTERS + 4)
            )
        choice = Choice(event_name="parcel.sent")
        first = retry_dead_letters(org=org, choice=choice, actor=MANAGER, at=AT)
        second = retry_dead_letters(org=org, choice=choice, actor=MANAGER, at=AT)
        assert [(len(result.done), result.more) for result in (first, second)] == [(MOST_LETTERS, True), (3, False)]

    @pytest.mark.parametrize(
        "choice",
        [Choice(), Choice(event_ids=[1], handler="bad"), Choice(event_ids=range(1, MOST_LETTERS + 2))],
        ids=["nothing", "both kinds", "too many"],
    )
    def test_an_unclear_choice_is_refused(self, send, org, choice):
        letter = send()
        kill(letter)
        for service, more in ((retry_dead_letters, {}), (discard_dead_letters, {"reason": "x"})):
            with pytest.raises(InvalidInput):
                service(org=org, choice=choice, actor=MANAGER, at=AT, **more)
        assert states(letter) == ["dead"]


class TestDiscardMany:
    def test_keeps_who_when_and_why_on_each(self, send, org):
        letters = [send(number) for number in range(1, 4)]
        kill(*letters)
        alive = send(9)
        choice = Choice(event_ids=[*(letter.pk for letter in letters), alive.pk])
        result = discard_dead_letters(org=org, choice=choice, reason=" sent by hand ", actor=MANAGER, at=AT)
        assert result.done == [letter.pk for letter in letters]
        assert [each.event_id for each in result.refused] == [alive.pk]
        stored = again(letters[1])
        assert (stored.discarded_by, stored.discarded_at, stored.discard_reason) == ("Maria", AT, "sent by hand")
        assert states(*letters, alive) == ["discarded"] * 3 + ["pending"]

    def test_without_a_reason_is_refused(self, send, org):
        letter = send()
        kill(letter)
        with pytest.raises(InvalidInput):
            discard_dead_letters(org=org, choice=Choice(handler="bad"), reason=" ", actor=MANAGER, at=AT)
        assert states(letter) == ["dead"]


class TestManyRefused:
    @pytest.fixture(params=[retry_dead_letters, discard_dead_letters])
    def operate(self, request) -> Any:
        more = {"reason": "x"} if request.param is discard_dead_letters else {}
        return lambda **arguments: request.param(at=AT, **more, **arguments)

    def test_a_representative_may_not(self, send, org, operate):
        letter = send()
        kill(letter)
        with pytest.raises(PermissionRefused):
            operate(org=org, choice=Choice(event_ids=[letter.pk]), actor=REP)
        assert states(letter) == ["dead"]

    def test_a_filter_stays_in_the_organisation(self, send, org, other_org, operate):
        theirs = send(1, to=other_org)
        kill(theirs)
        assert operate(org=org, choice=Choice(handler="bad"), actor=MANAGER).results == []
        assert states(theirs) == ["dead"]
