"""The limit: psycopg in a loop, one UPDATE that claims 100, one that completes them; no handler, no receipts.

python -m tests.bench.outbox.peers.raw ADDRESS
"""

from __future__ import annotations

import sys

import psycopg

from tests.bench.outbox.peers.signs import wait_for_the_word

BATCH = 100
TABLE = """
CREATE TABLE raw_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org_id bigint NOT NULL, kind text NOT NULL,
    aggregate_key text NOT NULL, payload jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    available_at timestamptz NOT NULL DEFAULT now(), claimed_at timestamptz, processed_at timestamptz,
    dead_at timestamptz);
CREATE INDEX raw_event_ready ON raw_event (available_at, id)
    WHERE processed_at IS NULL AND dead_at IS NULL AND claimed_at IS NULL;
CREATE INDEX raw_event_inflight ON raw_event (claimed_at)
    WHERE claimed_at IS NOT NULL AND processed_at IS NULL AND dead_at IS NULL;
"""
CLAIM = f"""
UPDATE raw_event SET claimed_at = now() WHERE id IN (
    SELECT id FROM raw_event
     WHERE processed_at IS NULL AND dead_at IS NULL AND claimed_at IS NULL AND available_at <= now()
     ORDER BY available_at, id LIMIT {BATCH} FOR UPDATE SKIP LOCKED)
RETURNING id, org_id, kind, aggregate_key, payload
"""
COMPLETE = "UPDATE raw_event SET processed_at = now() WHERE id = ANY(%s)"


def main(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        wait_for_the_word()
        while rows := connection.execute(CLAIM).fetchall():
            connection.execute(COMPLETE, [[row[0] for row in rows]])


if __name__ == "__main__":
    main(sys.argv[1])
