"""`/api/signals/{id}/cluster`: the other signals of one buying event, and linking them to a candidate together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from workstream import services
from workstream.api.serializers.clusters import (
    ClusterLinksSerializer,
    CompanySerializer,
    LinkedSignalSerializer,
    cluster_links,
)
from workstream.api.serializers.signals import LinkSignalBody
from workstream.services.cluster_links import company_of, unlinked_rest


class ClusterMixin:
    """Linking a signal, alone or with its cluster. Listed after OrgViewSet."""

    body_classes: ClassVar[Mapping[str, type[serializers.BaseSerializer[Any]]]] = {
        "link": LinkSignalBody,
        "link_cluster": LinkSignalBody,
    }

    @extend_schema(responses=LinkedSignalSerializer)
    @action(detail=True, methods=["post"])
    def link(self: Any, request: Request, pk: int) -> Response:
        """Put the signal behind a candidate; the answer offers the others of its cluster."""
        body = self.body()
        candidate_id = body.pop("candidate").pk
        signal = services.link_signal(
            org=self.org, signal_id=pk, candidate_id=candidate_id, **body, actor=self.actor, at=now()
        )
        rest = unlinked_rest(org=self.org, signal=signal, candidate_id=candidate_id)
        offer = {"cluster_id": signal.cluster_id, "candidate_id": candidate_id, "signal_ids": rest} if rest else None
        return self.reply(signal, cluster_offer=offer)

    @extend_schema(responses=CompanySerializer)
    @action(detail=True, methods=["get"])
    def cluster(self: Any, request: Request, pk: int) -> Response:
        """The other signals of the same buying event, how alike they are and what they feed."""
        company = company_of(org=self.org, signal=self.get_object())
        return Response(CompanySerializer(company, context=self.get_serializer_context()).data)

    @extend_schema(responses=ClusterLinksSerializer)
    @action(detail=True, methods=["post"], url_path="cluster/link")
    def link_cluster(self: Any, request: Request, pk: int) -> Response:
        """Put every signal of the cluster behind a candidate; a result per signal, and again changes nothing."""
        body = self.body()
        candidate_id = body.pop("candidate").pk
        results = services.link_cluster(
            org=self.org, signal_id=pk, candidate_id=candidate_id, **body, actor=self.actor, at=now()
        )
        return Response(cluster_links(results))
