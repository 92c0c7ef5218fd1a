"""Use cases of the organisation's vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Lower

from flowledger.errors import Conflict, InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.models import Candidate, CandidateTag, Problem, Pursuit, PursuitTag, Solution, Tag

MOST_TAGS = 30


def tags_named(*, org: Organization, names: Sequence[str]) -> list[Tag]:
    """The tags with these names, made where missing; names compare without case. Safe under concurrency.

    Raises InvalidInput for blank, long or too many names.
    """
    wanted = {name.strip().lower(): name.strip() for name in names}
    longest = Tag._meta.get_field("name").max_length or 0
    if len(wanted) > MOST_TAGS or any(not key or len(key) > longest for key in wanted):
        sentence = f"Give at most {MOST_TAGS} tags of 1 to {longest} characters."
        raise InvalidInput(sentence, fields={"tags": [sentence]})
    if not wanted:
        return []
    rows = Tag.objects.for_org(org).annotate(key=Lower("name")).filter(key__in=wanted)
    found = {row.key: row for row in rows}
    if len(found) < len(wanted):
        Tag.objects.for_org(org).bulk_create(
            [Tag(org=org, name=wanted[key]) for key in sorted(wanted) if key not in found], ignore_conflicts=True
        )
        found = {row.key: row for row in rows.all()}
    return [found[key] for key in sorted(wanted)]


def names_of_tags(item: Candidate | Pursuit) -> list[str]:
    """The names of an item's tags in order."""
    return list(item.tag_links.order_by("tag__name", "tag_id").values_list("tag__name", flat=True))


def attach_tags(
    *,
    org: Organization,
    through: type[CandidateTag] | type[PursuitTag],
    item: Candidate | Pursuit,
    names: Sequence[str],
    replace: bool = False,
) -> bool:
    """Put tags on a locked or new item; with `replace` the others come off. Answers whether its tags are others now."""
    tags = tags_named(org=org, names=names)
    column = item._meta.model_name or ""
    links = through.objects.for_org(org).filter(**{column: item})
    wanted = {tag.pk for tag in tags}
    before: set[int] = set(links.values_list("tag_id", flat=True)) if replace else set()
    if before - wanted:
        links.exclude(tag__in=tags).delete()
    if tags:
        through.objects.for_org(org).bulk_create(
            [through(org=org, tag=tag, **{column: item}) for tag in tags], ignore_conflicts=True
        )
    return before != wanted


@use_case
def save_problem(
    *, org: Organization, problem_id: int | None, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Problem:
    """Add or change an entry of the problem taxonomy. Raises PermissionRefused, NotFound, Conflict on a taken name."""
    authorize(actor, "edit_taxonomy")
    row = Problem(org=org) if problem_id is None else Problem.objects.for_org(org).locked().fetch(problem_id)
    _save_named(row, fields, {"name", "definition", "is_active"})
    return row


@use_case
def save_solution(
    *, org: Organization, solution_id: int | None, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Solution:
    """Add or change an entry of the catalogue. Raises PermissionRefused, NotFound, Conflict on a taken name."""
    authorize(actor, "edit_taxonomy")
    row = Solution(org=org) if solution_id is None else Solution.objects.for_org(org).locked().fetch(solution_id)
    _save_named(row, fields, {"name", "playbook_reference", "list_price", "is_active"})
    return row


@use_case
def save_tag(*, org: Organization, tag_id: int | None, fields: Mapping[str, Any], actor: Actor, at: datetime) -> Tag:
    """Add or rename a tag; it stays on its items, whose versions grow because they show its name.

    Raises PermissionRefused, NotFound, Conflict on a taken name.
    """
    authorize(actor, "edit_taxonomy")
    row = Tag(org=org) if tag_id is None else Tag.objects.for_org(org).locked().fetch(tag_id)
    _save_named(row, fields, {"name"})
    if tag_id is not None:
        for through, model in ((CandidateTag, Candidate), (PursuitTag, Pursuit)):
            carrying = through.objects.for_org(org).filter(tag=row).values(model._meta.model_name or "")
            model.objects.for_org(org).filter(pk__in=carrying).update(updated_at=at)
    return row


def _save_named(row: Problem | Solution | Tag, fields: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(fields) - known)
    if unknown:
        raise InvalidInput(f"There is no field {', '.join(unknown)} to write.")
    for name, value in fields.items():
        setattr(row, name, value)
    if not row.name.strip():
        raise InvalidInput("A name is needed.", fields={"name": ["This must not be blank."]})
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        kind = row._meta.verbose_name
        raise Conflict(f"There is a {kind} named '{row.name}' already; change that one instead.") from error
