"""pgqueuer at its best: asyncpg, uvloop, an asynchronous handler.

python -m tests.bench.outbox.peers.pgqueuer_peer ADDRESS install | fill COUNT | drain BATCH | serve | produce COUNT RATE
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

import asyncpg
import uvloop
from pgqueuer import QueueManager
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

from tests.bench.outbox.peers.load import payload
from tests.bench.outbox.peers.signs import say_ready, stamp, wait_for_the_word

SEED = 11


async def main(address: str, command: str, *numbers: str) -> None:
    connection = await asyncpg.connect(address)
    driver = AsyncpgDriver(connection)
    queries = Queries(driver)
    if command == "install":
        await queries.install()
    elif command == "fill":
        await fill(queries, int(numbers[0]))
    elif command == "drain":
        manager = QueueManager(queries)

        @manager.entrypoint("noop")
        async def noop(job: Job) -> None:
            """Nothing; the payload stays bytes."""

        wait_for_the_word()
        await manager.run(batch_size=int(numbers[0]), mode=QueueExecutionMode.drain)
    elif command == "serve":
        manager = QueueManager(queries)

        @manager.entrypoint("ping")
        async def ping(job: Job) -> None:
            stamp(int(job.payload or b"0"))

        asyncio.get_running_loop().call_later(1, say_ready)
        await manager.run()
    elif command == "produce":
        await produce(connection, queries, int(numbers[0]), float(numbers[1]))


async def fill(queries: Queries, count: int) -> None:
    for first in range(1, count + 1, 1_000):
        bodies = [json.dumps(payload(number)).encode() for number in range(first, min(first + 1_000, count + 1))]
        await queries.enqueue(["noop"] * len(bodies), list(bodies), [0] * len(bodies))


async def produce(connection: asyncpg.Connection, queries: Queries, count: int, rate: float) -> None:
    """Poisson arrivals, one transaction each; prints when each commit was called and when it returned."""
    chance = random.Random(SEED)
    for number in range(1, count + 1):
        await asyncio.sleep(chance.expovariate(rate))
        transaction = connection.transaction()
        await transaction.start()
        await queries.enqueue("ping", str(number).encode())
        called = time.time()
        await transaction.commit()
        print(number, called, time.time(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
