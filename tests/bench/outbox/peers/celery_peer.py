"""Celery with Redis, one task per event: `celery -A tests.bench.outbox.peers.celery_peer worker …`.

    python -m tests.bench.outbox.peers.celery_peer fill KIND COUNT | produce COUNT RATE

The broker is BENCH_BROKER_URL, the database of the three writes BENCH_DATABASE_URL (see settings). Tasks are
acknowledged early, as Celery does by default, and keep no results.
"""

from __future__ import annotations

import os
import random
import sys
import time
from typing import Any

import django
from celery import Celery, signals

django.setup()

from django.db import transaction  # noqa: E402

from tests.bench.outbox.peers.load import payload  # noqa: E402
from tests.bench.outbox.peers.signs import Tally, say_ready, stamp  # noqa: E402
from tests.bench.outbox.peers.writes import three_writes  # noqa: E402

SEED = 11
QUEUE = "bench"

app = Celery("bench", broker=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    task_default_queue=QUEUE,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    # By default every task gets a new database connection.
    CELERY_DB_REUSE_MAX=1_000_000,
)
tally = Tally()


@signals.worker_ready.connect
def take_work(**kwargs: Any) -> None:
    say_ready()


@app.task(name="noop")
def noop(item_id: int, stage: str, value: str, title: str) -> None:
    """Nothing but being counted: there is no database to time it in."""
    tally.count(time.time())


@app.task(name="work")
def work(item_id: int, stage: str, value: str, title: str) -> None:
    started = time.time()
    with transaction.atomic():
        three_writes(item_id, title)
    tally.count(started)


@app.task(name="ping")
def ping(number: int) -> None:
    stamp(number)


def fill(kind: str, count: int) -> None:
    task = {"noop": noop, "work": work}[kind]
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for number in range(1, count + 1):
            task.apply_async(kwargs=payload(number), producer=producer)


def produce(count: int, rate: float) -> None:
    """Poisson arrivals; there is no commit, so the call and the return are those of sending the task."""
    chance = random.Random(SEED)
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for number in range(1, count + 1):
            time.sleep(chance.expovariate(rate))
            called = time.time()
            ping.apply_async(kwargs={"number": number}, producer=producer)
            print(number, called, time.time(), flush=True)


if __name__ == "__main__":
    # As __main__ the tasks have the names that the workers know them by.
    if sys.argv[1] == "fill":
        fill(sys.argv[2], int(sys.argv[3]))
    else:
        produce(int(sys.argv[2]), float(sys.argv[3]))
