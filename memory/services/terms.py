"""Term statistics: in how many active atoms of an organisation each word stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.models import MemoryLedger
from memory.sql import terms as sql

# Atoms that one batch counts, and lexemes that one batch stores: a transaction in which a redaction may have to wait.
ATOMS_A_BATCH = 5_000
LEXEMES_A_BATCH = 10_000
# A lexeme that is left in so few atoms goes with a redaction, so that nothing tells what was said.
FEW = 20
# Statistics are made anew daily, and as soon as an organisation has so many atoms that they do not know.
STALE = timedelta(days=1)
FEWEST_NEW = 200
SHARE_NEW = 0.05


@use_case
def refresh_terms(*, org: Organization, actor: Actor, at: datetime) -> bool:
    """Count or store one batch; whether there is more to do.

    The ledger remembers how far the pass has come, so that whoever comes next goes on there. A pass during which
    something was redacted begins anew, and what it read before is not written. Raises PermissionRefused.
    """
    authorize(actor, "capture_memory")
    seen = MemoryLedger.objects.for_org(org).order_by("pk").first()
    if seen is None:
        return False
    state = seen.refresh_state if seen.refresh_state.get("epoch") == seen.epoch else {}
    batch = None
    if state.get("stage") != "store":
        state = state if state.get("stage") == "count" else _new_pass(org, seen)
        # Before the ledger is locked: counting takes longest.
        batch = sql.count_batch(org_id=org.pk, after=state["after"], upto=state["upto"], most=ATOMS_A_BATCH)
    ledger = MemoryLedger.objects.for_org(org).locked().get(pk=seen.pk)
    if (ledger.epoch, ledger.refresh_state) != (seen.epoch, seen.refresh_state):
        # Somebody else was faster, or what was counted may hold what is redacted now.
        return True
    if batch is not None:
        if state["after"] == 0:
            sql.begin_count(org.pk)
        sql.add_counts(org_id=org.pk, counts=batch.counts, at=at)
        state = {**state, "atoms": state["atoms"] + batch.atoms, "after": batch.upto}
        if not batch.has_more:
            state |= {"stage": "store", "after": 0}
    else:
        last = sql.store_slice(org_id=org.pk, after=state["after"], most=LEXEMES_A_BATCH, at=at)
        if last is None:
            ledger.atom_count, ledger.refreshed_at = state["atoms"], at
            state = {"upto": state["upto"], "epoch": ledger.epoch}
        else:
            state = {**state, "after": last}
    ledger.refresh_state = state
    ledger.save(update_fields=["refresh_state", "atom_count", "refreshed_at", "row_version", "updated_at"])
    return "stage" in state


def _new_pass(org: Organization, ledger: MemoryLedger) -> dict[str, Any]:
    return {"stage": "count", "after": 0, "upto": sql.newest_atom(org.pk), "atoms": 0, "epoch": ledger.epoch}


def due_organizations(*, at: datetime, most: int) -> list[int]:
    """The organisations whose statistics are due, those that wait longest first; for a system scope."""
    return sql.due_organizations(stale_at=at - STALE, fewest=FEWEST_NEW, share=SHARE_NEW, most=most)


def forget_terms(*, org: Organization, atom_ids: Sequence[int]) -> None:
    """Take atoms out of the statistics. Call it before their content is emptied, with the ledger's row locked.

    A word that hardly any other atom has leaves the table, and the next refresh counts anew.
    """
    sql.forget(org_id=org.pk, atom_ids=atom_ids, few=FEW)
