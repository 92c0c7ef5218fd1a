"""The sealed viewset: rows of one organisation, listed, read and changed through services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db import models
from django.http import Http404
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from flowledger.api import etags
from flowledger.api.base import OrgAPIView, Target
from flowledger.api.filters import OrgFilterSet, refuse_unknown
from flowledger.api.pagination import PAGE_PARAMETERS, OrgPagination
from flowledger.errors import InvalidInput
from flowledger.tenancy.search import ALL_MATCHES, NEWEST_MATCHES

MAX_SEARCH = 200


class OrgViewSet(OrgAPIView, GenericViewSet, kernel=True):
    """Base of every endpoint about rows of one model.

    Subclasses say `model`, `resource`, `scope` and `serializer_class`, and may narrow or join in `scoped_queryset`,
    give `filterset_class` and `ordering_fields` (names, or names mapped to columns), and define `search`.
    """

    model: ClassVar[type[Any]]
    resource: ClassVar[str]
    filterset_class: ClassVar[type[OrgFilterSet] | None] = None
    ordering_fields: ClassVar[Sequence[str] | Mapping[str, str]] = ()
    pagination_class = OrgPagination
    lookup_field = "pk"
    lookup_value_converter = "id"
    queryset = None

    more_sealed: ClassVar[frozenset[str]] = frozenset(
        {
            "queryset",
            "get_queryset",
            "get_object",
            "filter_queryset",
            "check_object_permissions",
            "get_serializer_context",
            "pagination_class",
            "lookup_field",
            "lookup_value_converter",
        }
    )

    # Hooks ---------------------------------------------------------------------------------------------------

    def scoped_queryset(self, rows: Any) -> Any:
        """Joins, annotations and default order for `self.action`, on the organisation's rows."""
        return rows.order_by("pk")

    # `?q=`: a subclass that can search defines `search(self, rows, q)`, over an index that row security leaves usable;
    # one whose queryset has a search function says `search = OrgViewSet.search_words`.
    search: ClassVar[Any] = None

    def search_words(self, rows: Any, q: str) -> Any:
        """The newest matches; all that the search can find for whoever also filters or orders."""
        plain = self.request.query_params.keys() <= {"q", "org_id", *PAGE_PARAMETERS}
        return rows.search(q, at_most=NEWEST_MATCHES if plain else ALL_MATCHES)

    def etag_aspect(self, row: Any) -> str | None:
        """What the representation of a row shows that its version does not count; None for nothing."""
        return None

    def target(self) -> Target | None:
        """The model's row that `pk` names."""
        if "pk" not in self.kwargs:
            return None
        return Target(self.resource, self.model.objects.for_org(self.org).filter(pk=self.kwargs["pk"]))

    # What actions use ----------------------------------------------------------------------------------------

    def reply(
        self,
        row: Any,
        *,
        status: int = 200,
        serializer_class: type[serializers.BaseSerializer[Any]] | None = None,
        resource: str | None = None,
        **more: Any,
    ) -> Response:
        """One object with its ETag; `more` are further members of the answer (`previous_stage=…`)."""
        chosen = serializer_class or self.get_serializer_class()
        data = chosen(row, context=self.get_serializer_context()).data
        response = Response({**data, **more} if more else data, status=status)
        aspect = self.etag_aspect(row) if resource in {None, self.resource} else None
        response["ETag"] = etags.etag_for(resource or self.resource, row.pk, row.row_version, row.updated_at, aspect)
        return response

    def reply_unless_known(self, row: Any) -> Response:
        """One object, or 304 when the caller has it as it is."""
        etag = etags.etag_for(self.resource, row.pk, row.row_version, row.updated_at, self.etag_aspect(row))
        if etags.is_fresh(self.request.headers, etag):
            return Response(status=304, headers={"ETag": etag})
        return self.reply(row)

    def reply_list(
        self, rows: models.QuerySet[Any], serializer_class: type[serializers.BaseSerializer[Any]] | None = None
    ) -> Response:
        """One page of rows; for lists below an object, `require_exists()` comes first."""
        chosen = serializer_class or self.get_serializer_class()
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(chosen(page, many=True, context=self.get_serializer_context()).data)

    # The frame -----------------------------------------------------------------------------------------------

    def get_queryset(self) -> Any:
        """The organisation's rows, as `scoped_queryset` wants them."""
        if getattr(self, "swagger_fake_view", False):
            return self.model.all_orgs.none()
        return self.scoped_queryset(self.model.objects.for_org(self.org))

    def get_object(self) -> Any:
        """The row that the address names. Raises Http404."""
        row = self.get_queryset().filter(pk=self.kwargs["pk"]).order_by("pk").first()
        if row is None:
            raise Http404
        return row

    def filter_queryset(self, queryset: Any) -> Any:
        """Filters, search and order of a list. Raises InvalidInput for parameters that it does not know."""
        params = self.request.query_params
        names = list(self.filterset_class.get_filters()) if self.filterset_class else []
        known = [*PAGE_PARAMETERS, "org_id", *names]
        known += ["ordering"] if self.ordering_fields else []
        known += ["q"] if self.search else []
        fields = refuse_unknown(params, known)
        fields |= {name: ["NUL characters are not allowed."] for name in params if "\x00" in params[name]}
        if fields:
            name, sentences = next(iter(fields.items()))
            raise InvalidInput(f"{name}: {sentences[0]}", fields=fields)
        queryset = self._filtered(queryset)
        if self.search and (q := params.get("q", "").strip()):
            if len(q) > MAX_SEARCH:
                raise InvalidInput("The search is too long.", fields={"q": [f"At most {MAX_SEARCH} characters."]})
            queryset = self.search(queryset, q)
        return self._ordered(queryset, params.get("ordering", ""))

    def get_serializer_context(self) -> dict[str, Any]:
        """Relations are resolved in this organisation only."""
        context = dict(super().get_serializer_context())
        if getattr(self, "swagger_fake_view", False) or self.request is None:
            return context
        return {**context, "org": self.org, "actor": self.actor}

    def get_body_class(self) -> type[serializers.BaseSerializer[Any]] | None:
        """The representation itself is the body of create and update unless another is named."""
        named = super().get_body_class()
        if named is None and self.action_name in {"create", "update", "partial_update"}:
            return self.get_serializer_class()
        return named

    def _filtered(self, queryset: Any) -> Any:
        if self.filterset_class is None:
            return queryset
        filterset = self.filterset_class(self.request.query_params, queryset=queryset, request=self.request)
        if not filterset.is_valid():
            fields = {name: [str(sentence) for sentence in found] for name, found in filterset.errors.items()}
            name, sentences = next(iter(fields.items()))
            raise InvalidInput(f"{name}: {sentences[0]}", fields=fields)
        return filterset.qs

    def _ordered(self, queryset: Any, wanted: str) -> Any:
        """`?ordering=-due_date,title`; each name at most once, ties broken by the key in pagination."""
        columns = ordering_columns(self)
        terms: list[str] = []
        for name in filter(None, (part.strip() for part in wanted.split(","))):
            column = columns.get(name.removeprefix("-"))
            if column is None:
                choices = ", ".join(sorted(columns))
                raise InvalidInput(
                    f"ordering: '{name}' is not one of: {choices}.",
                    fields={"ordering": [f"'{name}' is not one of: {choices}; a leading - reverses."]},
                )
            if column not in {term.removeprefix("-") for term in terms}:
                terms.append(f"-{column}" if name.startswith("-") else column)
        return queryset.order_by(*terms) if terms else queryset


def ordering_columns(view: type[OrgViewSet] | OrgViewSet) -> dict[str, str]:
    """Names that `?ordering=` accepts, mapped to their columns."""
    fields = view.ordering_fields
    return dict(fields) if isinstance(fields, Mapping) else {name: name for name in fields}
