"""Keeping identity keys in step with what people write on clients and contacts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import transaction
from django.db.models.functions import Collate

from flowledger.clients.identity import Key
from flowledger.clients.models import Client, Contact, IdentityKey, KeyStatus
from flowledger.clients.services.survivors import require_standing
from flowledger.errors import Conflict
from flowledger.tenancy.models import Organization

D = TypeVar("D", Client, Contact)
MOST_TRIES = 5


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


def lock_keys(keys: Any) -> None:
    """Lock all rows of a question about keys, in the order in which `claimed` does, whatever the collation says.

    Anew when the answer is another one after the wait: a key that a merge has moved meanwhile would have to be locked
    behind keys that come after it. Raises Conflict when that does not end.
    """
    in_order = keys.order_by(Collate("key_type", "C"), Collate("key_value", "C"))
    for _ in range(MOST_TRIES):
        begun = transaction.savepoint()
        locked = {pk for (pk,) in in_order.select_for_update().values_list("pk")}
        if locked >= set(keys.values_list("pk", flat=True)):
            transaction.savepoint_commit(begun)
            return
        transaction.savepoint_rollback(begun)
    raise Conflict("Others are changing the same contacts or clients right now; try again in a moment.")


def lock_for_change(
    row: D,
    changes: Mapping[str, Any],
    *,
    org: Organization,
    needed: Callable[[D], list[Key]],
    wanted: Callable[[D], list[Key]],
    at: datetime,
) -> tuple[D, KeyClaim | None, list[str]]:
    """Lock a row that was read before, and first the keys that the change gives it and takes from it.

    `needed` and `wanted` say the keys of a row, as `claim_keys` has them. Answers the row as it is now, with the
    changes set and not stored, the claim of the keys if they change, and the names of the fields that do. Keys come
    before rows with everybody, so that nobody waits for a row whose holder waits for them; when the row's own keys turn
    out to be others than were read, it begins anew. Raises Conflict when the row is a tombstone, when a needed key is
    another's, and when others keep changing the row.
    """
    rows = type(row).objects.for_org(org)
    for _ in range(MOST_TRIES):
        require_standing(row)
        known = [*needed(row), *wanted(row)]
        _set(row, changes)
        begun = transaction.savepoint()
        claim = None
        if [*needed(row), *wanted(row)] != known:
            claim = claim_keys(row, org=org, needed=needed(row), wanted=wanted(row), released=known, at=at)
        found: D = rows.locked().fetch(row.pk)
        if [*needed(found), *wanted(found)] == known and found.canonical_id is None:
            transaction.savepoint_commit(begun)
            return found, claim, _set(found, changes)
        transaction.savepoint_rollback(begun)
        row = found
    raise Conflict(
        f"Others are changing this {row._meta.verbose_name} right now; read it again and repeat your change."
    )


def restore_keys(row: Client | Contact, own: Collection[Key], *, org: Organization, at: datetime) -> None:
    """Let the keys of a row that stands again name it, as far as nobody has them: signals find it by them."""
    field = "contact_id" if isinstance(row, Contact) else "client_id"
    known = IdentityKey.objects.for_org(org).claimed(org, own, at=at)
    free = [key for key in own if known[key].contact_id is None and known[key].client_id is None]
    if free:
        IdentityKey.objects.for_org(org).of(free).update(**{field: row.pk, "status": KeyStatus.MANUAL})


def _set(row: Client | Contact, changes: Mapping[str, Any]) -> list[str]:
    """Set fields; answers the names of those that had another value, sorted."""
    columns: dict[str, Any] = {name: row._meta.get_field(name) for name in changes}
    before = {name: column.value_from_object(row) for name, column in columns.items()}
    for name, value in changes.items():
        setattr(row, name, value)
    return sorted(name for name, column in columns.items() if column.value_from_object(row) != before[name])
