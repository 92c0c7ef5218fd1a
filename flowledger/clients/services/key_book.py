"""The identity keys of many contacts or clients that are written together: locked at once, followed, stored at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from django.db import connection

from flowledger.clients.identity import Key, KnownKey
from flowledger.clients.models import IdentityKey
from flowledger.errors import Conflict
from flowledger.tenancy.models import Organization

Owner = Literal["contact", "client"]

_POINT = """
    UPDATE clients_identitykey AS k
       SET contact_id = w.contact_id, client_id = w.client_id, status = 'manual', confidence = 1,
           row_version = k.row_version + 1, updated_at = statement_timestamp()
      FROM unnest(%(types)s::text[], %(values)s::text[], %(contacts)s::bigint[], %(clients)s::bigint[])
           AS w (key_type, key_value, contact_id, client_id)
     WHERE k.org_id = %(org)s AND k.key_type = w.key_type AND k.key_value = w.key_value
"""
_FORGET = """
    DELETE FROM clients_identitykey AS k
     USING unnest(%(types)s::text[], %(values)s::text[]) AS w (key_type, key_value)
     WHERE k.org_id = %(org)s AND k.key_type = w.key_type AND k.key_value = w.key_value
"""
_FORGET_SEEN_ONCE = f"{_FORGET} AND k.status = 'unresolved' AND k.occurrences = 1"


class KeyBook:
    """Who owns each of some locked keys, as the rows written so far make it.

    An owner is the id of a stored row, or a row that is not stored yet. All keys are locked by one statement in sorted
    order; `store` writes what has changed once the rows have ids.
    """

    def __init__(self, org: Organization, keys: Iterable[Key], *, at: datetime) -> None:
        self._org = org
        known: dict[Key, KnownKey] = IdentityKey.objects.for_org(org).claimed(org, keys, at=at)
        self._before = {key: (fact.contact_id, fact.client_id) for key, fact in known.items()}
        self._now: dict[Key, tuple[Owner, Any] | None] = {}
        for key, (contact_id, client_id) in self._before.items():
            self._now[key] = ("contact", contact_id) if contact_id else ("client", client_id) if client_id else None
        self._touched: set[Key] = set()

    @staticmethod
    def peek(org: Organization, keys: Iterable[Key]) -> dict[Key, KnownKey]:
        """What keys point at, without any lock."""
        rows = IdentityKey.objects.for_org(org).of(keys)
        found = rows.values_list("key_type", "key_value", "contact_id", "client_id")
        return {
            Key(key_type, value): KnownKey(contact_id=contact_id, client_id=client_id)
            for key_type, value, contact_id, client_id in found
        }

    def owner(self, key: Key, kind: Owner) -> Any:
        """The owner of this kind, None for nobody. A key that was not locked raises Conflict: try again."""
        if key not in self._now:
            raise Conflict("Somebody changed one of these records at the same moment; try again.")
        found = self._now[key]
        return found[1] if found is not None and found[0] == kind else None

    def give(self, key: Key, kind: Owner, owner: Any) -> None:
        """Let a key that nobody owns name somebody; one that has an owner stays with it."""
        if key in self._now and self._now[key] is None:
            self._now[key] = (kind, owner)
            self._touched.add(key)

    def take(self, key: Key, kind: Owner, owner: Any) -> None:
        """Let a key go if this owner has it. One that was not locked raises Conflict: try again."""
        if self.owner(key, kind) is owner or self.owner(key, kind) == owner:
            self._now[key] = None
            self._touched.add(key)

    def store(self) -> None:
        """Write the owners; keys that belong to nobody any more go, and those that only the lock had entered."""
        pointed = [(key, *found) for key in sorted(self._touched) if (found := self._now[key]) is not None]
        gone = [key for key in sorted(self._touched) if self._now[key] is None]
        idle = [key for key, before in sorted(self._before.items()) if before == (None, None) and not self._now[key]]
        with connection.cursor() as cursor:
            if pointed:
                cursor.execute(
                    _POINT,
                    {
                        "org": self._org.pk,
                        "types": [key.type for key, _, _ in pointed],
                        "values": [key.value for key, _, _ in pointed],
                        "contacts": [_id(owner) if kind == "contact" else None for _, kind, owner in pointed],
                        "clients": [_id(owner) if kind == "client" else None for _, kind, owner in pointed],
                    },
                )
            for statement, keys in ((_FORGET, gone), (_FORGET_SEEN_ONCE, idle)):
                if keys:
                    types, values = [key.type for key in keys], [key.value for key in keys]
                    cursor.execute(statement, {"org": self._org.pk, "types": types, "values": values})


def _id(owner: Any) -> int:
    return owner if isinstance(owner, int) else int(owner.pk)
