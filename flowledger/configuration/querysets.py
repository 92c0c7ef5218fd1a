"""Many-row questions of configuration."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.db.models import F, Q

from flowledger.tenancy.querysets import OrgQuerySet


class ConfigValueQuerySet(OrgQuerySet[Any]):
    """Questions about configuration values."""

    def of_key(self, rule_type: str, key: str) -> Self:
        """The versions of one key."""
        return self.filter(rule_type=rule_type, key=key)

    def reaching(self, start: datetime, end: datetime | None = None) -> Self:
        """Versions that hold at some moment from `start` on, and before `end` if there is one."""
        rows = self.filter(Q(effective_to__isnull=True) | Q(effective_to__gt=start)).exclude(
            effective_to=F("effective_from")
        )
        return rows if end is None else rows.filter(effective_from__lt=end)

    def in_force(self, at: datetime) -> Self:
        """Versions that hold at the moment; at most one per key."""
        return self.reaching(at).filter(effective_from__lte=at)
