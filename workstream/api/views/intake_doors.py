"""`/api/in/forms/{token}` and `/api/in/webhooks/{token}`: what anybody may post who has the token."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.views.public import PublicAPIView
from workstream.api.doors import (
    headers_of,
    read_body,
    read_form_body,
    require_form_within,
    require_origin,
    require_source_within,
    sender_of,
    source_actor,
    take_form,
)
from workstream.models.intake import SourceKind
from workstream.services import webhooks
from workstream.services.sources import options_of, source_by_token
from workstream.services.webhooks import MAX_DELIVERY_BYTES, Delivery

NO_STORE = {"Cache-Control": "no-store"}
_ANY_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
# How long a browser may remember a preflight.
PREFLIGHT_SECONDS = "600"


class FormTakenSerializer(serializers.Serializer[Any]):
    """The submission is in; `confirm` when its sender gets an email with a link to click first."""

    accepted = serializers.BooleanField()
    confirm = serializers.BooleanField()
    message = serializers.CharField()
    redirect_url = serializers.CharField(allow_blank=True)


class DeliveryTakenSerializer(serializers.Serializer[Any]):
    """What became of the items of a delivery; rejected ones are kept and can be fixed and replayed."""

    created = serializers.IntegerField()
    repeated = serializers.IntegerField()
    rejected = serializers.IntegerField()


class DoorView(PublicAPIView):
    """An endpoint of one source: 429 carries Retry-After, whoever refuses."""

    http_method_names = ("post", "options")  # type: ignore[assignment]

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if response.status_code == 429 and "Retry-After" not in response.headers:
            response["Retry-After"] = str(response.data["retry_after"])
        return response


class FormDoorView(DoorView):
    """Submissions of a web form, from pages of the allowed origins."""

    more_statuses: ClassVar[tuple[int, ...]] = (403, 404)
    _allowed_origin = ""

    @extend_schema(
        request={
            "application/json": _ANY_OBJECT,
            "application/x-www-form-urlencoded": _ANY_OBJECT,
            "multipart/form-data": _ANY_OBJECT,
        },
        responses=FormTakenSerializer,
    )
    def post(self, request: Request, token: str) -> Response:
        """Send a form: its inputs by name, `consent`, and utm_ values."""
        org, source = source_by_token(token, kind=SourceKind.WEB_FORM)
        options = options_of(source)
        self._allowed_origin = require_origin(request._request, options)
        require_source_within(source)
        require_form_within(request, source, options)
        taken = take_form(request._request, org, source, read_form_body(request._request))
        answer = {
            "accepted": True,
            "confirm": taken.asks,
            "message": "Please look into your mailbox and confirm." if taken.asks else options.thank_you,
            "redirect_url": options.redirect_url,
        }
        return Response(answer, headers=NO_STORE)

    @extend_schema(exclude=True)
    def options(self, request: Request, token: str) -> Response:  # type: ignore[override]
        """The preflight of browsers: which pages may send what."""
        _, source = source_by_token(token, kind=SourceKind.WEB_FORM)
        self._allowed_origin = require_origin(request._request, options_of(source))
        headers = {
            **NO_STORE,
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": PREFLIGHT_SECONDS,
        }
        return Response(status=204, headers=headers)

    def finalize_response(self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any) -> Any:
        """Refusals too can be read by the page that sent the form, if it may."""
        final = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        patch_vary_headers(final, ["Origin"])
        if self._allowed_origin:
            final["Access-Control-Allow-Origin"] = self._allowed_origin
        return final


class WebhookDoorView(DoorView):
    """Deliveries of a webhook, signed as the source says."""

    more_statuses: ClassVar[tuple[int, ...]] = (401, 404)
    http_method_names = ("post",)  # type: ignore[assignment]

    @extend_schema(
        request={"application/json": {}, "application/x-www-form-urlencoded": _ANY_OBJECT},
        responses=DeliveryTakenSerializer,
    )
    def post(self, request: Request, token: str) -> Response:
        """Deliver; the same delivery again changes nothing."""
        org, source = source_by_token(token, kind=SourceKind.WEBHOOK)
        require_source_within(source)
        plain = request._request
        delivery = Delivery(
            body=read_body(plain, MAX_DELIVERY_BYTES),
            content_type=plain.headers.get("Content-Type", ""),
            headers=headers_of(plain),
            sender=sender_of(request),
        )
        outcomes = webhooks.receive_webhook(
            org=org, source_id=source.pk, delivery=delivery, actor=source_actor(source), at=now()
        )
        counts = Counter(outcome.status for outcome in outcomes)
        return Response({name: counts[name] for name in ("created", "repeated", "rejected")}, headers=NO_STORE)
