"""A third handler of the fault tests, for what only some of them order: for `worker --include`.

lock:1,2    take two rows one after the other, slowly
unmended:n  fail until the test has mended n
look        write down whose rows it sees
"""

import os
import time

from django.db import OperationalError, connection

from flowledger.outbox.models import WorkEvent
from flowledger.outbox.registry import Delivery, handler
from tests.faults.parcels import MOVED, directory
from tests.faults.servers.conftest import THIRD


@handler([MOVED], name=THIRD)
def obey_too(delivery: Delivery) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fault_effect (event_id, handler, move_id, parcel_id, pid) VALUES (%s, %s, %s, %s, %s)",
            [delivery.event_id, THIRD, delivery.event.move_id, delivery.item_id, os.getpid()],
        )
    order, _, argument = delivery.event.orders.partition(":")
    if order == "lock":
        _lock(delivery, argument)
    elif order == "unmended" and not (directory() / f"mended-{argument}").exists():
        raise RuntimeError("Nobody has mended it yet.")
    elif order == "look":
        _look(delivery)


def _lock(delivery: Delivery, places: str) -> None:
    with connection.cursor() as cursor:
        try:
            for place in places.split(","):
                cursor.execute("UPDATE fault_lock SET taken = taken + 1 WHERE id = %s", [place])
                time.sleep(1.5)
        except OperationalError:
            (directory() / f"deadlock-{delivery.event_id}-{time.monotonic_ns()}").touch()
            raise


def _look(delivery: Delivery) -> None:
    """By the ORM's manager that names no organisation, and by SQL that forgets it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT org_id FROM outbox_workevent")
        seen = {org_id for (org_id,) in cursor.fetchall()}
        seen |= set(WorkEvent.all_orgs.values_list("org_id", flat=True).distinct())
        cursor.execute("INSERT INTO fault_seen (org_id, seen) VALUES (%s, %s)", [delivery.org.pk, sorted(seen)])
