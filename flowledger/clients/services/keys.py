"""Keeping identity keys in step with what people write on clients and contacts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flowledger.clients.identity import Key
from flowledger.clients.models import Client, Contact, IdentityKey, KeyStatus
from flowledger.errors import Conflict
from flowledger.tenancy.models import Organization


@dataclass(frozen=True)
class KeyClaim:
    """Keys that are locked for a client or contact about to be stored; `point` makes them name it."""

    org: Organization
    owner_field: str
    free: frozenset[Key]
    released: frozenset[Key]

    def point(self, row: Client | Contact) -> None:
        """Point the free keys at the stored row and delete the released ones that name it."""
        keys = IdentityKey.objects.for_org(self.org)
        if self.released:
            keys.of(self.released).filter(**{self.owner_field: row.pk}).delete()
            # Entered by the lock itself.
            keys.of(self.released).filter(status=KeyStatus.UNRESOLVED, occurrences=1).delete()
        if self.free:
            keys.of(self.free).update(**{self.owner_field: row.pk, "status": KeyStatus.MANUAL, "confidence": 1})


def claim_keys(
    row: Client | Contact,
    *,
    org: Organization,
    needed: Iterable[Key],
    wanted: Iterable[Key],
    released: Iterable[Key] = (),
    at: datetime,
) -> KeyClaim:
    """Lock the keys that a row gains and loses, before the row is stored.

    A `needed` key that somebody else owns raises Conflict; a `wanted` one stays with its owner, because a switchboard
    or a company name may belong to several. All keys are locked by one statement in sorted order, so whoever shares
    keys waits; and before the row, so nobody waits for the row's own unique columns while holding its keys.
    """
    field = "contact_id" if isinstance(row, Contact) else "client_id"
    needed_keys, gained = set(needed), {*needed, *wanted}
    lost = set(released) - gained
    known = IdentityKey.objects.for_org(org).claimed(org, gained | lost, at=at)
    for key in sorted(needed_keys):
        other = getattr(known[key], field)
        if other not in (None, row.pk):
            kind = field.removesuffix("_id")
            raise Conflict(
                f"{key.value} already belongs to {kind} {other}; change that {kind} or merge the two.",
                **{field: other, "key_type": key.type, "key_value": key.value},
            )
    free = frozenset(key for key in gained if known[key].contact_id is None and known[key].client_id is None)
    return KeyClaim(org=org, owner_field=field, free=free, released=frozenset(lost))
