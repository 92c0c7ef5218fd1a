"""The outbox over REST: dead letters with retry, discard and redaction, one or many, and the catalogue of events."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef
from django.db.models.functions import JSONObject
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.converters import MAX_ID
from flowledger.api.fields import InstantField
from flowledger.api.filters import ChoicesFilter, OrgFilterSet, TextsFilter
from flowledger.api.mixins import ListModelMixin
from flowledger.api.permissions import ANY_KEY
from flowledger.api.serializers import Body
from flowledger.api.viewsets import OrgViewSet
from flowledger.outbox import services
from flowledger.outbox.events import published_catalogue
from flowledger.outbox.letters import MOST_LETTERS, Choice, LettersResult
from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.tenancy.actors import Origin, Role


class FailureSerializer(serializers.Serializer[object]):
    """The latest failure of a handler that has not succeeded since; as the database put it together."""

    handler = serializers.CharField()
    attempt = serializers.IntegerField()
    error = serializers.CharField()
    traceback = serializers.CharField()
    failed_at = serializers.CharField()


class DeadLetterSerializer(serializers.Serializer[WorkEvent]):
    """An event that was given up, with what went wrong."""

    dead_letter_id = serializers.IntegerField(source="pk")
    org_id = serializers.IntegerField()
    event_name = serializers.CharField()
    item_type = serializers.CharField()
    item_id = serializers.IntegerField(allow_null=True)
    payload = serializers.DictField()
    redacted_at = InstantField(allow_null=True)
    actor = serializers.CharField(source="actor_label")
    origin = serializers.ChoiceField(choices=Origin.choices)
    occurred_at = InstantField()
    recorded_at = InstantField()
    attempts = serializers.IntegerField()
    crashes = serializers.IntegerField()
    last_error = serializers.CharField()
    dead_letter_at = InstantField(allow_null=True)
    retried_at = InstantField(allow_null=True)
    retried_by = serializers.CharField()
    discarded_at = InstantField(allow_null=True)
    discarded_by = serializers.CharField()
    discard_reason = serializers.CharField()
    failures = FailureSerializer(many=True)


class DiscardBody(Body):
    """Why nobody needs the event."""

    reason = serializers.CharField(max_length=1_000)


class RedactBody(Body):
    """Why the texts have to go; kept with the event that tells of it."""

    reason = serializers.CharField(max_length=1_000)


class LettersBody(Body):
    """Which dead letters: by id, or the first thousand of those with this event name or a handler that failed."""

    dead_letter_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID),
        required=False,
        allow_empty=False,
        max_length=MOST_LETTERS,
    )
    event_name = serializers.CharField(required=False, max_length=100)
    handler = serializers.CharField(required=False, max_length=100)


class DiscardLettersBody(LettersBody):
    """Which dead letters, and why nobody needs them."""

    reason = serializers.CharField(max_length=1_000)


class LetterResultSerializer(serializers.Serializer[object]):
    """What became of one; `error` and `code` are those that the single endpoint would have answered with."""

    dead_letter_id = serializers.IntegerField()
    done = serializers.BooleanField()
    error = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True)


class LettersResultSerializer(serializers.Serializer[object]):
    """What became of each; with `more` the filter holds others, and the same request takes the next."""

    done = serializers.IntegerField(min_value=0)
    refused = serializers.IntegerField(min_value=0)
    more = serializers.BooleanField()
    results = LetterResultSerializer(many=True)


class FailedHandlersFilter(TextsFilter):
    """Handlers that have failed and not succeeded since."""

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.failed_in(*value) if value else qs


class DeadLetterFilters(OrgFilterSet):
    """Filters of the dead-letter list."""

    event_name = TextsFilter("event_name")
    handler = FailedHandlersFilter(help_text="A handler that has failed and not succeeded since.")
    item_type = TextsFilter("item_type")
    origin = ChoicesFilter("origin", choices=Origin.choices)


class DeadLetterViewSet(OrgViewSet, ListModelMixin):
    """Events that were given up after their last attempt."""

    model = WorkEvent
    resource = "dead_letter"
    scope = "outbox"
    serializer_class = DeadLetterSerializer
    filterset_class = DeadLetterFilters
    action_roles = dict.fromkeys(("list", "retry", "discard", "redact", "retry_many", "discard_many"), Role.MANAGER)

    def scoped_queryset(self, rows: Any) -> Any:
        failures = HandlerFailure.objects.for_org(self.org).filter(event_id=OuterRef("pk")).unresolved()
        summary = JSONObject(**{name: F(name) for name in ("handler", "attempt", "error", "traceback", "failed_at")})
        rows = rows.annotate(failures=ArraySubquery(failures.order_by("handler").values_list(summary)))
        return rows.dead().order_by("-dead_letter_at", "-pk") if self.action == "list" else rows

    @extend_schema(responses=DeadLetterSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Deliver the event again, with a full set of attempts; handlers that succeeded are not run again."""
        services.retry_dead_letter(org=self.org, event_id=pk, actor=self.actor, at=now())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses=DeadLetterSerializer)
    @action(detail=True, methods=["post"], body_class=DiscardBody)
    def discard(self, request: Request, pk: int) -> Response:
        """Take the event off the list without delivering it; the reason stays on it."""
        reason = self.body()["reason"]
        services.discard_dead_letter(org=self.org, event_id=pk, reason=reason, actor=self.actor, at=now())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses=DeadLetterSerializer)
    @action(detail=True, methods=["post"], body_class=RedactBody)
    def redact(self, request: Request, pk: int) -> Response:
        """Blank every text of the payload, the errors and the tracebacks, for good; ids and numbers stay."""
        reason = self.body()["reason"]
        services.redact_event(org=self.org, event_id=pk, reason=reason, actor=self.actor, at=now())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses=LettersResultSerializer)
    @action(detail=False, methods=["post"], url_path="retry", body_class=LettersBody)
    def retry_many(self, request: Request) -> Response:
        """Deliver many events again, all in one transaction; those that are no dead letters are named."""
        choice = _choice(self.body())
        result = services.retry_dead_letters(org=self.org, choice=choice, actor=self.actor, at=now())
        return Response(_told(result))

    @extend_schema(responses=LettersResultSerializer)
    @action(detail=False, methods=["post"], url_path="discard", body_class=DiscardLettersBody)
    def discard_many(self, request: Request) -> Response:
        """Take many events off the list, all in one transaction; the reason stays on each."""
        body = self.body()
        choice, reason = _choice(body), body["reason"]
        result = services.discard_dead_letters(org=self.org, choice=choice, reason=reason, actor=self.actor, at=now())
        return Response(_told(result))


def _choice(body: dict[str, Any]) -> Choice:
    return Choice(
        event_ids=body.get("dead_letter_ids", ()),
        event_name=body.get("event_name", ""),
        handler=body.get("handler", ""),
    )


def _told(result: LettersResult) -> dict[str, Any]:
    return {
        "done": len(result.done),
        "refused": len(result.refused),
        "more": result.more,
        "results": [
            {
                "dead_letter_id": each.event_id,
                "done": each.refusal is None,
                "error": each.refusal.message if each.refusal else None,
                "code": each.refusal.code if each.refusal else None,
            }
            for each in result.results
        ],
    }


class EventTypeSerializer(serializers.Serializer[object]):
    """A kind of event; `schema` is the JSON schema of its payload."""

    name = serializers.CharField()
    item_type = serializers.CharField()
    description = serializers.CharField()
    schema = serializers.DictField()


class CatalogueSerializer(serializers.Serializer[object]):
    """Every event that can happen."""

    events = EventTypeSerializer(many=True)


class CatalogueView(OrgAPIView):
    """The catalogue of events, for authors of webhooks and automations."""

    scope = ANY_KEY

    @extend_schema(responses=CatalogueSerializer)
    def get(self, request: Request) -> Response:
        """All event names with what they are about and the schema of their payload."""
        return Response({"events": list(published_catalogue())})
