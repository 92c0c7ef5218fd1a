"""`/api/memory/card`: what is known of an entity at a glance."""

from __future__ import annotations

from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api import etags
from flowledger.api.base import OrgAPIView
from flowledger.api.converters import MAX_ID
from flowledger.api.filters import refuse_unknown
from flowledger.errors import InvalidInput
from memory import services
from memory.api.serializers.cards import MemoryCardSerializer, body_of
from memory.models import ENTITY_MODELS


class CardView(OrgAPIView):
    """The memory card. Its ETag changes with what it says, who may read it and the visit it is compared with."""

    scope = "memory"
    versioned_reads = frozenset({"get"})
    more_statuses = (404,)

    @extend_schema(
        parameters=[
            OpenApiParameter("entity_type", str, required=True, enum=list(ENTITY_MODELS)),
            OpenApiParameter("entity_id", OpenApiTypes.INT64, required=True),
        ],
        responses=MemoryCardSerializer,
    )
    def get(self, request: Request) -> Response:
        """Facts, activity, decisions, risks and preferences of an entity, and what is new since you last looked."""
        entity_type, entity_id = self._entity()
        card = services.card_of(
            org=self.org,
            entity_type=entity_type,
            entity_id=entity_id,
            actor=self.actor,
            at=now(),
            is_known=lambda etag: etags.is_fresh(request.headers, etag),
        )
        headers = {"ETag": f"W/{card.etag}", "Age": str(card.age_seconds)}
        return Response(status=304, headers=headers) if card.is_known else Response(body_of(card), headers=headers)

    def _entity(self) -> tuple[str, int]:
        """What the query names. Raises InvalidInput."""
        params = self.request.query_params
        fields = refuse_unknown(params, ["entity_type", "entity_id", "org_id"])
        entity_type, entity_id = params.get("entity_type", ""), params.get("entity_id", "")
        if entity_type not in ENTITY_MODELS:
            fields["entity_type"] = [f"This must be one of: {', '.join(ENTITY_MODELS)}."]
        is_id = entity_id.isascii() and entity_id.isdigit() and len(entity_id) <= 19 and 1 <= int(entity_id) <= MAX_ID
        if not is_id:
            fields["entity_id"] = ["This must be the id of the entity."]
        if fields:
            name, sentences = next(iter(fields.items()))
            raise InvalidInput(f"{name}: {sentences[0]}", fields=fields)
        return entity_type, int(entity_id)
