"""What expires: atoms whose time has come are archived, and expiries follow the rules when these change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory import events
from memory.models import MemoryLedger
from memory.rules import KINDS, Kinds
from memory.services.atoms import mark_cards_of
from memory.services.holds import held_atom_ids
from memory.services.ledger import held_ledger, ledger_of
from memory.sql import archiving as sql
from memory.sql.holds import take_ledger

# Atoms that get the expiry of new rules in one transaction.
RENEWED_AT_ONCE = 1_000


@use_case
def archive_due_atoms(*, org: Organization, atom_ids: Sequence[int], actor: Actor, at: datetime) -> int:
    """Archive those of the atoms that are due, and neither pinned nor under a legal hold; answers how many.

    For the sweep, which finds them by index. Raises PermissionRefused.
    """
    authorize(actor, "archive_atom")
    held_ledger(org)
    due = sql.take_due(org_id=org.pk, atom_ids=atom_ids, at=at)
    free = sorted(set(due) - held_atom_ids(org, due))
    if not free:
        return 0
    archived = sql.archive(org_id=org.pk, atom_ids=free, kinds=KINDS.of(org), at=at)
    facts = [(org.pk, events.AtomArchived(atom_id=atom_id, cause=cause)) for atom_id, cause in archived]
    record_events(facts=facts, actor=actor, at=at)
    mark_cards_of(org, free, at)
    return len(archived)


@use_case
def renew_expiries(*, org: Organization, actor: Actor, at: datetime) -> bool:
    """Let the next active atoms follow the rules of kinds as they are now; whether there may be more.

    Goes on where it stopped, and begins anew when the rules changed again meanwhile. Raises PermissionRefused.
    """
    authorize(actor, "archive_atom")
    ledger_of(org)
    take_ledger(org_id=org.pk)
    ledger: MemoryLedger = MemoryLedger.objects.for_org(org).get()
    kinds = KINDS.of(org)
    rule = digest_of(kinds)
    if not is_behind(ledger.expiry_rule, ledger.expiry_after, rule):
        return False
    after_id = (ledger.expiry_after or 0) if ledger.expiry_rule == rule else 0
    batch = sql.renew(org_id=org.pk, kinds=kinds, after_id=after_id, limit=RENEWED_AT_ONCE, at=at)
    has_more = batch.seen == RENEWED_AT_ONCE
    MemoryLedger.objects.for_org(org).update(expiry_rule=rule, expiry_after=batch.last_id if has_more else None)
    if batch.atom_ids:
        mark_cards_of(org, batch.atom_ids, at)
    return has_more


def is_behind(followed: str, after_id: int | None, rule: str) -> bool:
    """Whether some expiries may follow other rules than those with the digest `rule`."""
    return followed != rule or after_id is not None


def digest_of(kinds: Kinds) -> str:
    """A digest of the rules of kinds, equal for equal rules."""
    return hashlib.sha256(json.dumps(kinds.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
