"""`/api/memory/search`: a free question over all that is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.converters import MAX_ID
from flowledger.api.filters import InstantFilter, YesNoFilter, refuse_unknown
from flowledger.errors import InvalidInput
from memory.api.serializers.search import SearchSerializer
from memory.models import ENTITY_MODELS, Kind
from memory.search.questions import MAX_QUESTION
from memory.search.types import DEFAULT_LIMIT, MAX_LIMIT
from memory.services.search import SORTS, Filters, search
from memory.services.vectors import prepare_question

MAX_VALUES = 20
PARAMETERS = (
    *("q", "entity_type", "entity_id", "atom_type", "tag", "author_id", "since", "until"),
    *("include_archived", "sort", "cursor", "limit", "org_id"),
)


class MemorySearchView(OrgAPIView):
    """What is known that answers a question."""

    scope = "memory"
    # A remote embedding backend is asked before the transaction begins.
    stays_in_scope = False

    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, required=True, description=f"The question, at most {MAX_QUESTION} characters."),
            OpenApiParameter("entity_type", str, enum=list(ENTITY_MODELS), description="Only what is linked to it."),
            OpenApiParameter("entity_id", OpenApiTypes.INT64, description="Goes with entity_type."),
            OpenApiParameter("atom_type", str, enum=Kind.values, many=True),
            OpenApiParameter("tag", str, many=True),
            OpenApiParameter("author_id", OpenApiTypes.INT64),
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="Happened then or later."),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="Happened before."),
            OpenApiParameter("include_archived", bool, default=False, description="Archived and superseded ones, too."),
            OpenApiParameter("sort", str, enum=list(SORTS), default=SORTS[0], description="`recent` favours the new."),
            OpenApiParameter("cursor", str, description="Goes on where a page ended, whatever was written since."),
            OpenApiParameter("limit", int, default=DEFAULT_LIMIT, description=f"Hits of a page, at most {MAX_LIMIT}."),
        ],
        responses=SearchSerializer,
    )
    def get(self, request: Request) -> Response:
        """The atoms that answer a question best, with passages, sources and the parts of each score."""
        params = request.query_params
        if unknown := refuse_unknown(params, PARAMETERS):
            name, sentences = next(iter(unknown.items()))
            raise InvalidInput(f"{name}: {sentences[0]}", fields=unknown)
        question = params.get("q", "")
        cursor = params.get("cursor", "")
        limit = self._value("limit", _number(MAX_LIMIT)) or DEFAULT_LIMIT
        filters = self._filters()
        if 0 < len(question) <= MAX_QUESTION and not cursor:
            prepare_question(org=self.org, question=question)
        found = search(
            org=self.org,
            question=question,
            filters=filters,
            sort=params.get("sort") or SORTS[0],
            actor=self.actor,
            at=now(),
            limit=limit,
            cursor=cursor,
        )
        return Response(SearchSerializer(found).data)

    def _filters(self) -> Filters:
        """Raises InvalidInput for values that mean nothing."""
        entity_type, entity_id = self.request.query_params.get("entity_type"), self._value("entity_id", _number(MAX_ID))
        if (entity_type is None) is not (entity_id is None):
            _refuse("entity_type" if entity_type is None else "entity_id", "Give entity_type and entity_id together.")
        if entity_type is not None and entity_type not in ENTITY_MODELS:
            _refuse("entity_type", f"'{entity_type[:20]}' is not one of: {', '.join(ENTITY_MODELS)}.")
        kinds = self._values("atom_type")
        if strange := [kind for kind in kinds if kind not in Kind.values]:
            _refuse("atom_type", f"'{strange[0][:20]}' is not one of: {', '.join(Kind.values)}.")
        return Filters(
            entities=() if entity_type is None or entity_id is None else ((entity_type, entity_id),),
            kinds=kinds,
            tags=self._values("tag"),
            author_id=self._value("author_id", _number(MAX_ID)),
            since=self._value("since", InstantFilter().convert),
            until=self._value("until", InstantFilter().convert),
            include_archived=bool(self._value("include_archived", YesNoFilter().convert)),
        )

    def _values(self, name: str) -> tuple[str, ...]:
        given = [part.strip() for text in self.request.query_params.getlist(name) for part in text.split(",")]
        if len(given) > MAX_VALUES:
            _refuse(name, f"At most {MAX_VALUES} values can be given.")
        if any("\x00" in text for text in given):
            _refuse(name, "NUL characters cannot be searched for.")
        return tuple(text for text in given if text)

    def _value(self, name: str, convert: Callable[[str], Any]) -> Any:
        text = self.request.query_params.get(name)
        if not text:
            return None
        try:
            return convert(text)
        except ValueError as error:
            return _refuse(name, str(error))


def _number(most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= most):
            raise ValueError(f"Give a whole number from 1 to {most:,}.")
        return int(text)

    return convert


def _refuse(name: str, sentence: str) -> None:
    raise InvalidInput(f"{name}: {sentence}", fields={name: [sentence]})
