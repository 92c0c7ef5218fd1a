"""Dead letters: a manager retries them or discards them with a reason."""

import pytest

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.registry import Delivery, handler
from flowledger.outbox.services import discard_dead_letter, retry_dead_letter
from flowledger.tenancy.scope import org_scope
from tests.outbox.parcels import AT, MANAGER, REP, again, change_delivery, receipts

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
            from flowledger.outbox.models import HandlerFailure

            (failure,) = HandlerFailure.objects.for_org(org).of_events([dead.pk]).unresolved()
        assert (failure.handler, failure.error) == ("bad", "ValueError: broken")
        assert "Traceback" in failure.traceback


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
