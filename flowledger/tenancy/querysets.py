"""The ORM wall: tenant rows are asked for through an organisation, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import models
from django.db.models import F
from django_fsm import FSMFieldMixin

from flowledger.errors import NotFound, UnscopedQueryError

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization

M = TypeVar("M", bound=models.Model, covariant=True)


class OrgQuerySet(models.QuerySet[M]):
    """Questions that every tenant model answers."""

    def locked(self) -> Self:
        """Rows locked for change, themselves only: joined rows stay free. Order by key where more than one is taken."""
        return self.select_for_update(of=("self",), no_key=True)

    def fetch(self, pk: int) -> M:
        """The one row with this key. Raises NotFound, which doors answer with 404."""
        row = self.filter(pk=pk).first()
        if row is None:
            raise NotFound(f"There is no {self.model._meta.verbose_name} {pk} in this organisation.")
        return row

    def update(self, **kwargs: Any) -> int:
        """Bulk change of plain columns; also raises the row version. Refuses state fields: state moves by verbs."""
        for name in kwargs:
            if name != "row_version" and isinstance(self.model._meta.get_field(name), FSMFieldMixin):
                raise TypeError(f"{self.model.__name__}.{name} is a state; move it through its transitions.")
        if "row_version" not in kwargs and any(f.name == "row_version" for f in self.model._meta.concrete_fields):
            kwargs["row_version"] = F("row_version") + 1
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]


class OrgManager(models.Manager[M]):
    """Raises until an organisation is named. Combine: `objects = OrgManager.from_queryset(PursuitQuerySet)()`."""

    def get_queryset(self) -> Any:
        name = self.model.__name__
        raise UnscopedQueryError(f"{name}.objects needs for_org(); {name}.all_orgs crosses organisations.")

    def for_org(self, org: Organization | int) -> Any:
        """The rows of one organisation, as the model's own queryset class."""
        return super().get_queryset().filter(org=org)
