"""Reading, as viewsets mix it in after OrgViewSet; writing goes through services and has no mixin."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response


class ListModelMixin:
    """`GET /candidates`: filtered, searched, ordered, one page."""

    def list(self: Any, request: Request) -> Response:
        return self.reply_list(self.filter_queryset(self.get_queryset()))


class RetrieveModelMixin:
    """`GET /candidates/{id}`: the object with its ETag, or 304 when the caller has it."""

    def retrieve(self: Any, request: Request, pk: int) -> Response:
        return self.reply_unless_known(self.get_object())
