"""What refers to a contact or a client, asked of the model graph, so that a new foreign key cannot be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.constraints import UniqueConstraint
from django.db.models.expressions import OrderBy
from django.db.models.lookups import IsNull

from flowledger.tenancy.models import OrgModel


@dataclass(frozen=True)
class Reference:
    """One foreign key that merges move."""

    model: type[Any]
    field: Any

    @property
    def model_label(self) -> str:
        """`workstream.signal`."""
        return str(self.model._meta.label_lower)

    @property
    def field_name(self) -> str:
        return str(self.field.name)

    @property
    def label(self) -> str:
        """`workstream.signal.contact`."""
        return f"{self.model_label}.{self.field_name}"

    @property
    def table(self) -> str:
        return str(self.model._meta.db_table)

    @property
    def column(self) -> str:
        return str(self.field.column)

    def naming(self, org: Any, pk: int) -> Any:
        """The rows that name this one."""
        return self.model.objects.for_org(org).filter(**{self.field.attname: pk})

    def colliding(self, org: Any, *, loser: int, survivor: int) -> Any:
        """Rows of the loser that a unique constraint keeps from becoming the survivor's: it has theirs already."""
        twins = Q()
        for constraint in self._unique():
            twins |= Q(Exists(self._twin(org, survivor, constraint))) & (constraint.condition or Q())
        rows = self.naming(org, loser)
        return rows.filter(twins) if twins else rows.none()

    @property
    def is_unique(self) -> bool:
        """Whether a unique constraint has a say in who is named."""
        return bool(self._unique())

    def _unique(self) -> list[UniqueConstraint]:
        """Every rule of uniqueness that the column is part of, however the model states it."""
        meta = self.model._meta
        found = [
            each
            for each in meta.constraints
            if isinstance(each, UniqueConstraint) and self.field_name in _fields_of(each)
        ]
        found += [
            UniqueConstraint(fields=names, name="together")
            for names in meta.unique_together
            if self.field_name in names
        ]
        if self.field.unique:
            found.append(UniqueConstraint(fields=[self.field_name], name="alone"))
        return found

    def _twin(self, org: Any, survivor: int, constraint: UniqueConstraint) -> Any:
        rows = self.naming(org, survivor).filter(constraint.condition or Q())
        for name in constraint.fields:
            if name in (self.field_name, "org"):
                continue
            same = Q(**{name: OuterRef(name)})
            if constraint.nulls_distinct is False:
                same |= Q(**{f"{name}__isnull": True}) & Q(IsNull(OuterRef(name), rhs=True))
            rows = rows.filter(same)
        for number, expression in enumerate(_without_order(each) for each in constraint.expressions):
            if _column(expression) in (self.field_name, "org"):
                continue
            rows = rows.alias(**{f"mine_{number}": expression}).filter(**{f"mine_{number}": _of_outer(expression)})
        return rows


def references_to(target: type[models.Model]) -> list[Reference]:
    """Every foreign key to a model that merges move, hidden ones too, in the order in which their rows are locked.

    A model says `follows_merges = False` where its rows have to go on naming whom they name. Raises
    ImproperlyConfigured for one that is no tenant model: nothing would tell an undo what became of its rows.
    """
    return sorted(_references(target), key=lambda each: (each.model_label, each.field_name))


def _references(target: type[models.Model]) -> Iterator[Reference]:
    for relation in target._meta.get_fields(include_hidden=True):
        if not isinstance(relation, models.ManyToOneRel):
            continue
        model: Any = relation.related_model
        meta = model._meta
        if meta.abstract or meta.proxy or not meta.managed or not getattr(model, "follows_merges", True):
            continue
        if not issubclass(model, OrgModel):
            raise ImproperlyConfigured(f"{meta.label} refers to {target._meta.label} and is no tenant model.")
        yield Reference(model, relation.field)


def _fields_of(constraint: UniqueConstraint) -> set[str]:
    names = set(constraint.fields)
    for expression in constraint.expressions:
        names |= {_column(leaf) for leaf in _leaves(expression)} - {""}
    return names


def _column(expression: Any) -> str:
    """The column that an expression is; blank when it is none."""
    return str(getattr(expression, "name", "")) if isinstance(expression, F) else ""


def _without_order(expression: Any) -> Any:
    return expression.expression if isinstance(expression, OrderBy) else expression


def _leaves(expression: Any) -> Iterator[Any]:
    inner = expression.get_source_expressions() if hasattr(expression, "get_source_expressions") else []
    if not inner:
        yield expression
    for each in inner:
        yield from _leaves(each)


def _of_outer(expression: Any) -> Any:
    """The expression about the outer row."""
    if isinstance(expression, F):
        return OuterRef(_column(expression))
    copied = expression.copy()
    copied.set_source_expressions([_of_outer(each) for each in expression.get_source_expressions()])
    return copied
