"""The base of endpoints that anybody may call: no credential, no scope, the same limits and the same errors."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flowledger.api import throttling


class PublicAPIView(APIView):
    """Anonymous; `more_statuses` are the refusals that its schema names beyond the usual."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    http_method_names = ("get", "post", "head")
    more_statuses: ClassVar[tuple[int, ...]] = ()

    def check_throttles(self, request: Request) -> None:
        """Only the address is known here."""
        throttling.require_within([throttling.address_limit(request)])

    def body(self, serializer_class: type[serializers.BaseSerializer[Any]]) -> dict[str, Any]:
        """The validated body. Raises ValidationError."""
        serializer = serializer_class(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        validated: dict[str, Any] = serializer.validated_data
        return validated

    def handle_exception(self, exc: Exception) -> Response:
        """An anonymous endpoint refuses in the same shape, without sending anybody to sign in elsewhere."""
        response = super().handle_exception(exc)
        response["Cache-Control"] = "no-store"
        return response
