"""Redaction: the texts of a payload go for good, the event stays one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.events import event, event_type
from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.outbox.recording import record_event
from flowledger.outbox.redaction import MARKER, redacted
from flowledger.outbox.registry import Delivery, handler
from flowledger.outbox.services import redact_event, retry_dead_letter
from flowledger.tenancy.scope import org_scope, system_scope
from tests.outbox.parcels import AT, MANAGER, REP, again, change_delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_handlers")]

SECRET = "Ada Lovelace, 12 St James's Square"


@dataclass(frozen=True)
class Line:
    """One line of a slip."""

    text: str
    count: int


@dataclass(frozen=True)
class SlipWritten:
    """A slip with everything that a payload can hold."""

    slip_id: int
    note: str
    kind: Literal["letter", "box"]
    written_at: datetime
    weight: float | None
    fragile: bool
    lines: list[Line]
    changes: dict[str, str | int | None]
    tags: list[str]


SLIP = SlipWritten(
    slip_id=7,
    note=SECRET,
    kind="box",
    written_at=AT,
    weight=1.5,
    fragile=True,
    lines=[Line(SECRET, 3)],
    changes={"street": SECRET, "floor": 4, "door": None},
    tags=[SECRET],
)


@pytest.fixture
def slip(org) -> WorkEvent:
    """A handled event whose payload is full of texts."""
    event("slip.written", item="slip")(SlipWritten)
    with org_scope(org):
        record_event(org=org, event=SLIP, actor=MANAGER, at=AT)
        stored = WorkEvent.objects.for_org(org).get(event_name="slip.written")
    assert drain_all().handled == 1
    return stored


@pytest.fixture
def redact(org) -> Callable[..., WorkEvent]:
    def run(stored: WorkEvent, **more: Any) -> WorkEvent:
        arguments = {"org": org, "event_id": stored.pk, "reason": "asked for by the person", "actor": MANAGER}
        return redact_event(**{**arguments, "at": AT, **more})

    return run


class TestRedactEvent:
    def test_blanks_texts_and_keeps_the_rest(self, slip, redact):
        answered = redact(slip)
        assert answered.payload == {
            "slip_id": 7,
            "note": MARKER,
            "kind": "box",
            "written_at": "2025-03-04T05:06:07Z",
            "weight": 1.5,
            "fragile": True,
            "lines": [{"text": MARKER, "count": 3}],
            "changes": {"street": MARKER, "floor": 4, "door": None},
            "tags": [MARKER],
        }
        assert answered.redacted_at == AT
        assert again(slip).payload == answered.payload

    def test_the_rest_is_still_an_event_of_its_kind(self, slip, redact):
        redact(slip)
        decoded = event_type("slip.written").decode(json.dumps(again(slip).payload))
        assert (decoded.slip_id, decoded.note, decoded.lines) == (7, MARKER, [Line(MARKER, 3)])

    def test_leaves_an_event_that_says_who_and_why(self, slip, org, redact):
        redact(slip, reason=" asked for by the person ")
        with org_scope(org):
            told = WorkEvent.objects.for_org(org).get(event_name="event.redacted")
        assert (told.item_type, told.item_id, told.actor_label) == ("event", slip.pk, "Maria")
        assert told.payload == {
            "event_id": slip.pk,
            "event_name": "slip.written",
            "reason": "asked for by the person",
        }

    def test_leaves_every_other_column(self, slip, redact):
        before = again(slip).__dict__
        redact(slip)
        after = again(slip).__dict__
        changed = {name for name in before if before[name] != after[name]} - {"_state"}
        assert changed == {"payload", "redacted_at"}

    def test_closes_the_door_behind_itself(self, slip, org, redact):
        with org_scope(org):
            redact(slip)
            refused = pytest.raises(DatabaseError, match="never change")
            with refused, transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("UPDATE outbox_workevent SET payload = '{}' WHERE id = %s", [slip.pk])

    def test_twice_is_refused(self, slip, org, redact):
        redact(slip)
        with pytest.raises(Conflict, match="redacted already"):
            redact(slip)
        with org_scope(org):
            assert WorkEvent.objects.for_org(org).named("event.redacted").count() == 1


class TestRedactDeadLetter:
    @pytest.fixture
    def dead(self, send, settings) -> WorkEvent:
        settings.OUTBOX_MAX_ATTEMPTS = 1

        @handler("parcel.sent", name="bad")
        def bad(delivery: Delivery) -> None:
            raise ValueError(f"cannot read {delivery.payload['note']}")

        stored = send(note=SECRET)
        drain_all()
        return again(stored)

    def test_blanks_what_errors_and_tracebacks_quote(self, dead, org, redact):
        assert SECRET in dead.last_error
        redact(dead)
        with system_scope("tests"):
            failure = HandlerFailure.all_orgs.get(event_id=dead.pk)
        assert (failure.error, failure.traceback) == (f"ValueError: {MARKER}", MARKER)
        assert again(dead).last_error == MARKER
        assert _occurrences(SECRET) == 0

    def test_it_is_still_dead_and_can_be_retried(self, dead, org, redact):
        redact(dead)
        assert again(dead).dead_letter_at is not None
        retry_dead_letter(org=org, event_id=dead.pk, actor=MANAGER, at=AT)
        drain_all()
        assert MARKER in again(dead).last_error


class TestRefusals:
    def test_a_representative_may_not(self, slip, redact):
        with pytest.raises(PermissionRefused):
            redact(slip, actor=REP)
        self.nothing_happened(slip)

    def test_without_a_reason_it_is_refused(self, slip, redact):
        with pytest.raises(InvalidInput):
            redact(slip, reason="  ")
        self.nothing_happened(slip)

    def test_a_strangers_event_does_not_exist(self, slip, other_org, redact):
        with pytest.raises(NotFound):
            redact(slip, org=other_org)
        self.nothing_happened(slip)

    def test_what_is_being_delivered_must_be_seen_as_it_was_recorded(self, send, redact):
        pending = send(note=SECRET)
        with pytest.raises(Conflict, match="still being delivered"):
            redact(pending)
        change_delivery(pending, attempts=3)
        with pytest.raises(Conflict, match="still being delivered"):
            redact(pending)
        self.nothing_happened(pending)

    def test_a_month_that_is_being_archived_is_let_alone(self, slip, redact):
        """The archive would keep what is blanked here."""
        table = f"outbox_workevent_y{again(slip).processed_at:%Ym%m}"

        def archive() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_advisory_lock(hashtext('outbox_archive'), %s::regclass::oid::integer)", [table]
                )
            archiving.set()
            refused.wait(30)
            connection.close()

        archiving, refused = threading.Event(), threading.Event()
        archiver = threading.Thread(target=archive)
        archiver.start()
        assert archiving.wait(30)
        try:
            with pytest.raises(Conflict, match="being archived"):
                redact(slip)
        finally:
            refused.set()
            archiver.join()
        self.nothing_happened(slip)
        assert redact(slip).redacted_at is not None

    def nothing_happened(self, stored: WorkEvent) -> None:
        assert again(stored).payload == stored.payload
        assert again(stored).redacted_at is None
        with system_scope("tests"):
            assert not WorkEvent.all_orgs.filter(event_name="event.redacted").exists()


class TestPayloads:
    def test_of_an_unknown_event_lose_every_text(self):
        payload = {"a": "text", "b": [1, "text", {"c": "text", "d": None}], "e": True}
        assert json.loads(redacted("newer.event", payload)) == {
            "a": MARKER,
            "b": [1, MARKER, {"c": MARKER, "d": None}],
            "e": True,
        }

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        )
    )
    def test_keep_their_shape(self, payload):
        blanked = json.loads(redacted("newer.event", payload))
        assert _shape(blanked) == _shape(payload)
        assert _texts(blanked) <= {MARKER}


def _shape(value: Any) -> Any:
    if isinstance(value, list):
        return [_shape(item) for item in value]
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in value.items()}
    return "text" if isinstance(value, str) else value


def _texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {text for member in members for text in _texts(member)}


def _occurrences(text: str) -> int:
    """How many rows of the outbox hold the text anywhere."""
    with system_scope("tests"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM outbox_workevent e WHERE e::text LIKE %(like)s)"
            " + (SELECT count(*) FROM outbox_handlerfailure f WHERE f::text LIKE %(like)s)",
            {"like": f"%{text}%"},
        )
        return cursor.fetchone()[0]
