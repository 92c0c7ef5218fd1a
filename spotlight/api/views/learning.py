"""`/api/spotlights/{id}/learning` and `/api/spotlights/learning/{id}`: weights that outcomes propose."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.mixins import RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.actors import Role
from spotlight import services
from spotlight.api.serializers.learning import WeightProposalSerializer
from spotlight.models import Spotlight, WeightProposal
from workstream.api.serializers.items import EmptyBody


class SpotlightLearningViewSet(OrgViewSet):
    """What the closed pursuits propose for the weights of one profile."""

    model = WeightProposal
    resource = "proposal"
    scope = "workstream"
    serializer_class = WeightProposalSerializer
    action_roles = {"create": Role.MANAGER}
    body_classes = {"create": EmptyBody}

    def target(self) -> Target | None:
        return Target("spotlight", Spotlight.objects.for_org(self.org).filter(pk=self.kwargs["pk"]))

    @extend_schema(responses=WeightProposalSerializer(many=True))
    def list(self, request: Request, pk: int) -> Response:
        """All proposals for the profile, newest first."""
        self.require_exists()
        return self.reply_list(WeightProposal.objects.for_org(self.org).filter(spotlight=pk).order_by("-pk"))

    @extend_schema(responses={201: WeightProposalSerializer})
    def create(self, request: Request, pk: int) -> Response:
        """Learn from the closed pursuits; 409 says how many there are and how many are needed when they are too few."""
        self.body()
        proposal = services.propose_weights(org=self.org, spotlight_id=pk, actor=self.actor, at=now())
        return self.reply(proposal, status=201)


class WeightProposalViewSet(OrgViewSet, RetrieveModelMixin):
    """One proposal and what a manager decides about it."""

    model = WeightProposal
    resource = "proposal"
    scope = "workstream"
    serializer_class = WeightProposalSerializer
    action_roles = {"accept": Role.MANAGER, "reject": Role.MANAGER, "revert": Role.MANAGER}
    body_classes = {"accept": EmptyBody, "reject": EmptyBody, "revert": EmptyBody}

    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: int) -> Response:
        """Give the profile these weights; its items are scored anew."""
        return self._decided(services.accept_weights, pk)

    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: int) -> Response:
        """Leave the profile as it is."""
        return self._decided(services.reject_weights, pk)

    @action(detail=True, methods=["post"])
    def revert(self, request: Request, pk: int) -> Response:
        """Give the profile back what it was before; 409 when it was changed since."""
        return self._decided(services.revert_weights, pk)

    def _decided(self, decide: Any, pk: int) -> Response:
        self.body()
        return self.reply(decide(org=self.org, proposal_id=pk, actor=self.actor, at=now()))
