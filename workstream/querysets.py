"""Many-row questions of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum, Value, When

from flowledger.tenancy.querysets import OrgQuerySet
from flowledger.tenancy.search import SearchMixin
from workstream.machines import CandidateStatus

# Of the Today panel and of the boards beside it: badge, tier, due date, oldest touch; indexes of TodayItem serve it.
PANEL_ORDER = ("badge", "tier", "due_order", "last_touch_at", "pk")


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


class ClockedQuerySet(TouchedQuerySet):
    """Items on which SLA clocks run. The badge is read from breaches and clocks themselves, so it is never late."""

    def for_cards(self) -> Self:
        """Everything that a card of a board shows, in the one query of the cards; the columns are the board's."""
        mine = {"org": OuterRef("org"), str(self.model._meta.model_name): OuterRef("pk")}
        return self.with_badge().annotate(
            tag_names=_names(_rows(self.model, "tag_links", mine)),
            tier=Subquery(self._rows_about("TodayItem").order_by("pk").values("tier")[:1]),
        )

    def with_badge(self) -> Self:
        """Adds `sla_badge`: red with an open breach, amber with a running clock that has warned, else green."""
        return self.annotate(
            sla_badge=Case(
                When(self._in_breach(), then=Value("red")),
                When(self._warned(), then=Value("amber")),
                default=Value("green"),
                output_field=CharField(),
            )
        )

    def badged(self, badges: Iterable[str]) -> Self:
        """Rows whose badge is one of these."""
        breach, warned = self._in_breach(), self._warned()
        of_badge = {"red": Q(breach), "amber": ~Q(breach) & Q(warned), "green": ~Q(breach) & ~Q(warned)}
        wanted = Q(pk__in=[])
        for badge in badges:
            wanted |= of_badge[badge]
        return self.filter(wanted)

    def _in_breach(self) -> Exists:
        return Exists(self._rows_about("SlaBreach").filter(resolved_at__isnull=True))

    def _warned(self) -> Exists:
        return Exists(self._rows_about("SlaClock").filter(stopped_at__isnull=True, warned_at__isnull=False))

    def _rows_about(self, name: str) -> QuerySet[Any]:
        """Rows of a clock, breach or Today model about the outer row; models are above this room."""
        model: Any = self.model._meta.apps.get_model("workstream", name)
        rows: QuerySet[Any] = model._default_manager.filter(
            org=OuterRef("org"), **{str(self.model._meta.model_name): OuterRef("pk")}
        )
        return rows


class CandidateQuerySet(ClockedQuerySet):
    """Questions about candidates."""

    search_function = "candidate_search"

    def for_list(self) -> Self:
        """Everything that a row of the API's list shows, in the one query of the row."""
        mine = {"org": OuterRef("org"), "candidate": OuterRef("pk")}
        return self.with_badge().annotate(
            tag_names=_names(_rows(self.model, "tag_links", mine)),
            linked_signal_ids=ArraySubquery(
                _rows(self.model, "signal_links", mine).order_by("signal_id").values("signal_id")
            ),
            promoted_pursuit_id=Subquery(_rows(self.model, "pursuits", mine).order_by("pk").values("pk")[:1]),
        )

    def resumable(self, *, at: datetime) -> Self:
        """Held candidates whose resume time has come."""
        return self.filter(status=CandidateStatus.ON_HOLD, resume_at__lte=at)


class PursuitQuerySet(ClockedQuerySet):
    """Questions about pursuits."""

    search_function = "pursuit_search"

    def for_list(self) -> Self:
        """Everything that a row of the API's list shows, in the one query of the row."""
        mine = {"org": OuterRef("org"), "pursuit": OuterRef("pk")}
        return self.with_badge().annotate(tag_names=_names(_rows(self.model, "tag_links", mine)))


class TodayQuerySet(SearchMixin, OrgQuerySet[Any]):
    """Questions about the rows of the Today panel."""

    search_function = "today_search"

    def shown(self) -> Self:
        """Rows that are not put off."""
        return self.filter(snoozed_until__isnull=True)

    def in_order(self) -> Self:
        """Most pressing first."""
        return self.order_by(*PANEL_ORDER)

    def awake(self, *, at: datetime) -> Self:
        """Rows whose snooze has ended by then."""
        return self.filter(snoozed_until__lte=at)


class NotificationQuerySet(OrgQuerySet[Any]):
    """Questions about what people are told."""

    def unread(self) -> Self:
        """What its person has not read yet."""
        return self.filter(read_at__isnull=True)

    def due_by_email(self, *, at: datetime) -> Self:
        """What is to go out by email and has not."""
        return self.filter(email_due_at__isnull=False, email_due_at__lte=at, emailed_at__isnull=True)


class TallyQuerySet(OrgQuerySet[Any]):
    """Questions about tallies."""

    def scattered(self, *, more_than: int) -> QuerySet[Any, Any]:
        """The organisations (`org_id`) that have more than so many rows, most scattered first."""
        found: QuerySet[Any, Any] = self.order_by().values("org_id").annotate(rows=Count("pk"))
        return found.filter(rows__gt=more_than).order_by("-rows", "org_id")

    def totals(self, *groups: str) -> QuerySet[Any, dict[str, Any]]:
        """Rows of the groups with what there is in each; groups that have come to nothing are left out."""
        found: QuerySet[Any, dict[str, Any]] = (
            self.order_by()
            .values(*groups)
            .annotate(
                items=Sum("count"), items_valued=Sum("valued"), worth=Sum("value"), worth_weighted=Sum("weighted")
            )
        )
        return found.filter(items__gt=0)


class IntakeSourceQuerySet(OrgQuerySet[Any]):
    """Questions about configured ways in."""

    def active(self) -> Self:
        """Those that take something in."""
        return self.filter(is_active=True)


class IntakeRejectQuerySet(OrgQuerySet[Any]):
    """Questions about what could not become a signal."""

    def open(self) -> Self:
        """What nobody has replayed or discarded."""
        return self.filter(status="open")


class ImportRunQuerySet(OrgQuerySet[Any]):
    """Questions about CSV imports."""

    def to_do(self) -> Self:
        """What a worker has to import or to undo."""
        return self.filter(status__in=["running", "undoing"])


class ImportRowQuerySet(OrgQuerySet[Any]):
    """Questions about the rows of CSV imports."""

    def pending(self) -> Self:
        """Rows without an outcome, in the order of the file."""
        return self.filter(outcome="pending").order_by("number")


def _rows(model: Any, relation: str, mine: dict[str, OuterRef]) -> QuerySet[Any]:
    """The rows behind a reverse relation of the outer row; models are above this room."""
    rows: QuerySet[Any] = model._meta.get_field(relation).related_model._default_manager.filter(**mine)
    return rows


def _names(links: QuerySet[Any]) -> ArraySubquery:
    """The names behind an item's tag links, in order."""
    return ArraySubquery(links.order_by("tag__name", "tag_id").values("tag__name"))
