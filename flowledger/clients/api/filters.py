"""Filters of the lists of clients and contacts."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q

from flowledger.api.filters import (
    ChoicesFilter,
    IdsFilter,
    InstantFilter,
    NumberFilter,
    OrgFilterSet,
    TextsFilter,
    YesNoFilter,
)
from flowledger.clients.models import Client, ConflictKind, ConflictStatus, Contact, MergedKind, SizeBand
from flowledger.clients.services.survivors import survivor_ids


class NamesFilter(TextsFilter):
    """Whole names in any case."""

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.named(*value) if value else qs


class LowerTextsFilter(TextsFilter):
    """Exact texts that are stored in lower case."""

    def convert(self, text: str) -> str:
        return text.lower()


class UpperTextsFilter(TextsFilter):
    """Exact texts that are stored in upper case."""

    def convert(self, text: str) -> str:
        return text.upper()


class DirectoryIdsFilter(IdsFilter):
    """Identifiers of clients or contacts; the tombstone of a merge means its survivor."""

    directory: ClassVar[Any]

    def filter(self, qs: Any, value: Any) -> Any:
        asked = [pk for pk in value or () if pk is not None]
        if asked:
            org = self.parent.request.auth.org
            survivors = survivor_ids(self.directory, org=org, ids=asked)
            value = [survivors.get(pk, pk) for pk in value]
        return super().filter(qs, value)


class ClientIdsFilter(DirectoryIdsFilter):
    """Rows of these clients."""

    directory = Client


class ContactIdsFilter(DirectoryIdsFilter):
    """Rows of these contacts."""

    directory = Contact


class ClientFilters(OrgFilterSet):
    name = NamesFilter("name")
    domain = LowerTextsFilter("domain")
    industry = TextsFilter("industry")
    size_band = ChoicesFilter("size_band", choices=SizeBand.choices)
    country = UpperTextsFilter("country")
    is_active = YesNoFilter("is_active")
    revenue_min = NumberFilter("annual_revenue", lookup_expr="gte")
    revenue_max = NumberFilter("annual_revenue", lookup_expr="lte")
    created_from = InstantFilter("created_at", lookup_expr="gte")


class UndoneFilter(YesNoFilter):
    """`true`: merges that were undone; `false`: those that stand."""

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.filter(undone_at__isnull=not value[-1]) if value else qs


class MergeFilters(OrgFilterSet):
    survivor_id = IdsFilter("survivor_id")
    loser_id = IdsFilter("loser_id")
    undone = UndoneFilter()
    merged_from = InstantFilter("merged_at", lookup_expr="gte")
    merged_to = InstantFilter("merged_at", lookup_expr="lt")


class SideFilter(IdsFilter):
    """Pairs of which one side is one of these, as it was when the pair was found."""

    def filter(self, qs: Any, value: Any) -> Any:
        asked = [pk for pk in value or () if pk is not None]
        if not asked:
            return qs
        return qs.filter(Q(**{f"{self.field_name}__in": asked}) | Q(**{f"other_{self.field_name}__in": asked}))


class EntityFilter(ChoicesFilter):
    """Pairs of contacts, or of clients."""

    def filter(self, qs: Any, value: Any) -> Any:
        kinds = Q()
        for kind in value or ():
            kinds |= Q(**{f"{kind}__isnull": False})
        return qs.filter(kinds)


class ConflictFilters(OrgFilterSet):
    status = ChoicesFilter("status", choices=ConflictStatus.choices)
    kind = ChoicesFilter("kind", choices=ConflictKind.choices)
    entity_type = EntityFilter(choices=MergedKind.choices)
    contact_id = SideFilter("contact_id")
    client_id = SideFilter("client_id")
    score_min = NumberFilter("score", lookup_expr="gte")


class ContactFilters(OrgFilterSet):
    client_id = ClientIdsFilter("client_id")
    email = LowerTextsFilter("email")
    phone = TextsFilter("phone", help_text="E.164; write the + as %2B.")
    is_active = YesNoFilter("is_active")
    created_from = InstantFilter("created_at", lookup_expr="gte")
