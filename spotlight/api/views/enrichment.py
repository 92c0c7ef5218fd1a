"""`/api/spotlights/enrichment`: facts that providers know of clients and contacts."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.filters import IdsFilter, OrgFilterSet, TextsFilter
from flowledger.api.mixins import ListModelMixin
from flowledger.api.viewsets import OrgViewSet
from spotlight.api.serializers.enrichment import EnrichedFactSerializer, FactsBody, StoredFactsSerializer
from spotlight.models import EnrichedFact
from spotlight.services.enrichment import store_facts


class FactFilters(OrgFilterSet):
    """By whom they are about, by field, and by who says so."""

    client_id = IdsFilter("client_id")
    contact_id = IdsFilter("contact_id")
    field_name = TextsFilter()
    provider = TextsFilter()


class EnrichmentViewSet(OrgViewSet, ListModelMixin):
    """What enrichment knows, the newest first."""

    model = EnrichedFact
    resource = "fact"
    scope = "clients"
    serializer_class = EnrichedFactSerializer
    filterset_class = FactFilters
    body_classes = {"create": FactsBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")

    @extend_schema(responses={200: StoredFactsSerializer})
    def create(self, request: Request) -> Response:
        """Store what a provider says; the newest word of each provider and field stands."""
        body = self.body()
        named = {f"{name}_id": body.pop(name).pk for name in ("client", "contact") if name in body}
        changed = store_facts(org=self.org, **named, **body, actor=self.actor, at=now())
        return Response(StoredFactsSerializer({"changed": changed}).data)
