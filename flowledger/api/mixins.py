"""Reading, as viewsets mix it in after OrgViewSet; writing goes through services and has no mixin."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api import etags


class ListModelMixin:
    """`GET /candidates`: filtered, searched, ordered, one page."""

    def list(self: Any, request: Request) -> Response:
        return self.reply_list(self.filter_queryset(self.get_queryset()))


class RetrieveModelMixin:
    """`GET /candidates/{id}`: the object with its ETag, or 304 when the caller has it."""

    def retrieve(self: Any, request: Request, pk: int) -> Response:
        row = self.get_object()
        etag = etags.etag_for(self.resource, row.pk, row.row_version, self.etag_aspect(row))
        if etags.is_fresh(request.headers, etag):
            return Response(status=304, headers={"ETag": etag})
        return self.reply(row)
