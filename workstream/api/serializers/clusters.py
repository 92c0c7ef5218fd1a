"""Clusters: the other signals of one buying event, and what became of linking them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.errors import describe
from flowledger.api.fields import ID_SCHEMA
from flowledger.api.serializers import OrgSerializer
from workstream.api.serializers.signals import SignalSerializer
from workstream.models import SignalCluster
from workstream.services.cluster_links import Linked, LinkStatus, Member

ERROR_SCHEMA = {
    "anyOf": [
        *({"$ref": f"#/components/schemas/{name}"} for name in ("Forbidden", "NotFound", "InvalidTransition")),
        {"type": "null"},
    ],
    "description": "What linking this signal alone would have been refused with.",
}
PARAMETERS_SCHEMA = {"type": "object", "additionalProperties": True}
IDS_SCHEMA = {"type": "array", "items": ID_SCHEMA}


class ClusterSerializer(OrgSerializer):
    """Signals that are one buying event, and the algorithm that said so with its parameters."""

    parameters = extend_schema_field(PARAMETERS_SCHEMA)(serializers.JSONField)(read_only=True)

    class Meta:
        model = SignalCluster
        resource = "cluster"
        fields = ("label", "algorithm", "algorithm_version", "parameters")
        read_only_fields = fields


class MemberSerializer(serializers.Serializer[Any]):
    """Another signal of the cluster."""

    signal = SignalSerializer()
    similarity = serializers.FloatField(
        min_value=0, max_value=1, help_text="How alike the two texts are; 1 for the same words."
    )
    same_thread = serializers.BooleanField(help_text="Whether both are of one conversation by email.")
    is_linked = serializers.BooleanField(help_text="Whether it feeds a candidate.")
    candidate_ids = serializers.SerializerMethodField()

    @extend_schema_field(IDS_SCHEMA)
    def get_candidate_ids(self, member: Member) -> list[int]:
        return list(member.candidate_ids)


@extend_schema_serializer(component_name="SignalClusterCompany")
class CompanySerializer(serializers.Serializer[Any]):
    """The cluster of a signal and the others in it, the most alike first; null and none where it stands alone."""

    cluster = ClusterSerializer(allow_null=True)
    others = serializers.IntegerField(min_value=0, help_text="How many there are; at most 200 are shown.")
    signals = MemberSerializer(many=True, source="members")


class ClusterOfferSerializer(serializers.Serializer[Any]):
    """The other signals of the cluster that could feed the same candidate; POST /signals/{id}/cluster/link does it."""

    cluster_id = serializers.IntegerField(min_value=1)
    candidate_id = serializers.IntegerField(min_value=1)
    signal_ids = serializers.ListField(child=serializers.IntegerField(min_value=1))


class LinkedSignalSerializer(SignalSerializer):
    """A signal that was linked, and what could be linked with it; the offer is null where there is nothing."""

    cluster_offer = ClusterOfferSerializer(allow_null=True, read_only=True)

    class Meta(SignalSerializer.Meta):
        fields = (*SignalSerializer.Meta.fields, "cluster_offer")  # type: ignore[assignment]


class LinkedSerializer(serializers.Serializer[Any]):
    """What became of one signal."""

    signal_id = serializers.IntegerField(min_value=1)
    status = serializers.ChoiceField(choices=[(status.value, status.value) for status in LinkStatus])
    error = serializers.SerializerMethodField()

    @extend_schema_field(ERROR_SCHEMA)
    def get_error(self, linked: Linked) -> dict[str, Any] | None:
        """The body that the single endpoint would have answered with."""
        return None if linked.error is None else describe(linked.error)[1]


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Two linked, one rejected before",
            value={
                "linked": 2,
                "already_linked": 0,
                "refused": 1,
                "results": [
                    {"signal_id": 112, "status": "linked", "error": None},
                    {"signal_id": 118, "status": "linked", "error": None},
                    {
                        "signal_id": 120,
                        "status": "refused",
                        "error": {
                            "error": "A signal cannot go from rejected to linked; possible next states: none, "
                            "this state is final.",
                            "code": "invalid_transition",
                            "state_machine": "signal",
                            "current_state": "rejected",
                            "attempted_state": "linked",
                            "allowed_transitions": [],
                        },
                    },
                ],
            },
            response_only=True,
        )
    ]
)
class ClusterLinksSerializer(serializers.Serializer[Any]):
    """A result for every signal of the cluster that was looked at, and how many came out how."""

    linked = serializers.IntegerField(min_value=0)
    already_linked = serializers.IntegerField(min_value=0)
    refused = serializers.IntegerField(min_value=0)
    results = LinkedSerializer(many=True)


def cluster_links(results: list[Linked]) -> dict[str, Any]:
    """The answer to linking a cluster."""
    counts = {status.value: sum(each.status is status for each in results) for status in LinkStatus}
    return dict(ClusterLinksSerializer({**counts, "results": results}).data)
