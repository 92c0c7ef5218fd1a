"""`/api/proposals`."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from workstream import services
from workstream.api.filters import ProposalFilters
from workstream.api.serializers.items import EmptyBody
from workstream.api.serializers.pursuits import ProposalBody, ProposalSerializer
from workstream.models import Proposal


class ProposalViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Versions of proposals; immutable once sent."""

    model = Proposal
    resource = "proposal"
    scope = "workstream"
    serializer_class = ProposalSerializer
    filterset_class = ProposalFilters
    body_classes = {"partial_update": ProposalBody, "send": EmptyBody, "sign": EmptyBody, "void": EmptyBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")

    def partial_update(self, request: Request, pk: int) -> Response:
        """Edit a draft."""
        return self.reply(
            services.update_proposal(org=self.org, proposal_id=pk, fields=self.body(), actor=self.actor, at=now())
        )

    @action(detail=True, methods=["post"])
    def send(self, request: Request, pk: int) -> Response:
        """Send a draft to the contact and freeze it."""
        self.body()
        return self.reply(services.send_proposal(org=self.org, proposal_id=pk, actor=self.actor, at=now()))

    @action(detail=True, methods=["post"])
    def sign(self, request: Request, pk: int) -> Response:
        """Note the customer's signature."""
        self.body()
        return self.reply(services.sign_proposal(org=self.org, proposal_id=pk, actor=self.actor, at=now()))

    @action(detail=True, methods=["post"])
    def void(self, request: Request, pk: int) -> Response:
        """Withdraw a version."""
        self.body()
        return self.reply(services.void_proposal(org=self.org, proposal_id=pk, actor=self.actor, at=now()))
