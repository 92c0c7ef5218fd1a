"""Many-row questions about profiles and scores."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.db.models import Q

from flowledger.tenancy.querysets import OrgQuerySet
from spotlight.machines import RescoreStatus, ReviewStatus


class SpotlightQuerySet(OrgQuerySet[Any]):
    """Questions about profiles."""

    def active(self) -> Self:
        """Those that signals are evaluated against."""
        return self.filter(active=True)

    def for_list(self) -> Self:
        """By name, with their criteria and fields in two more statements."""
        return self.prefetch_related("criteria__field").order_by("name", "pk")


class ScoreQuerySet(OrgQuerySet[Any]):
    """Questions about scores."""

    def of(self, item_type: str, item_id: int) -> Self:
        """The scores of one item."""
        return self.filter(**{item_type: item_id})


class RescoreRunQuerySet(OrgQuerySet[Any]):
    """Questions about re-scores."""

    def running(self) -> Self:
        """Those with items to do."""
        return self.filter(status=RescoreStatus.RUNNING)


class RoutedSignalQuerySet(OrgQuerySet[Any]):
    """Questions about routed signals."""

    def waiting(self) -> Self:
        """The review queue, best first."""
        return self.filter(review_status=ReviewStatus.WAITING).order_by("-match_score", "pk")


class MatchAlertQuerySet(OrgQuerySet[Any]):
    """Questions about stretches of low match rates."""

    def standing(self) -> Self:
        """Those that have not ended."""
        return self.filter(ended_at__isnull=True)

    def touching(self, since: datetime, until: datetime) -> Self:
        """Those that began before the end and had not ended by the beginning."""
        return self.filter(began_at__lt=until).filter(Q(ended_at__isnull=True) | Q(ended_at__gte=since))
