"""Many-row questions of the pipeline."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet, Subquery

from flowledger.tenancy.querysets import OrgQuerySet
from flowledger.tenancy.search import SearchMixin
from workstream.machines import CandidateStatus


class SignalQuerySet(SearchMixin, OrgQuerySet[Any]):
    """Questions about signals."""

    search_function = "signal_search"

    def touch(self, *, at: datetime) -> None:
        """Set the first touch of rows that have none yet."""
        self.filter(first_touch_at__isnull=True).update(first_touch_at=at)


class TouchedQuerySet(SearchMixin, OrgQuerySet[Any]):
    """Rows whose last touch moves forward only."""

    def touch(self, *, at: datetime) -> None:
        """Move `last_touch_at` forward to `at`, never back."""
        self.filter(last_touch_at__lt=at).update(last_touch_at=at)


class CandidateQuerySet(TouchedQuerySet):
    """Questions about candidates."""

    search_function = "candidate_search"

    def for_list(self) -> Self:
        """Everything that a row of the API's list shows, in the one query of the row."""
        mine = {"org": OuterRef("org"), "candidate": OuterRef("pk")}
        return self.annotate(
            tag_names=_names(_rows(self.model, "tag_links", mine)),
            linked_signal_ids=ArraySubquery(
                _rows(self.model, "signal_links", mine).order_by("signal_id").values("signal_id")
            ),
            promoted_pursuit_id=Subquery(_rows(self.model, "pursuits", mine).order_by("pk").values("pk")[:1]),
        )

    def resumable(self, *, at: datetime) -> Self:
        """Held candidates whose resume time has come."""
        return self.filter(status=CandidateStatus.ON_HOLD, resume_at__lte=at)


class PursuitQuerySet(TouchedQuerySet):
    """Questions about pursuits."""

    search_function = "pursuit_search"

    def for_list(self) -> Self:
        """Everything that a row of the API's list shows, in the one query of the row."""
        mine = {"org": OuterRef("org"), "pursuit": OuterRef("pk")}
        return self.annotate(tag_names=_names(_rows(self.model, "tag_links", mine)))


def _rows(model: Any, relation: str, mine: dict[str, OuterRef]) -> QuerySet[Any]:
    """The rows behind a reverse relation of the outer row; models are above this room."""
    rows: QuerySet[Any] = model._meta.get_field(relation).related_model._default_manager.filter(**mine)
    return rows


def _names(links: QuerySet[Any]) -> ArraySubquery:
    """The names behind an item's tag links, in order."""
    return ArraySubquery(links.order_by("tag__name", "tag_id").values("tag__name"))
