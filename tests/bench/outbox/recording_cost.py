"""What recording an event adds to the service call that creates a row.

Figures record_ms (stat added: p50 with the event minus p50 without; wake=off, or sent: every commit nudges, as the
first of every burst does); create_ms (event=with|without, wake, stat p50, p95): the calls themselves, taken in turns,
each a transaction of its own; record_statements, record_transactions: what one call has more of; record_per_s (bulk):
events per second when 1,000 are recorded in one statement and transaction.
"""

from __future__ import annotations

import time
from statistics import median

from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flowledger.outbox import sql
from flowledger.outbox.broker import ask_redis
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope
from tests.bench.figures import Figures, quantile
from tests.bench.outbox import recorded
from tests.bench.outbox.flowledger_contender import Outbox
from tests.bench.outbox.peers import load
from tests.bench.outbox.producing import new_event
from tests.bench.outbox.recorded import Parcel
from tests.bench.outbox.subscriptions import Moved

BULK = 1_000


def measure(figures: Figures, outbox: Outbox, *, calls: int, bulks: int) -> None:
    outbox.empty()
    outbox.sql.execute(recorded.TABLE)
    outbox.sql.execute("GRANT ALL ON bench_parcel TO flowledger, flowledger_tenant")
    outbox.machine.settle(outbox.database_url)
    for wake in ("off", "sent"):
        with override_settings(OUTBOX_WAKE=wake == "sent"):
            _measure_calls(figures, outbox, calls, wake)
    _count_statements(figures, outbox)
    _measure_bulk(figures, outbox, bulks)
    outbox.empty()


def _measure_calls(figures: Figures, outbox: Outbox, calls: int, wake: str) -> None:
    times: dict[str, list[float]] = {"with": [], "without": []}
    for number in range(calls + 20):
        for event, seconds in times.items():
            # Without the debounce: this call is the one that nudges.
            ask_redis(
                "benchmark", lambda redis: redis.delete("flowledger:nudge:flowledger.outbox.tasks.drain"), otherwise=0
            )
            began = time.perf_counter()
            _create(outbox.org_ids[number % len(outbox.org_ids)], number, event=event == "with")
            seconds.append(time.perf_counter() - began)
    warm = {event: seconds[20:] for event, seconds in times.items()}
    for event, seconds in warm.items():
        for stat, share in (("p50", 0.5), ("p95", 0.95)):
            figures.add("create_ms", 1000 * quantile(seconds, share), "ms", event=event, wake=wake, stat=stat)
    added = median(warm["with"]) - median(warm["without"])
    figures.add("record_ms", 1000 * added, "ms", stat="added", wake=wake, calls=calls)


def _create(org_id: int, number: int, *, event: bool) -> None:
    with org_scope(org_id):
        parcel = Parcel(org_id=org_id, title=load.TITLE)
        if event:
            fact = load.payload(number)
            parcel.record(
                lambda row: Moved(**{**fact, "item_id": row.pk}), actor=Actor.system("bench"), at=timezone.now()
            )
        parcel.save()


def _count_statements(figures: Figures, outbox: Outbox) -> None:
    counts, commits = {}, {}
    for event in (True, False):
        with CaptureQueriesContext(connection) as captured:
            _create(outbox.org_ids[0], 1, event=event)
        counts[event] = len(captured)
        commits[event] = sum(query["sql"] == "COMMIT" for query in captured)
    figures.add("record_statements", counts[True] - counts[False], "statements")
    figures.add("record_transactions", commits[True] - commits[False], "transactions")


def _measure_bulk(figures: Figures, outbox: Outbox, bulks: int) -> None:
    rates = []
    for bulk in range(bulks):
        org_id = outbox.org_ids[bulk % len(outbox.org_ids)]
        facts = [Moved(**load.payload(1 + bulk * BULK + place)) for place in range(BULK)]
        began = time.perf_counter()
        with org_scope(org_id):
            sql.insert_events([new_event(org_id, fact) for fact in facts])
        rates.append(BULK / (time.perf_counter() - began))
    figures.add("record_per_s", median(rates), "events/s", bulk=BULK, min=round(min(rates)), max=round(max(rates)))
