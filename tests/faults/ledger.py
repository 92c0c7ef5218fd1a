"""A ledger that does not trust the outbox's own books: what producers committed, and what handlers really did."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import environ
import psycopg
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from psycopg import sql

from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.faults.parcels import CURED, FIRST, HANDLERS, JOURNAL, LOST, MOVED, ParcelMoved
from tests.faults.processes import BATCH_SIZE, LEASE_SECONDS, Place

PRODUCER = Actor.system("fault producer")


class Call(NamedTuple):
    """One call of a handler, from the journal; `ended_at` is None when it never came back."""

    pid: int
    event_id: int
    handler: str
    move_id: int
    attempt: int
    started_at: float
    ended_at: float | None
    failed: bool


@dataclass(frozen=True)
class Row:
    """An event as the outbox has it."""

    event_id: int
    move_id: int
    parcel_id: int
    processed: bool
    dead: bool
    claimed: bool
    claimed_seconds: float
    attempts: int
    crashes: int
    last_error: str
    waits_seconds: float

    @property
    def open(self) -> bool:
        return not self.processed and not self.dead


class Changed(Exception):
    """Raised inside a business transaction to take it back."""


class Ledger:
    """One run's books, over a connection of their own that no scope and no row-level security narrows.

    `committed` holds the moves whose commit was confirmed, `doubtful` those whose commit had no answer (either outcome
    is right, as long as row and event agree), `taken_back` those that were rolled back.
    """

    def __init__(self, place: Place, directory: Path) -> None:
        self.place = place
        self.directory = directory
        self.committed: set[int] = set()
        self.doubtful: set[int] = set()
        self.taken_back: set[int] = set()
        # What was done to the run, by kind, and how many batches in hand that can have cost.
        self.faults: Counter[str] = Counter()
        self.batches_hit = 0
        self._move_ids = itertools.count(1)
        self._connection: psycopg.Connection[Any] | None = None
        self._org: Organization | None = None

    # --- set-up --------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the tables of the producers and the effects; neither has a constraint that could hide a double."""
        self.execute("RESET ROLE")
        self.execute("CREATE TABLE fault_move (move_id bigint, org_id bigint, parcel_id bigint)")
        self.execute(
            "CREATE TABLE fault_effect (place bigint GENERATED ALWAYS AS IDENTITY, event_id bigint, handler text,"
            " move_id bigint, parcel_id bigint, pid int)"
        )
        self.execute("GRANT ALL ON fault_move, fault_effect TO PUBLIC")
        self.reconnect()

    def close(self) -> None:
        self.execute("RESET ROLE")
        self.execute("DROP TABLE IF EXISTS fault_move, fault_effect")
        self.reconnect()

    def reconnect(self) -> None:
        """Let go of the connection; the next statement has a new one."""
        if self._connection is not None:
            self._connection.close()

    def execute(self, statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement past row-level security and commit; tries again while the server is restarting."""
        until = time.monotonic() + 60
        while True:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                cursor = self._connection.execute(statement, tuple(parameters) or None)
                return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                self.reconnect()
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _connect(self) -> psycopg.Connection[Any]:
        new: psycopg.Connection[Any] = psycopg.connect(self.place.database_url, autocommit=True, connect_timeout=5)
        # The login role sees no organisation's rows.
        new.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(settings.SYSTEM_DB_ROLE)))
        return new

    @property
    def org(self) -> Organization:
        """The organisation that ships unless another is named."""
        if self._org is None:
            self._org = self.new_org("Movers")
        return self._org

    def new_org(self, name: str) -> Organization:
        with system_scope("tests"):
            return Organization.objects.create(name=name)

    def inject(self, kind: str, times: int = 1, *, batches: int | None = None) -> None:
        """Note a fault that was just injected, and how many batches in hand it can have cost (one each)."""
        self.faults[kind] += times
        self.batches_hit += times if batches is None else batches

    # --- producers -----------------------------------------------------------------------------------------------

    def ship(
        self,
        number: int = 1,
        *,
        org: Organization | None = None,
        parcels: int = 7,
        orders: str = "",
        fact: type[Any] = ParcelMoved,
        before_commit: Callable[[], Any] | None = None,
    ) -> list[int]:
        """Move parcels, each move with its event in a transaction of its own; answers the keys of the moves.

        `before_commit` is called inside each transaction, behind both writes; when it raises Changed, the move is
        taken back, and when the database goes away, it is doubtful.
        """
        org = org or self.org
        moves = []
        for _ in range(number):
            move = next(self._move_ids)
            moves.append(move)
            parcel = move % parcels + 1
            try:
                with org_scope(org):
                    self._write_move(org, move, parcel)
                    record_event(
                        org=org,
                        event=fact(parcel_id=parcel, move_id=move, orders=orders),
                        actor=PRODUCER,
                        at=timezone.now(),
                    )
                    if before_commit is not None:
                        before_commit()
            except Changed:
                self.taken_back.add(move)
            except DatabaseError:
                self.doubtful.add(move)
                connection.close()
            else:
                self.committed.add(move)
        return moves

    @staticmethod
    def _write_move(org: Organization, move: int, parcel: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO fault_move (move_id, org_id, parcel_id) VALUES (%s, %s, %s)", [move, org.pk, parcel]
            )

    def ship_at_once(self, number: int, *, org: Organization | None = None, parcels: int = 1000) -> list[int]:
        """Move very many parcels in one transaction, by one statement each for the moves and for the events."""
        org = org or self.org
        moves = list(itertools.islice(self._move_ids, number))
        with org_scope(org), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO fault_move SELECT m, %s, m %% %s + 1 FROM unnest(%s::bigint[]) m", [org.pk, parcels, moves]
            )
            cursor.execute(
                """
                INSERT INTO outbox_workevent (org_id, event_name, item_type, item_id, payload, actor_kind, actor_label,
                    origin, occurred_at, correlation_id)
                SELECT %s, %s, 'parcel', m %% %s + 1,
                    jsonb_build_object('parcel_id', m %% %s + 1, 'move_id', m, 'orders', ''), 'system', 'producer',
                    'system', statement_timestamp(), ''
                  FROM unnest(%s::bigint[]) WITH ORDINALITY AS move (m, place) ORDER BY place
                """,
                [org.pk, MOVED, parcels, parcels, moves],
            )
        self.committed.update(moves)
        return moves

    # --- what the database and the journal say -------------------------------------------------------------------

    def rows(self) -> dict[int, Row]:
        """The events of this run by move; fails when a move has two."""
        found = self.execute(
            """
            SELECT id, (payload->>'move_id')::bigint, item_id, processed_at IS NOT NULL, dead_letter_at IS NOT NULL,
                claimed_at IS NOT NULL, coalesce(extract(epoch FROM clock_timestamp() - claimed_at), 0)::float,
                attempts, crashes, last_error, extract(epoch FROM available_at - clock_timestamp())::float
              FROM outbox_workevent WHERE event_name = ANY(%s) ORDER BY id
            """,
            [[MOVED, LOST]],
        )
        rows = [Row(*row) for row in found]
        by_move = {row.move_id: row for row in rows}
        assert len(by_move) == len(rows), "A move has more than one event."
        return by_move

    def open_count(self) -> int:
        """How many events have not come to their end."""
        return int(
            self.execute(
                "SELECT count(*) FROM outbox_workevent"
                " WHERE processed_at IS NULL AND dead_letter_at IS NULL AND event_name = ANY(%s)",
                [[MOVED, LOST]],
            )[0][0]
        )

    def all_ended(self) -> bool:
        """Whether every event is processed or dead."""
        return self.open_count() == 0

    def effects(self) -> Counter[tuple[int, str]]:
        """How often the effect of each move and handler is in the database."""
        found = self.execute("SELECT move_id, handler, count(*) FROM fault_effect GROUP BY 1, 2")
        return Counter({(move, name): number for move, name, number in found})

    def effect_count(self) -> int:
        return int(self.execute("SELECT count(*) FROM fault_effect")[0][0])

    def effect_pid(self, move: int, name: str = FIRST) -> int:
        """The process whose effect of this move is in the database."""
        return int(self.execute("SELECT pid FROM fault_effect WHERE move_id = %s AND handler = %s", [move, name])[0][0])

    def receipts(self) -> set[tuple[int, str]]:
        """Move and handler of every receipt."""
        found = self.execute(
            "SELECT (e.payload->>'move_id')::bigint, handler"
            " FROM outbox_workevent e CROSS JOIN unnest(e.handled_by) AS handler WHERE e.event_name = ANY(%s)",
            [[MOVED, LOST]],
        )
        return {(move, name) for move, name in found}

    def calls(self) -> list[Call]:
        """Every call of a handler, rolled back or not, in the order of beginning."""
        try:
            lines = (self.directory / JOURNAL).read_text().splitlines()
        except FileNotFoundError:
            return []
        calls: list[Call] = []
        under_way: dict[tuple[int, int, str], int] = {}
        for line in lines:
            what, at, pid, event_id, name, move_id, attempt = line.split()
            key = (int(pid), int(event_id), name)
            if what == "start":
                under_way[key] = len(calls)
                calls.append(Call(*key, int(move_id), int(attempt), float(at), None, failed=False))
            else:
                place = under_way.pop(key)
                calls[place] = calls[place]._replace(ended_at=float(at), failed=what == "fail")
        return calls

    def calls_of(self, move: int, name: str = FIRST) -> list[Call]:
        return [call for call in self.calls() if call.move_id == move and call.handler == name]

    def overlapping_calls(self) -> list[tuple[Call, Call]]:
        """Pairs of calls of one handler with one event that ran at the same time in two processes."""
        by_event: dict[tuple[int, str], list[Call]] = {}
        for call in self.calls():
            if call.ended_at is not None:
                by_event.setdefault((call.event_id, call.handler), []).append(call)
        return [
            (one, other)
            for calls in by_event.values()
            for one, other in itertools.combinations(calls, 2)
            if one.pid != other.pid and one.started_at < other.ended_at and other.started_at < one.ended_at  # type: ignore[operator]
        ]

    def order_of_effects(self, name: str = FIRST) -> dict[int, list[int]]:
        """The moves of each parcel in the order in which the handler's effects were written."""
        order: dict[int, list[int]] = {}
        found = self.execute("SELECT parcel_id, move_id FROM fault_effect WHERE handler = %s ORDER BY place", [name])
        for parcel, move in found:
            order.setdefault(parcel, []).append(move)
        return order

    def hurry(self) -> int:
        """Let the waiting time of every retry be over; answers how many waited."""
        return len(
            self.execute(
                "UPDATE outbox_workevent SET available_at = clock_timestamp() WHERE processed_at IS NULL"
                " AND dead_letter_at IS NULL AND claimed_at IS NULL AND available_at > clock_timestamp()"
                " AND event_name = ANY(%s) RETURNING id",
                [[MOVED, LOST]],
            )
        )

    def cure(self) -> None:
        """From now on the orders to hang or to eat memory are ignored."""
        (self.directory / CURED).touch()

    # --- audit ---------------------------------------------------------------------------------------------------

    def audit(self, *, poison: Iterable[int] = (), batch_size: int = BATCH_SIZE) -> None:
        """Compare all books; says everything that is wrong at once.

        `poison` are the moves that the run itself made impossible to handle: they and no others may be dead.
        """
        complaints = [*self._audit_facts(), *self._audit_ends(set(poison)), *self._audit_calls(batch_size)]
        assert not complaints, "\n".join(complaints)

    def _audit_facts(self) -> Iterator[str]:
        """No event without its state change, no state change without its event, nothing from a rollback."""
        moved = Counter(move for (move,) in self.execute("SELECT move_id FROM fault_move"))
        told = set(self.rows())
        yield from _complain("moves twice in the database", [move for move, times in moved.items() if times > 1])
        yield from _complain("moves without their event", set(moved) - told)
        yield from _complain("events without their move", told - set(moved))
        yield from _complain("committed moves that are gone", self.committed - set(moved))
        yield from _complain("moves that were taken back and are there", self.taken_back & set(moved))
        yield from _complain("moves that nobody made", set(moved) - self.committed - self.doubtful)

    def _audit_ends(self, poison: set[int]) -> Iterator[str]:
        """Every event at its end, every effect exactly once, and the outbox's receipts in agreement."""
        rows = self.rows()
        effects = self.effects()
        yield from _complain("lost (neither processed nor dead)", [row for row in rows.values() if row.open])
        yield from _complain(
            "innocent dead letters", [row for row in rows.values() if row.dead and row.move_id not in poison]
        )
        yield from _complain(
            "held longer than lease + 60 s",
            [row for row in rows.values() if row.open and row.claimed_seconds > LEASE_SECONDS + 60],
        )
        yield from _complain("effects doubled", {key: times for key, times in effects.items() if times > 1}.items())
        yield from _complain("effects without their event", {key for key in effects if key[0] not in rows})
        processed = {(move, name) for move, row in rows.items() if row.processed for name in HANDLERS}
        yield from _complain("processed without their effect", processed - set(effects))
        failed = {(move, FIRST) for move, row in rows.items() if row.dead}
        yield from _complain("effects of a handler whose event is dead", failed & set(effects))
        receipts = self.receipts()
        yield from _complain("effects without a receipt", set(effects) - receipts)
        yield from _complain("receipts without an effect", receipts - set(effects))

    def _audit_calls(self, batch_size: int) -> Iterator[str]:
        """No more deliveries than the faults explain: each may cost one batch, and so may each failure."""
        calls = self.calls()
        bound = len(self.rows()) + batch_size * (self.batches_hit + sum(call.failed for call in calls))
        for name, number in Counter(call.handler for call in calls).items():
            if number > bound:
                yield f"{name} was called {number} times, {bound} at most are explained by the faults"


def _complain(what: str, which: Iterable[Any]) -> Iterator[str]:
    found = list(which)
    if found:
        yield f"{len(found)} {what}: {found[:5]}"


@contextmanager
def django_on(database_url: str) -> Iterator[None]:
    """Point this process's Django at another database meanwhile, for producers on servers of their own."""
    before = connection.settings_dict
    connection.close()
    connection.settings_dict = {**before, **environ.Env.db_url_config(database_url)}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = before


@contextmanager
def open_ledger(place: Place, directory: Path) -> Iterator[Ledger]:
    """A ledger with its tables on migrated servers."""
    ledger = Ledger(place, directory)
    ledger.open()
    try:
        yield ledger
    finally:
        ledger.close()
