"""The database wall: a scope sets PostgreSQL role and organisation for a transaction and undoes it on leaving.

Row-level security policies (see `constraints.RowSecurity`) compare `org_id` with the setting `flowledger.org_id` for
the tenant role and let the system role through. Outside of any scope the login role sees no tenant row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection, transaction

from flowledger.errors import ScopeError

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization


@dataclass(frozen=True)
class Scope:
    """What the current transaction may see: one organisation's rows, or everything for a stated reason."""

    org_id: int | None
    reason: str = ""


_current: ContextVar[Scope | None] = ContextVar("flowledger_scope", default=None)


def current_scope() -> Scope | None:
    """The scope that this thread of execution is in, if any."""
    return _current.get()


def current_org_id() -> int | None:
    """The organisation of the current scope; None outside of one and in a system scope."""
    scope = _current.get()
    return scope.org_id if scope else None


def _apply(scope: Scope | None) -> None:
    """One round trip: role and organisation together, both local to the transaction."""
    if scope is None:
        role, org = "none", ""
    elif scope.org_id is None:
        role, org = settings.SYSTEM_DB_ROLE, ""
    else:
        role, org = settings.TENANT_DB_ROLE, str(scope.org_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('role', %s, true), set_config('flowledger.org_id', %s, true)",
            [role, org],
        )


@contextmanager
def _entered(scope: Scope) -> Iterator[None]:
    previous = _current.get()
    # Outermost, the end of the transaction undoes the settings; nested, a rollback to the savepoint does, so that
    # only a nested scope that succeeded has to put the surrounding one back.
    nested = connection.in_atomic_block
    with transaction.atomic():
        _apply(scope)
        token = _current.set(scope)
        try:
            yield
        finally:
            _current.reset(token)
        if nested and not connection.needs_rollback:
            _apply(previous)


@contextmanager
def org_scope(org: Organization | int) -> Iterator[None]:
    """A transaction that sees and writes the rows of one organisation only.

    Entering the scope that is already open costs nothing. Raises ScopeError inside another organisation's scope.
    """
    org_id = org if isinstance(org, int) else org.pk
    current = _current.get()
    if current is not None and current.org_id == org_id:
        yield
        return
    if current is not None and current.org_id is not None:
        raise ScopeError(f"Organisation {org_id} was asked for inside the scope of organisation {current.org_id}.")
    with _entered(Scope(org_id)):
        yield


@contextmanager
def system_scope(reason: str) -> Iterator[None]:
    """A transaction that crosses organisations, for the named sweeps only; `reason` says which.

    Raises ScopeError inside an organisation's scope: a request can never widen itself.
    """
    current = _current.get()
    if current is not None and current.org_id is not None:
        raise ScopeError(f"'{reason}' crosses organisations inside the scope of organisation {current.org_id}.")
    if current is not None:
        yield
        return
    with _entered(Scope(None, reason)):
        yield
