"""Filters of the lists of clients and contacts."""

from __future__ import annotations

from typing import Any

from flowledger.api.filters import (
    ChoicesFilter,
    IdsFilter,
    InstantFilter,
    NumberFilter,
    OrgFilterSet,
    TextsFilter,
    YesNoFilter,
)
from flowledger.clients.models import SizeBand


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


class ContactFilters(OrgFilterSet):
    client_id = IdsFilter("client_id")
    email = LowerTextsFilter("email")
    phone = TextsFilter("phone", help_text="E.164; write the + as %2B.")
    is_active = YesNoFilter("is_active")
    created_from = InstantFilter("created_at", lookup_expr="gte")
