"""Time limits: a handler that takes too long is interrupted, and its event is retried."""

import contextlib
import time
from typing import Any

import pytest
from django.db import connection

from flowledger.outbox.drain import drain_all
from flowledger.outbox.registry import Delivery, handler
from tests.outbox.parcels import again, failures, receipts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_handlers")]


def spin(delivery: Delivery) -> None:
    """Never ends, and catches whatever is thrown at it."""
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.001)


def ask(delivery: Delivery) -> None:
    """Waits inside the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")


class TestSoftLimit:
    @pytest.mark.parametrize("forever", [spin, ask])
    def test_interrupts_the_handler_and_costs_the_others_nothing(self, send, forever):
        @handler("parcel.sent", name="parcels.slow", soft_seconds=0.3)
        def slow(delivery: Delivery) -> None:
            if delivery.item_id == 2:
                forever(delivery)

        handler("parcel.sent", name="parcels.note")(lambda delivery: None)
        events = [send(n) for n in range(1, 4)]
        began = time.monotonic()
        result = drain_all()
        assert time.monotonic() - began < 15
        assert (result.handled, result.failed, result.dead) == (2, 1, 0)
        stuck = again(events[1])
        assert (stuck.attempts, stuck.claimed_at, stuck.processed_at) == (1, None, None)
        assert "took longer than its limit of 0.3 s" in stuck.last_error
        (failure,) = failures()
        assert (failure.event_id, failure.handler) == (events[1].pk, "parcels.slow")
        assert forever.__name__ in failure.traceback
        assert (events[1].pk, "parcels.note") in receipts()

    def test_counts_for_one_call_and_not_for_the_batch(self, send):
        @handler("parcel.sent", name="parcels.steady", soft_seconds=0.5)
        def steady(delivery: Delivery) -> None:
            time.sleep(0.1)

        for n in range(8):
            send(n)
        assert drain_all().handled == 8

    def test_the_default_is_a_setting(self, send, settings: Any):
        settings.OUTBOX_SOFT_SECONDS = 0.2
        handler("parcel.sent", name="parcels.slow")(spin)
        event = send()
        assert drain_all().failed == 1
        assert "limit of 0.2 s" in again(event).last_error


class TestDeclaration:
    def test_a_hard_limit_before_the_soft_one_is_refused(self):
        with pytest.raises(TypeError, match="must come after its soft limit"):
            handler("parcel.sent", name="parcels.odd", soft_seconds=5, hard_seconds=5)(lambda delivery: None)

    @pytest.mark.parametrize("name", ["", "a,b", 'a"b', "two words"])
    def test_a_name_that_cannot_be_a_receipt_is_refused(self, name):
        with pytest.raises(TypeError, match="no name for a handler"):
            handler("parcel.sent", name=name)(lambda delivery: None)
