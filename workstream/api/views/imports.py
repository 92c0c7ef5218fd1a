"""`/api/signals/import`: CSV files of signals, contacts and clients, mapped, imported in the background, undone."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework.decorators import action
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.exports import csv_response, rows_in_batches, wants_bom
from flowledger.api.filters import ChoicesFilter, OrgFilterSet
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.parsers import StrictJSONParser
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import PermissionRefused, TooLarge
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.api.serializers.imports import (
    ImportOptionsBody,
    ImportSerializer,
    KeptSerializer,
    PreviewedRowSerializer,
    UploadBody,
)
from workstream.api.views.reports import BOM
from workstream.machines import ImportStatus
from workstream.models import ImportRun
from workstream.models.imports import ImportKind
from workstream.reports import imports as reports

# What a form with a file has around the file.
_FORM_BYTES = 64 * 1024
_PREVIEW = inline_serializer("ImportPreview", {"data": PreviewedRowSerializer(many=True)})


class UploadParser(MultiPartParser):
    """A form with a file; one that says that it is larger than CSV files may be is not read."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Raises TooLarge."""
        meta = (parser_context or {})["request"].META
        length = str(meta.get("CONTENT_LENGTH") or "")
        if length.isdigit() and int(length) > settings.MAX_IMPORT_BYTES + _FORM_BYTES:
            raise TooLarge(
                f"The file is larger than {settings.MAX_IMPORT_BYTES:,} bytes; split it.",
                max_bytes=settings.MAX_IMPORT_BYTES,
            )
        return super().parse(stream, media_type, parser_context)


class ImportFilters(OrgFilterSet):
    status = ChoicesFilter(choices=ImportStatus.choices)
    kind = ChoicesFilter(choices=ImportKind.choices)


class ImportViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """CSV imports, newest first."""

    model = ImportRun
    resource = "import"
    scope = "signals"
    serializer_class = ImportSerializer
    filterset_class = ImportFilters
    action_roles = dict.fromkeys(
        (
            *("list", "retrieve", "create", "partial_update"),
            *("preview", "start", "cancel", "undo", "errors", "kept"),
        ),
        Role.MANAGER,
    )
    # A preview of what was started.
    more_statuses = (409,)
    body_classes = {"create": UploadBody, "partial_update": ImportOptionsBody}

    def get_parsers(self) -> list[BaseParser]:
        """A form for the upload, JSON for everything else."""
        if getattr(self, "swagger_fake_view", False):
            return [UploadParser() if self.action == "create" else StrictJSONParser()]
        return [StrictJSONParser(), UploadParser()]

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")

    @extend_schema(responses={201: ImportSerializer})
    def create(self, request: Request) -> Response:
        """Upload a file; its columns are mapped as their headings suggest, and nothing is imported yet."""
        body = self.body()
        self._require_key(body["kind"])
        upload = body.pop("file")
        run = services.create_import(
            org=self.org, file=upload, file_name=upload.name or "", **body, actor=self.actor, at=now()
        )
        return self.reply(run, status=201)

    @extend_schema(responses=ImportSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Map columns and choose how to import."""
        run = services.change_import(org=self.org, import_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(run)

    @extend_schema(responses=_PREVIEW)
    @action(detail=True, methods=["get"])
    def preview(self, request: Request, pk: int) -> Response:
        """What importing the first rows now would do; nothing is stored."""
        rows = services.preview_import(org=self.org, import_id=pk, actor=self.actor, at=now())
        return Response({"data": PreviewedRowSerializer(rows, many=True).data})

    @extend_schema(responses=ImportSerializer)
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: int) -> Response:
        """Import in the background; poll the import for its progress."""
        self._require_key(self.get_object().kind)
        return self.reply(services.start_import(org=self.org, import_id=pk, actor=self.actor, at=now()))

    @extend_schema(responses=ImportSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Stop it; what was imported stays and can be undone."""
        return self.reply(services.cancel_import(org=self.org, import_id=pk, actor=self.actor, at=now()))

    @extend_schema(responses=ImportSerializer)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: int) -> Response:
        """Take back in the background what it created and changed; what was changed or used since is kept."""
        self._require_key(self.get_object().kind)
        return self.reply(services.undo_import(org=self.org, import_id=pk, actor=self.actor, at=now()))

    @extend_schema(
        parameters=[BOM],
        responses={
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="Rejected rows, with the reasons.")
        },
    )
    @action(detail=True, methods=["get"])
    def errors(self, request: Request, pk: int) -> HttpResponseBase:
        """The rejected rows as they were, with what is wrong: correct the file and upload it again."""
        run = self.get_object()
        lines = rows_in_batches(self.org, reports.rejected_rows(run), partial(reports.error_line, run))
        columns = reports.error_columns(run)
        return csv_response(f"import-{run.pk}-errors", columns, lines, bom=wants_bom(request))

    @extend_schema(responses=KeptSerializer(many=True))
    @action(detail=True, methods=["get"])
    def kept(self, request: Request, pk: int) -> Response:
        """What the undo left as it is, and why."""
        self.require_exists()
        return self.reply_list(reports.kept_changes(self.get_object()), KeptSerializer)

    def _require_key(self, kind: str) -> None:
        """A key for signals alone enters no contacts and clients of its own."""
        key = self.principal.key
        if key is not None and kind != ImportKind.SIGNALS and not key.allows("clients:write"):
            raise PermissionRefused("The API key lacks the scope clients:write.")
