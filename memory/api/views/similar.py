"""`/api/memory/similar`: closed deals that are like a pursuit, and what was learned from them."""

from __future__ import annotations

from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.converters import MAX_ID
from flowledger.api.filters import refuse_unknown
from flowledger.errors import InvalidInput
from memory import services
from memory.api.serializers.similar import SimilarDealsSerializer
from memory.services.similar import MOST_SIMILAR
from memory.services.vectors import prepare_question
from workstream.machines import CLOSED_STAGES, PursuitStage


class SimilarDealsView(OrgAPIView):
    """Why did we lose deals like this one, and why did we win them."""

    scope = "memory"
    # A remote embedding backend is asked before the transaction begins.
    stays_in_scope = False
    more_statuses = (404,)

    @extend_schema(
        parameters=[
            OpenApiParameter("pursuit_id", OpenApiTypes.INT64, required=True, description="The deal to compare with."),
            OpenApiParameter("outcome", str, enum=[stage.value for stage in CLOSED_STAGES], default="lost"),
            OpenApiParameter("q", str, description="Answer this from the decisions and risks of these deals."),
            OpenApiParameter("limit", int, description=f"Deals, {MOST_SIMILAR} at most; the rule says how many else."),
        ],
        responses=SimilarDealsSerializer,
    )
    def get(self, request: Request) -> Response:
        """The closed deals most like a pursuit with their decisions and risks, the most alike first."""
        params = request.query_params
        if unknown := refuse_unknown(params, ["pursuit_id", "outcome", "q", "limit", "org_id"]):
            name, sentences = next(iter(unknown.items()))
            raise InvalidInput(f"{name}: {sentences[0]}", fields=unknown)
        limit = self._number("limit", most=MOST_SIMILAR) if params.get("limit") else None
        if question := params.get("q", ""):
            prepare_question(org=self.org, question=question)
        found = services.recall_similar_deals(
            org=self.org,
            pursuit_id=self._number("pursuit_id", most=MAX_ID),
            outcome=params.get("outcome") or PursuitStage.LOST.value,
            question=question,
            limit=limit,
            actor=self.actor,
            at=now(),
        )
        return Response(SimilarDealsSerializer({"data": found}).data)

    def _number(self, name: str, *, most: int) -> int:
        text = self.request.query_params.get(name, "")
        if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= most):
            sentence = f"Give a whole number from 1 to {most:,}."
            raise InvalidInput(f"{name}: {sentence}", fields={name: [sentence]})
        return int(text)
