"""procrastinate with its own asynchronous worker; the no-op is a coroutine, the three writes run in its threads.

python -m tests.bench.outbox.peers.procrastinate_peer ADDRESS install | fill KIND COUNT | drain CONCURRENCY | serve
    | produce COUNT RATE
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time

import django
import procrastinate

from tests.bench.outbox.peers.load import payload
from tests.bench.outbox.peers.signs import say_ready, stamp, wait_for_the_word

SEED = 11

address, command, *arguments = sys.argv[1:]
os.environ["BENCH_DATABASE_URL"] = address
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.outbox.peers.settings"
django.setup()

from django.db import transaction  # noqa: E402

from tests.bench.outbox.peers.writes import three_writes  # noqa: E402

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=address))


@app.task(name="noop")
async def noop(item_id: int, stage: str, value: str, title: str) -> None:
    """Nothing."""


@app.task(name="work")
def work(item_id: int, stage: str, value: str, title: str) -> None:
    with transaction.atomic():
        three_writes(item_id, title)


@app.task(name="ping")
async def ping(number: int) -> None:
    stamp(number)


async def main() -> None:
    async with app.open_async():
        if command == "install":
            await app.schema_manager.apply_schema_async()
        elif command == "fill":
            await fill({"noop": noop, "work": work}[arguments[0]], int(arguments[1]))
        elif command == "drain":
            wait_for_the_word()
            await app.run_worker_async(concurrency=int(arguments[0]), wait=False)
        elif command == "serve":
            asyncio.get_running_loop().call_later(1, say_ready)
            await app.run_worker_async(concurrency=10)
        elif command == "produce":
            await produce(int(arguments[0]), float(arguments[1]))


async def fill(task: procrastinate.tasks.Task, count: int) -> None:
    for first in range(1, count + 1, 1_000):
        await task.batch_defer_async(*(payload(number) for number in range(first, min(first + 1_000, count + 1))))


async def produce(count: int, rate: float) -> None:
    """Poisson arrivals; deferring is one statement that commits by itself, so the call is that of the statement."""
    chance = random.Random(SEED)
    for number in range(1, count + 1):
        await asyncio.sleep(chance.expovariate(rate))
        called = time.time()
        await ping.defer_async(number=number)
        print(number, called, time.time(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
