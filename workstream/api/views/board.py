"""`/api/workstream/board`: the pipeline as columns of cards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from django.core import signing
from django.core.exceptions import ValidationError
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api import etags
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import InvalidInput
from flowledger.tenancy.search import ALL_MATCHES
from workstream.api.filters import CandidateBoardFilters, PursuitBoardFilters
from workstream.api.serializers.board import BoardSerializer
from workstream.models import Candidate, Pursuit
from workstream.reports.board import (
    CANDIDATES,
    PURSUITS,
    Board,
    Column,
    Ordering,
    Place,
    board_columns,
    place_from_json,
    place_to_json,
)

DEFAULT_CARDS = 25
MAX_CARDS = 100
# What may differ between a page and the one that its cursor leads to.
OF_THE_PAGE = ("cursor", "limit", "column", "closed", "order", "org_id")

_signer = signing.Signer(salt="workstream.api.board")

CURSOR = OpenApiParameter(
    "cursor", str, description="`next` of the column before; with this one `column`, and the same filters and order."
)


class _BoardViewSet(OrgViewSet):
    """A board of one model. The ETag is a digest of the answer without its ages: a 304 can hide no change."""

    scope = "workstream"
    serializer_class = BoardSerializer
    versioned_reads = frozenset({"list"})
    board: ClassVar[Board]

    def scoped_queryset(self, rows: Any) -> Any:
        return rows

    def search(self, rows: Any, q: str) -> Any:
        """As many matches as a search can find: the columns count them."""
        return rows.search(q, at_most=ALL_MATCHES)

    @extend_schema(responses=BoardSerializer, parameters=[CURSOR])
    def list(self, request: Request) -> Response:
        """Columns in the order of the machine, each with its count, sums and first cards."""
        rows = self.filter_queryset(self.get_queryset())
        wanted = self._wanted()
        ordering = Ordering((wanted["order"] or [Ordering.PRIORITY])[-1])
        question = self._question(ordering)
        columns = board_columns(
            self.board,
            org=self.org,
            rows=rows,
            states=wanted["column"] or self._states(closed=bool(wanted["closed"] and wanted["closed"][-1])),
            ordering=ordering,
            limit=min((wanted["limit"] or [DEFAULT_CARDS])[-1], MAX_CARDS),
            after=self._place(question, wanted["column"]),
            whole=not self.request.query_params.keys() - {*OF_THE_PAGE},
            at=now(),
        )
        shown = {"order": ordering, "counts_are_lower_bounds": rows.reached_cap, "columns": columns}
        data = BoardSerializer(shown, context={"cursor_of": partial(_write_cursor, question)}).data
        etag = f'"{self.resource}-{_digest(data)}"'
        if etags.is_fresh(request.headers, etag):
            return Response(status=304, headers={"ETag": etag})
        return Response(data, headers={"ETag": etag})

    def _wanted(self) -> dict[str, Any]:
        """What was asked for, as the filters have read it; `filter_queryset` has refused what they cannot read."""
        if "page" in self.request.query_params:
            raise InvalidInput("A column is read on by its cursor.", fields={"page": ["A board has no pages."]})
        assert self.filterset_class is not None
        form = self.filterset_class(
            self.request.query_params, queryset=self.model.all_orgs.none(), request=self.request
        ).form
        form.is_valid()
        return dict(form.cleaned_data)

    def _states(self, *, closed: bool) -> Sequence[str]:
        return [state for state in self.board.states if closed or state not in self.board.closed]

    def _question(self, ordering: Ordering) -> str:
        """Fingerprint of what was asked for; a cursor continues the same question only."""
        parameters = sorted(
            (name, values) for name, values in self.request.query_params.lists() if name not in OF_THE_PAGE
        )
        return _digest([self.resource, ordering, parameters])[:16]

    def _place(self, question: str, columns: Sequence[str]) -> Place | None:
        """Where the one column is to be read on. Raises InvalidInput for a cursor that does not belong here."""
        text = self.request.query_params.get("cursor")
        if not text:
            return None
        if len(columns) != 1:
            raise InvalidInput(
                "Say which column is read on.", fields={"column": ["A cursor needs exactly one column beside it."]}
            )
        try:
            asked, state, stretch, values = _signer.unsign_object(text)
            if [asked, state] != [question, columns[0]]:
                raise InvalidInput(
                    "The cursor belongs to another column; start again without it.",
                    fields={"cursor": ["Column, filters and order must stay the same while reading on."]},
                )
            return place_from_json(self.board, stretch, values)
        except (signing.BadSignature, ValueError, TypeError, KeyError, ValidationError):
            raise InvalidInput(
                "The cursor is not one of ours; start again without it.", fields={"cursor": ["This is no cursor."]}
            ) from None


class CandidateBoardViewSet(_BoardViewSet):
    """Candidates by status."""

    model = Candidate
    resource = "candidate_board"
    filterset_class = CandidateBoardFilters
    board = CANDIDATES


class PursuitBoardViewSet(_BoardViewSet):
    """Pursuits by stage."""

    model = Pursuit
    resource = "pursuit_board"
    filterset_class = PursuitBoardFilters
    board = PURSUITS


def _write_cursor(question: str, column: Column) -> str | None:
    if column.next is None:
        return None
    return _signer.sign_object([question, column.state, column.next.stretch, place_to_json(column.next)])


def _digest(data: Any) -> str:
    """SHA-256 over the answer; ages change by themselves and are no change of the board."""
    text = json.dumps(_without_ages(data), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _without_ages(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _without_ages(value) for name, value in data.items() if name != "days_since_touch"}
    if isinstance(data, list | tuple):
        return [_without_ages(value) for value in data]
    return data
