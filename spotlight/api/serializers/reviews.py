"""The review queue: signals that wait for somebody to decide, and what became of deciding."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.converters import MAX_ID
from flowledger.api.errors import describe
from flowledger.api.serializers import Body, OrgSerializer
from spotlight.models import RoutedSignal
from spotlight.services.reviews import MOST_DECIDED, Decided
from workstream.api.serializers.signals import SignalSerializer

ERROR_SCHEMA = {
    "anyOf": [
        *(
            {"$ref": f"#/components/schemas/{name}"}
            for name in ("ValidationError", "Forbidden", "NotFound", "Conflict", "InvalidTransition")
        ),
        {"type": "null"},
    ],
    "description": "What deciding about this signal alone would have been refused with.",
}


class ReviewSerializer(OrgSerializer):
    """A signal that was routed into the review queue, and what was decided.

    `recommendation` is the best that it had when it was routed, `match_score` what it has while it waits.
    """

    class Meta:
        model = RoutedSignal
        resource = "review"
        fields = (
            "signal_id",
            "review_status",
            "spotlight_id",
            "recommendation",
            "match_score",
            "reason",
            "candidate_id",
            "routed_at",
            "decided_at",
            "decided_by_user_id",
            "decision_note",
        )
        read_only_fields = fields


class ListedReviewSerializer(ReviewSerializer):
    """A signal of the queue with what it said and the sentences that make its score."""

    sentences = serializers.SerializerMethodField(
        help_text="What counts most for it and against it; none once the profile or the score is gone."
    )
    signal = SignalSerializer(read_only=True)

    class Meta(ReviewSerializer.Meta):
        fields = (*ReviewSerializer.Meta.fields, "sentences", "signal")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    def get_sentences(self, review: RoutedSignal) -> list[str]:
        said: list[str] = self.context["sentences"].get(review.pk, [])
        return said


class DecisionBody(Body):
    """Why it was decided so, for those who come later."""

    note = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


@extend_schema_serializer(
    examples=[OpenApiExample("Two at once", value={"signal_ids": [112, 118], "note": "Both asked for a demo"})]
)
class DecisionsBody(DecisionBody):
    """The signals to decide about, and why."""

    signal_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID), min_length=1, max_length=MOST_DECIDED
    )


class DecidedSerializer(serializers.Serializer[Any]):
    """What became of one signal."""

    signal_id = serializers.IntegerField(min_value=1)
    ok = serializers.SerializerMethodField()
    candidate_id = serializers.SerializerMethodField(help_text="The candidate that an accepted signal feeds.")
    error = serializers.SerializerMethodField()

    def get_ok(self, decided: Decided) -> bool:
        return decided.error is None

    def get_candidate_id(self, decided: Decided) -> int | None:
        return None if decided.review is None else decided.review.candidate_id

    @extend_schema_field(ERROR_SCHEMA)
    def get_error(self, decided: Decided) -> dict[str, Any] | None:
        """The body that the single endpoint would have answered with."""
        return None if decided.error is None else describe(decided.error)[1]


class DecisionsSerializer(serializers.Serializer[Any]):
    """A result for every signal, in the order asked; `decided` and `refused` count signals, each once."""

    decided = serializers.IntegerField(min_value=0)
    refused = serializers.IntegerField(min_value=0)
    results = DecidedSerializer(many=True)


def decisions(results: list[Decided]) -> dict[str, Any]:
    """The answer to deciding about several."""
    each = {result.signal_id: result for result in results}.values()
    refused = sum(result.error is not None for result in each)
    shown = {"decided": len(each) - refused, "refused": refused, "results": results}
    return dict(DecisionsSerializer(shown).data)
