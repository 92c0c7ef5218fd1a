"""`/api/in/mail/{token}`: where mail providers and mail servers post what they receive."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, ClassVar

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.encryption import SecretUnreadable
from flowledger.errors import Unavailable
from flowledger.tenancy.models import Organization
from workstream import services
from workstream.api.doors import read_body, require_source_within, sender_of, source_actor
from workstream.api.mail_providers import Unreadable, posted_messages
from workstream.api.views.intake_doors import NO_STORE, DeliveryTakenSerializer, DoorView
from workstream.models.intake import IntakeSource, SourceKind
from workstream.models.signals import Channel
from workstream.services import Outcome
from workstream.services.mail import take_mail
from workstream.services.sources import options_of, source_by_token

log = structlog.get_logger(__name__)


class MailDoorView(DoorView):
    """Email of a source, in the form of its provider, or as the message itself."""

    more_statuses: ClassVar[tuple[int, ...]] = (401, 404, 413, 503)
    http_method_names = ("post", "head")

    @extend_schema(exclude=True)
    def head(self, request: Request, token: str) -> Response:
        """Providers look whether there is something at the address before they take it."""
        source_by_token(token, kind=SourceKind.MAIL_HOOK)
        return Response(headers=NO_STORE)

    @extend_schema(
        request={
            "message/rfc822": OpenApiTypes.BINARY,
            "application/json": {},
            "multipart/form-data": {"type": "object", "additionalProperties": True},
            "application/x-www-form-urlencoded": {"type": "object", "additionalProperties": True},
        },
        responses=DeliveryTakenSerializer,
    )
    def post(self, request: Request, token: str) -> Response:
        """Deliver messages; the same message again changes nothing. Every message is stored for itself."""
        org, source = source_by_token(token, kind=SourceKind.MAIL_HOOK)
        require_source_within(source)
        plain = request._request
        body = read_body(plain, settings.MAX_MAIL_BYTES * 2)
        at = now()
        try:
            messages = posted_messages(plain, body, options=options_of(source), secrets=_secrets(source, at=at), at=at)
        except Unreadable as error:
            outcomes = [_reject(org, source, plain, body, str(error), at=at)]
        else:
            outcomes = [
                take_mail(org=org, source=source, raw=raw, sender=sender_of(request), actor=source_actor(source), at=at)
                for raw in messages
            ]
        counts: Counter[Any] = Counter(outcome.status for outcome in outcomes)
        return Response({name: counts[name] for name in ("created", "repeated", "rejected")}, headers=NO_STORE)


def _secrets(source: IntakeSource, *, at: datetime) -> list[str]:
    try:
        return source.secrets(at=at)
    except SecretUnreadable:
        raise Unavailable("The secret of this address cannot be read at present; the operator has to look.") from None


def _reject(
    org: Organization, source: IntakeSource, request: HttpRequest, body: bytes, reason: str, *, at: datetime
) -> Outcome:
    """Kept, and answered like everything that is kept: the provider could send nothing better."""
    reject = services.keep_reject(
        org=org,
        channel=Channel.EMAIL,
        source=source,
        body=body,
        content_type=request.headers.get("Content-Type", "")[:100],
        sender=sender_of(request),
        code="unreadable_delivery",
        reason=reason,
        actor=source_actor(source),
        at=at,
    )
    return Outcome("rejected", reject_id=reject.pk, code="unreadable_delivery", reason=reason)
