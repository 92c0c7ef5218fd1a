"""The Today panel as it is read: its rows in order, why each stands where it does, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Lower

from flowledger.api import keyset
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.search import ALL_MATCHES
from workstream.models import CandidateTag, PursuitTag, Tag, TodayItem, TodayVersion
from workstream.models.today import Badge, Tier, no_counts, panel_place
from workstream.ranking import ranking_of
from workstream.reports.today_reasons import NextAction, Reason, next_action, reasons

MOST_ROWS = 200


@dataclass(frozen=True)
class TodayFilters:
    """What a reader wants to see; an empty filter lets everything through.

    `owners` holds user ids, None for what nobody owns; `item_types` candidate and pursuit; `tags` are compared in any
    case, and an item with one of them passes; `q` is searched in label and client.
    """

    badges: Sequence[int] = ()
    tiers: Sequence[int] = ()
    owners: Sequence[int | None] = ()
    tags: Sequence[str] = ()
    item_types: Sequence[str] = ()
    q: str = ""

    @property
    def narrows_counts(self) -> bool:
        """Whether the header counts a part of the panel; badge and tier choose among its counts and narrow none."""
        return bool(self.owners or self.tags or self.item_types or self.q.strip())


@dataclass(frozen=True)
class PanelRow:
    """One row of the panel as readers get it."""

    item_type: str
    item_id: int
    label: str
    client_name: str
    state: str
    last_touch_at: datetime
    due_date: Any
    sla_metric: str
    sla_due_at: datetime | None
    badge: str
    owner_id: int | None
    owner_name: str
    tags: list[str]
    icp_band: str
    value_band: str
    hours_since_touch: int
    priority_score: int
    priority_tier: str
    reasons: list[Reason]
    next_action: NextAction | None
    snoozed_until: datetime | None = None


@dataclass(frozen=True)
class PanelVersion:
    """How often the panel has changed, and how many rows it shows per badge and tier."""

    version: int = 0
    counts: Sequence[int] = field(default_factory=no_counts)

    @property
    def badges(self) -> dict[str, int]:
        return {badge.label: sum(self.counts[panel_place(badge, tier)] for tier in Tier) for badge in Badge}

    @property
    def tiers(self) -> dict[str, int]:
        return {tier.label: sum(self.counts[panel_place(badge, tier)] for badge in Badge) for tier in Tier}

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class TodayPage:
    """A page of the panel, the cursor of what follows it, and the counts of the header."""

    rows: list[PanelRow]
    next_cursor: list[Any] | None
    header: PanelVersion


def today_version(org: Organization) -> PanelVersion:
    """The panel's version with its counts, from one indexed row."""
    row = TodayVersion.objects.for_org(org).values_list("version", "counts").first()
    return PanelVersion(*row) if row else PanelVersion()


def panel(*, org: Organization, filters: TodayFilters) -> QuerySet[TodayItem]:
    """The rows that are not put off, in the panel's order."""
    rows: QuerySet[TodayItem] = TodayItem.objects.for_org(org).shown().in_order()
    return narrow(rows, org=org, filters=filters)


def narrow(rows: Any, *, org: Organization, filters: TodayFilters) -> QuerySet[TodayItem]:
    """The rows that pass the filters."""
    if filters.badges:
        rows = rows.filter(badge__in=filters.badges)
    if filters.tiers:
        rows = rows.filter(tier__in=filters.tiers)
    if filters.owners:
        mine = Q(owner__in=[owner for owner in filters.owners if owner is not None])
        rows = rows.filter(mine | Q(owner__isnull=True) if None in filters.owners else mine)
    kinds = set(filters.item_types)
    if len(kinds) == 1:
        rows = rows.filter(**{f"{kinds.pop()}__isnull": False})
    if filters.tags:
        rows = rows.filter(pk__in=_tagged(org, filters.tags))
    if filters.q.strip():
        rows = rows.search(filters.q, at_most=ALL_MATCHES)
    found: QuerySet[TodayItem] = rows
    return found


def _tagged(org: Organization, tags: Sequence[str]) -> QuerySet[Any]:
    """Keys of the rows whose item carries one of the tags, from the tags' own links: they are indexed by tag."""
    names = [name.strip().lower() for name in tags]
    named = Tag.objects.for_org(org).annotate(key=Lower("name")).filter(key__in=names).values("pk")
    candidates = CandidateTag.objects.for_org(org).filter(tag__in=named).values("candidate_id")
    pursuits = PursuitTag.objects.for_org(org).filter(tag__in=named).values("pursuit_id")
    rows = TodayItem.objects.for_org(org)
    found: QuerySet[Any] = rows.filter(candidate__in=candidates).values("pk")
    return found.union(rows.filter(pursuit__in=pursuits).values("pk"), all=True)


def today_page(
    *,
    org: Organization,
    filters: TodayFilters,
    cursor: Sequence[Any] | None = None,
    limit: int = 50,
    at: datetime,
    actor: Actor | None = None,
) -> TodayPage:
    """At most `limit` rows (and MOST_ROWS) of the panel, after the row that the cursor names.

    The cursor is `next_cursor` of the page before, as JSON can carry it. The same few statements whatever the rows.
    With an actor, next actions are those that they may take. Raises InvalidInput for a cursor that is none.
    """
    header = panel_header(org=org, filters=filters)
    limit = max(1, min(limit, MOST_ROWS))
    rows = panel(org=org, filters=filters).select_related("owner")
    columns = keyset.order_of(rows)
    if cursor is not None:
        rows = next(keyset.segments_after(rows, columns, _place(cursor, columns)))
    found = list(rows[: limit + 1])
    following = None
    if len(found) > limit:
        found = found[:limit]
        following = [keyset.to_json(column.value_of(found[-1])) for column in columns]
    return TodayPage(described(found, org=org, at=at, actor=actor), following, header)


def _place(cursor: Sequence[Any], columns: Sequence[keyset.Column]) -> list[Any]:
    try:
        return [keyset.from_json(column, value) for column, value in zip(columns, cursor, strict=True)]
    except (ValueError, TypeError, ValidationError):
        sentence = "The cursor is not one of ours; start again without it."
        raise InvalidInput(sentence, fields={"cursor": ["This is no cursor."]}) from None


def panel_header(*, org: Organization, filters: TodayFilters, whole: PanelVersion | None = None) -> PanelVersion:
    """Version and counts for the header of a list with these filters; badge and tier narrow no count.

    The counts of the whole panel are kept with its version; those of a part are counted, at the cost of that part.
    """
    whole = whole or today_version(org)
    if not filters.narrows_counts:
        return whole
    part = TodayFilters(owners=filters.owners, tags=filters.tags, item_types=filters.item_types, q=filters.q)
    counts = no_counts()
    rows = panel(org=org, filters=part).order_by().values_list("badge", "tier").annotate(number=Count("pk"))
    for badge, tier, number in rows:
        counts[panel_place(badge, tier)] = number
    return PanelVersion(whole.version, counts)


def described(items: Sequence[TodayItem], *, org: Organization, at: datetime, actor: Actor | None) -> list[PanelRow]:
    """The rows with every column of the panel; the items bring their owners along."""
    ranking = ranking_of(org)
    return [
        PanelRow(
            item_type=item.item_type,
            item_id=item.item_id,
            label=item.label,
            client_name=item.client_name,
            state=item.state,
            last_touch_at=item.last_touch_at,
            due_date=item.due_date,
            sla_metric=item.sla_metric,
            sla_due_at=item.sla_due_at,
            badge=Badge(item.badge).label,
            owner_id=item.owner_id,
            owner_name=item.owner.get_full_name() or item.owner.get_username() if item.owner else "",
            tags=list(item.tags),
            icp_band=item.icp_band,
            value_band=item.value_band,
            hours_since_touch=max(0, int((at - item.last_touch_at).total_seconds() // 3600)),
            priority_score=item.priority_score,
            priority_tier=Tier(item.tier).label,
            reasons=reasons(item, ranking=ranking, timezone=org.timezone, at=at),
            next_action=next_action(item, actor=actor),
            snoozed_until=item.snoozed_until,
        )
        for item in items
    ]
