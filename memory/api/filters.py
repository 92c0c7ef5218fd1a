"""Filters of the lists of memory."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from flowledger.api.filters import ChoicesFilter, IdsFilter, InstantFilter, OrgFilterSet, TextsFilter, YesNoFilter
from flowledger.errors import InvalidInput
from memory.machines import AtomState, ConflictStatus
from memory.models import ENTITY_MODELS, AtomLink, Audience, Kind

ENTITIES = [(name, name) for name in ENTITY_MODELS]


class TagsFilter(TextsFilter):
    """Rows with at least one of the tags."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs.filter(**{f"{self.field_name}__overlap": value}) if value else qs


class EntityTypeFilter(ChoicesFilter):
    """The kind of the entities that `entity_id` names."""

    takes_many = False

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs


class EntityIdFilter(IdsFilter):
    """Entities of the kind `entity_type`."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs


class AtomFilters(OrgFilterSet):
    """By entity, type, tag, author, time and state; without `state` the list is what is active."""

    entity_type = EntityTypeFilter(choices=ENTITIES)
    entity_id = EntityIdFilter()
    atom_type = ChoicesFilter("kind", choices=Kind.choices)
    tag = TagsFilter("tags")
    author_id = IdsFilter("author_id")
    audience = ChoicesFilter(choices=Audience.choices)
    state = ChoicesFilter(choices=AtomState.choices)
    pinned = YesNoFilter("is_pinned")
    since = InstantFilter("occurred_at", lookup_expr="gte")
    until = InstantFilter("occurred_at", lookup_expr="lt")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Through the links: what is said of a proposal is found by its client, too."""
        rows: QuerySet[Any] = super().filter_queryset(queryset)
        entities = _entities(self.form.cleaned_data)
        if entities is None:
            return rows
        return rows.filter(pk__in=AtomLink.objects.for_org(self.request.auth.org).filter(**entities).values("atom"))


class ConflictFilters(OrgFilterSet):
    """Without `status` the list is what is to be decided."""

    status = ChoicesFilter(choices=ConflictStatus.choices)


class HoldFilters(OrgFilterSet):
    """By entity, and whether it stands."""

    entity_type = EntityTypeFilter(choices=ENTITIES)
    entity_id = EntityIdFilter()
    standing = YesNoFilter("released_at", lookup_expr="isnull")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the entity's own column."""
        rows: QuerySet[Any] = super().filter_queryset(queryset)
        return rows.filter(**(_entities(self.form.cleaned_data) or {}))


def _entities(given: dict[str, Any]) -> dict[str, Any] | None:
    """The condition on the column of the entities; None when none are named. Raises InvalidInput for half of it."""
    types, ids = given["entity_type"], [pk for pk in given["entity_id"] if pk is not None]
    if not types and not ids:
        return None
    missing = "entity_id" if types else "entity_type"
    if not (types and ids):
        sentence = "Give entity_type and entity_id together."
        raise InvalidInput(f"{missing}: {sentence}", fields={missing: [sentence]})
    return {f"{types[-1]}__in": ids}
