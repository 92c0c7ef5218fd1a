"""FlowLedger through its own Celery workers, as `Procfile` starts them. Import it when Django is set up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flowledger.celery import app
from flowledger.outbox.wake import DRAIN_TASK
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from tests.bench.outbox import subscriptions
from tests.bench.outbox.contenders import Contender, Work
from tests.bench.outbox.machine import Machine, end, wait_for
from tests.bench.outbox.peers import load
from tests.bench.outbox.peers.signs import READY, STAMPS

QUIET = {"LOG_LEVEL": "WARNING", "OUTBOX_WAKE": "true"}


class Outbox:
    """The table, its organisations and its workers, as all the measurements of FlowLedger use them."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.database_url = machine.servers.database_url
        self.stamps = machine.directory / "stamps"
        with system_scope("benchmark"):
            self.org_ids = [
                Organization.objects.create(name=f"Bench {number}").pk for number in range(load.ORGANISATIONS)
            ]
        self.sql = machine.connect(self.database_url)
        self.sql.execute(load.TABLES)
        roles = "flowledger, flowledger_tenant, flowledger_system"
        self.sql.execute(f"GRANT ALL ON bench_account, bench_activity, bench_task TO {roles}")
        self.sql.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {roles}")

    def empty(self, *, only_open: bool = False) -> None:
        """Forget all events, or those that are not processed; the triggers that keep them do not fire for a replica."""
        tables = "outbox_workevent, outbox_handlerfailure, outbox_dedupekey"
        self.sql.execute("SET session_replication_role = replica")
        self.sql.execute(f"TRUNCATE {'outbox_workevent_open' if only_open else tables}")
        self.sql.execute("RESET session_replication_role")

    def fill(
        self,
        event_name: str,
        count: int,
        *,
        org_ids: Sequence[int] | None = None,
        processed: bool = False,
        first: int = 1,
    ) -> None:
        """Events of distinct items as the application writes them, over the organisations by turns."""
        orgs = list(org_ids or self.org_ids)
        done = ", claimed_at, claimed_by, attempts, processed_at, handled_by" if processed else ""
        values = ", now(), gen_random_uuid(), 1, now(), ARRAY['bench.noop']" if processed else ""
        self.sql.execute(
            f"""INSERT INTO outbox_workevent (org_id, event_name, item_type, item_id, payload, actor_kind, actor_label,
                    origin, occurred_at, correlation_id{done})
                SELECT (%(orgs)s::bigint[])[1 + n %% %(number)s::bigint], %(name)s, 'parcel', n, jsonb_build_object(
                        'item_id', n, 'stage', 'red', 'value', '125000.00', 'title', %(title)s::text),
                    'user', 'Anna Example', 'api', now(), 'b9c6ff2e-55e0-4d1c-9d5e-3a3a3a3a3a3a'{values}
                  FROM generate_series(%(first)s::bigint, %(last)s::bigint) n""",
            {
                "orgs": orgs,
                "number": len(orgs),
                "name": event_name,
                "title": load.TITLE,
                "first": first,
                "last": first + count - 1,
            },
        )

    def pending(self) -> bool:
        """Whether anything is left to do."""
        (left,) = self.sql.execute(
            """SELECT EXISTS (SELECT FROM outbox_workevent_open
                WHERE processed_at IS NULL AND dead_letter_at IS NULL)"""
        ).fetchone() or (True,)
        return bool(left)

    def done(self) -> tuple[int, float]:
        """How many events are processed, and the seconds from the first claim to the last completion."""
        count, seconds = self.sql.execute(
            """SELECT count(*), extract(epoch FROM max(processed_at) - min(claimed_at))
                 FROM outbox_workevent WHERE processed_at IS NOT NULL"""
        ).fetchone() or (0, 0)
        return int(count), float(seconds or 0)

    def tick(self, times: int = 1) -> None:
        """What a burst of commits and the beat send: one "go and look" per process."""
        for _ in range(times):
            app.send_task(DRAIN_TASK, ignore_result=True)

    @contextmanager
    def workers(self, procs: int, *, beat: bool = False, **environment: str) -> Iterator[list[subprocess.Popen[str]]]:
        """A real worker with so many processes, with the beat beside it where ticks shall come."""
        ready = self.machine.directory / "worker-ready"
        ready.unlink(missing_ok=True)
        self.stamps.unlink(missing_ok=True)
        celery = [sys.executable, "-m", "celery", "-A", "tests.bench.worker"]
        options = f"worker --concurrency={procs} --without-gossip --without-mingle --loglevel=WARNING"
        variables = QUIET | {READY: str(ready), STAMPS: str(self.stamps)} | environment
        processes = [self.machine.spawn([*celery, *options.split()], environment=variables, log="worker")]
        try:
            wait_for("the worker to start", lambda: ready.exists() or processes[0].poll() is not None, seconds=60)
            if processes[0].poll() is not None:
                raise SystemExit(f"The worker did not start:\n{self.machine.last_lines('worker')}")
            if beat:
                options = f"beat --scheduler celery.beat:Scheduler --schedule={self.machine.directory}/beat"
                processes.append(self.machine.spawn([*celery, *options.split()], environment=variables, log="beat"))
            yield processes
        finally:
            for process in reversed(processes):
                end(process)

    def empty_tables_of_handler(self, accounts: int) -> None:
        """Empty tables for the three writes."""
        self.sql.execute(load.EMPTY.format(accounts=accounts))


class FlowLedger(Contender):
    """One event, one handler, its receipt, its item's turn, its organisation's share: from first claim to last end."""

    system = "flowledger"

    def __init__(self, outbox: Outbox, *, work: Work, procs: int, events: int, handler: str = "single") -> None:
        super().__init__(outbox.machine, work=work, procs=procs, events=events)
        self.outbox = outbox
        self.database_url = outbox.database_url
        self.config = f"handler={handler}"
        self.event_name = {"noop": {"single": subscriptions.NOOP, "batch": subscriptions.BATCH}}.get(work, {}).get(
            handler, subscriptions.WORK
        )

    def fill(self) -> None:
        self.outbox.empty()
        if self.work == "handler":
            self.outbox.empty_tables_of_handler(self.events)
        self.outbox.fill(self.event_name, self.events)

    @contextmanager
    def workers(self) -> Iterator[None]:
        with self.outbox.workers(self.procs):
            yield

    def begin(self) -> None:
        self.outbox.tick(self.procs)

    def wait(self) -> None:
        wait_for(f"{self.label} to finish", lambda: not self.outbox.pending(), seconds=600, pause=0.25)

    def timing(self) -> tuple[int, float]:
        return self.outbox.done()
