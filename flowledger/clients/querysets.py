"""Many-row questions about clients, contacts and their identity keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Self

from django.db import connection
from django.db.models import F, Q
from django.db.models.functions import Lower

from flowledger.clients.identity import Key, KnownKey
from flowledger.tenancy.querysets import OrgQuerySet
from flowledger.tenancy.search import SearchMixin

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization


class ClientQuerySet(SearchMixin):
    """Questions about clients."""

    search_function = "client_search"

    def named(self, *names: str) -> Self:
        """Clients of these names in any case; an index on lower(name) answers, which `iexact` would miss."""
        return self.alias(folded=Lower("name")).filter(folded__in=[name.lower() for name in names])

    def current(self) -> Self:
        """Without the tombstones that a merge leaves."""
        return self.filter(canonical__isnull=True)


class ContactQuerySet(SearchMixin):
    """Questions about contacts."""

    search_function = "contact_search"

    def current(self) -> Self:
        """Without the tombstones that a merge leaves."""
        return self.filter(canonical__isnull=True)


class OnboardingTaskQuerySet(OrgQuerySet[Any]):
    """Questions about onboarding tasks."""

    def for_list(self) -> Self:
        """In the order in which they are due; undated ones last."""
        return self.order_by(F("due_date").asc(nulls_last=True), "pk")


class IdentityKeyQuerySet(OrgQuerySet[Any]):
    """Questions about identity keys."""

    def of(self, keys: Iterable[Key]) -> Self:
        """The rows of the given keys."""
        wanted = sorted(set(keys))
        if not wanted:
            return self.none()
        return self.filter(reduce(or_, (Q(key_type=key.type, key_value=key.value) for key in wanted)))

    def claimed(self, org: Organization, keys: Iterable[Key], *, at: datetime) -> dict[Key, KnownKey]:
        """Count the sightings of each key and lock it for this transaction; unknown keys are entered, unresolved.

        A key that is given several times was seen as often. One statement, keys in sorted order: transactions that
        share keys wait for each other and never deadlock, and whoever waited sees what the winner made of the key.
        Answers what each key points at now.
        """
        seen = Counter(keys)
        wanted = sorted(seen)
        if not wanted:
            return {}
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO clients_identitykey (org_id, created_at, updated_at, row_version, key_type, key_value,
                    confidence, occurrences, first_seen, last_seen, status)
                SELECT %s, now(), now(), 1, key_type, key_value, 1, seen, %s, %s, 'unresolved'
                FROM unnest(%s::text[], %s::text[], %s::integer[]) WITH ORDINALITY
                    AS wanted (key_type, key_value, seen, place)
                ORDER BY place
                ON CONFLICT (org_id, key_type, key_value) DO UPDATE SET
                    occurrences = clients_identitykey.occurrences + excluded.occurrences,
                    first_seen = least(clients_identitykey.first_seen, excluded.first_seen),
                    last_seen = greatest(clients_identitykey.last_seen, excluded.last_seen),
                    row_version = clients_identitykey.row_version + 1,
                    updated_at = excluded.updated_at
                RETURNING key_type, key_value, contact_id, client_id, confidence
                """,
                [
                    *(org.pk, at, at),
                    [key.type for key in wanted],
                    [key.value for key in wanted],
                    [seen[key] for key in wanted],
                ],
            )
            return {
                Key(key_type, key_value): KnownKey(contact_id=contact_id, client_id=client_id, confidence=confidence)
                for key_type, key_value, contact_id, client_id, confidence in cursor.fetchall()
            }


class IdentityConflictQuerySet(OrgQuerySet[Any]):
    """Questions about pairs of contacts or clients that want a judgement."""

    def open(self) -> Self:
        """What nobody has decided yet."""
        return self.filter(status="open")


class MergeRecordQuerySet(OrgQuerySet[Any]):
    """Questions about merges."""

    def standing(self) -> Self:
        """Merges that were not undone."""
        return self.filter(undone_at__isnull=True)
