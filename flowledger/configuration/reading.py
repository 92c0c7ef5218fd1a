"""Reading configuration: remembered per process, seen everywhere within seconds, never stale for the one who writes.

Each process remembers the versions of an organisation that hold now or will hold later, so that a planned value takes
effect by itself. At most once a second it compares the organisation's stamp with the one that it remembers. What the
own transaction has changed is read from the database until the transaction ends. Times are the database's.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from flowledger.configuration import sql
from flowledger.errors import ScopeError
from flowledger.tenancy.scope import current_scope, org_scope

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization

# How long a process trusts what it remembers.
TRUSTED_SECONDS = 1.0
# Organisations that a process remembers; the one asked for longest ago is forgotten first.
MOST_ORGANISATIONS = 1_000
_UNPARSED: Any = object()


class Held:
    """One stored version, parsed once per process."""

    __slots__ = ("_parsed", "row")

    def __init__(self, row: sql.StoredValue) -> None:
        self.row = row
        self._parsed: Any = _UNPARSED

    def parsed(self, parse: Callable[[Any], Any]) -> Any:
        """The typed value. Two threads may parse it at once; both get the same."""
        if self._parsed is _UNPARSED:
            self._parsed = parse(self.row.value)
        return self._parsed


@dataclass(frozen=True)
class Snapshot:
    """The configuration of an organisation from a moment on, as one stamp found it."""

    stamp: int
    held: dict[tuple[str, str], tuple[Held, ...]]

    def at(self, moment: datetime, *, rule_type: str, key: str) -> Held | None:
        """What the organisation set for the moment; None where the default holds."""
        for each in self.held.get((rule_type, key), ()):
            row = each.row
            if row.effective_from <= moment and (row.effective_to is None or moment < row.effective_to):
                return None if row.value is None else each
        return None


@dataclass
class _Memory:
    """What this process knows of one organisation; read and changed under the lock of the whole."""

    snapshot: Snapshot | None = None
    # How far the database's clock is from the zero of this process's steady one.
    clock_zero: datetime | None = None
    trusted_until: float = float("-inf")
    # A commit of this process left this stamp: nothing older may be remembered any more.
    least_stamp: int = 0


_memories: OrderedDict[int, _Memory] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class _Written:
    """Stands in the list of what the transaction does after its commit; its presence there says that it wrote.

    A rollback, also to a savepoint, takes it out of the list together with the writing.
    """

    org_id: int
    stamp: int

    def __call__(self) -> None:
        """The commit: what this process remembers from before is over at once."""
        with _lock:
            memory = _memories.get(self.org_id)
            if memory is not None:
                memory.least_stamp = max(memory.least_stamp, self.stamp)
                memory.snapshot, memory.trusted_until = None, float("-inf")


def held_now(org: Organization | int, *, rule_type: str, key: str) -> Held | None:
    """What the organisation has set and holds now; None where the default holds.

    Raises ScopeError inside the scope of another organisation.
    """
    org_id = org if isinstance(org, int) else org.pk
    scope = current_scope()
    if scope is not None and scope.org_id not in (None, org_id):
        raise ScopeError(f"The rules of organisation {org_id} were asked for in the scope of {scope.org_id}.")
    if _is_written(org_id):
        with _readable(org_id):
            stamp, moment = sql.look(org_id)
            return _load(org_id, stamp, moment).at(moment, rule_type=rule_type, key=key)
    snapshot, moment = _remembered(org_id)
    return snapshot.at(moment, rule_type=rule_type, key=key)


def note_written(org_id: int, stamp: int) -> None:
    """From here to its end this transaction reads the organisation's configuration from the database."""
    transaction.on_commit(_Written(org_id, stamp))


def forget_everything() -> None:
    """Remember nothing; the next read of every organisation looks at the database."""
    with _lock:
        _memories.clear()


def _is_written(org_id: int) -> bool:
    hooks: Iterable[Any] = connection.run_on_commit
    return any(isinstance(hook[1], _Written) and hook[1].org_id == org_id for hook in hooks)


def _readable(org_id: int) -> Any:
    """A scope that sees the organisation: the one that is open, or one of its own."""
    return org_scope(org_id) if current_scope() is None else nullcontext()


def _remembered(org_id: int) -> tuple[Snapshot, datetime]:
    """A snapshot that was compared with the stamp within the last second, and the moment by the database's clock."""
    steady = time.monotonic()
    with _lock:
        memory = _memories.setdefault(org_id, _Memory())
        _memories.move_to_end(org_id)
        while len(_memories) > MOST_ORGANISATIONS:
            _memories.popitem(last=False)
        snapshot = memory.snapshot
        if snapshot is not None and memory.clock_zero is not None:
            if steady < memory.trusted_until:
                return snapshot, memory.clock_zero + timedelta(seconds=steady)
            # One thread looks; the others go on with what there is.
            memory.trusted_until = steady + TRUSTED_SECONDS
    try:
        return _compared(org_id, memory, snapshot)
    except BaseException:
        with _lock:
            memory.trusted_until = float("-inf")
        raise


def _compared(org_id: int, memory: _Memory, snapshot: Snapshot | None) -> tuple[Snapshot, datetime]:
    """Look at the stamp, read anew what has changed since, and remember it."""
    with _readable(org_id):
        before = time.monotonic()
        stamp, moment = sql.look(org_id)
        if snapshot is None or snapshot.stamp != stamp:
            # Values read after the stamp are as new as it or newer; what is newer the next look finds out.
            snapshot = _load(org_id, stamp, moment)
    with _lock:
        known = memory.snapshot
        if stamp >= memory.least_stamp and (known is None or stamp >= known.stamp):
            memory.snapshot, memory.clock_zero = snapshot, moment - timedelta(seconds=before)
            memory.trusted_until = before + TRUSTED_SECONDS
    return snapshot, moment


def _load(org_id: int, stamp: int, moment: datetime) -> Snapshot:
    held: dict[tuple[str, str], list[Held]] = {}
    # Without a stamp nothing was ever set.
    for row in sql.values_from(org_id, moment) if stamp else ():
        held.setdefault((row.rule_type, row.key), []).append(Held(row))
    return Snapshot(stamp, {name: tuple(each) for name, each in held.items()})
