"""The frame of every service: one organisation scope, one transaction, refusals that leave only their evidence."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from django.db import transaction

from flowledger.errors import FlowLedgerError
from flowledger.tenancy.scope import org_scope

P = ParamSpec("P")
R = TypeVar("R")


def use_case(service: Callable[P, R]) -> Callable[P, R]:
    """Run a service in its organisation's scope and in a transaction of its own.

    The service takes keyword arguments, `org` among them. A FlowLedgerError rolls back all that the service wrote,
    then `error.keep()` writes the evidence (a gate's ledger row) into the surrounding transaction, so a door may
    commit after a refusal. Any other exception rolls back as usual and keeps nothing.
    """

    @functools.wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        org: Any = kwargs["org"]
        with org_scope(org):
            try:
                with transaction.atomic():
                    return service(*args, **kwargs)
            except FlowLedgerError as error:
                error.keep()
                refusal = error
        # Raised outside the scope's transaction: inside, it would take the evidence with it.
        raise refusal

    return run
