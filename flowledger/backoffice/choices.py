"""What forms and filters may offer: rows of the organisation, and its members."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import RelatedFieldListFilter
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.db import models
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.contrib.filters.admin.mixins import AutocompleteMixin
from unfold.contrib.filters.forms import AutocompleteDropdownForm

from flowledger.backoffice.requests import org_of
from flowledger.tenancy.checks import has_org
from flowledger.tenancy.models import Membership, Organization, User


def members_of(org: Organization) -> QuerySet[User]:
    """The people with a live membership, by user name."""
    live = Membership.objects.for_org(org).filter(user=OuterRef("pk"), is_active=True)
    return User.objects.filter(Exists(live)).order_by("username")


def within(org: Organization, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Limit rows of any model to what the organisation may see of it."""
    if rows.model is User:
        return rows.filter(pk__in=members_of(org).order_by().values("pk"))
    if rows.model is Organization:
        return rows.filter(pk=org.pk)
    return rows.filter(org=org) if has_org(rows.model) else rows


class OrgChoices(RelatedFieldListFilter):
    """Makes a filter on a relation offer only what belongs to the organisation."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        rows = within(org_of(request), field.remote_field.model._default_manager.all())
        ordering = self.field_admin_ordering(field, request, model_admin)
        rows = rows.order_by(*ordering, "pk") if ordering else rows
        return [(row.pk, str(row)) for row in rows]


class OrgAutocompleteForm(AutocompleteDropdownForm):
    """As Unfold's, which asks the related model's `objects` and so fails on tenant models."""

    def __init__(
        self, request: HttpRequest, name: str, label: str, field: Any, model_admin: Any, **kwargs: Any
    ) -> None:
        forms.Form.__init__(self, data=kwargs.get("data"))
        many = bool(kwargs.get("multiple"))
        kind = forms.ModelMultipleChoiceField if many else forms.ModelChoiceField
        widget = AutocompleteSelectMultiple if many else AutocompleteSelect
        self.fields[name] = kind(
            label=label,
            required=False,
            queryset=within(org_of(request), field.remote_field.model._default_manager.all()),
            widget=widget(field, model_admin.admin_site, attrs={"class": "unfold-filter-autocomplete"}),
        )


class OrgAutocompleteFilter(AutocompleteSelectFilter):
    """A filter on a relation with many possible rows: they are found by search, nothing is listed beforehand."""

    form_class = OrgAutocompleteForm


def safe_filter(page: Any, declared: Any) -> Any:
    """The declared list filter of a page, with its choices limited when it filters by a relation of the model.

    A plain reference to something that can be searched becomes a search.
    """
    path, kind = declared if isinstance(declared, tuple | list) else (declared, None)
    field = _field_at(page.model, path) if isinstance(path, str) else None
    if field is None or not field.is_relation:
        return declared
    if kind is None:
        target = page.admin_site._registry.get(field.related_model)
        is_long = field.many_to_one and has_org(field.related_model) and bool(getattr(target, "search_fields", ()))
        return path, OrgAutocompleteFilter if is_long else OrgChoices
    if not isinstance(kind, type) or not issubclass(kind, RelatedFieldListFilter):
        return declared
    if issubclass(kind, AutocompleteMixin):
        return path, _with_our_form(kind)
    # First in line, so that the choices are ours whatever the filter looks like.
    return path, kind if issubclass(kind, OrgChoices) else type(kind.__name__, (OrgChoices, kind), {})


def _with_our_form(kind: Any) -> Any:
    return (
        kind
        if issubclass(kind.form_class, OrgAutocompleteForm)
        else type(kind.__name__, (kind,), {"form_class": OrgAutocompleteForm})
    )


def _field_at(model: type[models.Model], path: str) -> Any:
    """The field that a path of double-underscored names ends at; None where it is no plain path."""
    field: Any = None
    for name in path.split("__"):
        if model is None or not any(name == each.name for each in model._meta.get_fields()):
            return None
        field = model._meta.get_field(name)
        model = field.related_model
    return field
