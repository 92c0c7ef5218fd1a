"""Forms of the back office: rows of an organisation, and the questions a transition asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models
from django.utils.functional import cached_property
from django.utils.text import get_text_list
from unfold import widgets

from flowledger.backoffice.refusals import explain
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.models import Organization, User

VERSION_FIELD = "row_version"

_WIDGETS: dict[type[forms.Widget], type[forms.Widget]] = {
    forms.TextInput: widgets.UnfoldAdminTextInputWidget,
    forms.EmailInput: widgets.UnfoldAdminEmailInputWidget,
    forms.URLInput: widgets.UnfoldAdminURLInputWidget,
    forms.NumberInput: widgets.UnfoldAdminDecimalFieldWidget,
    forms.Textarea: widgets.UnfoldAdminTextareaWidget,
    forms.Select: widgets.UnfoldAdminSelectWidget,
    forms.SelectMultiple: widgets.UnfoldAdminSelectMultipleWidget,
    forms.CheckboxInput: widgets.UnfoldBooleanWidget,
    forms.CheckboxSelectMultiple: widgets.UnfoldAdminCheckboxSelectMultipleWidget,
    forms.PasswordInput: widgets.UnfoldAdminPasswordWidget,
}
_PICKERS: dict[type[forms.Widget], tuple[str, str]] = {
    forms.DateInput: ("date", "%Y-%m-%d"),
    forms.DateTimeInput: ("datetime-local", "%Y-%m-%dT%H:%M"),
    forms.TimeInput: ("time", "%H:%M"),
}


def style(field: forms.Field) -> None:
    """Give a plain form field the look of the back office; dates and times get the browser's own picker."""
    old = field.widget
    picker = _PICKERS.get(type(old))
    if picker is not None:
        kind, written_as = picker
        attributes = {**old.attrs, "type": kind, "class": " ".join(widgets.INPUT_CLASSES)}
        field.widget = type(old)(attrs=attributes, format=written_as)
    elif type(old) in _WIDGETS:
        field.widget = _WIDGETS[type(old)](attrs=old.attrs)
        if isinstance(field, forms.ChoiceField | forms.ModelChoiceField):
            field.widget.choices = field.choices
    field.widget.is_required = old.is_required


class RowSelect(AutocompleteSelect):
    """A choice of a row by search. A value that is no key is no choice: the field says so, and nothing is looked up."""

    def optgroups(self, name: str, value: Any, attr: dict[str, Any] | None = None) -> Any:
        keys = [each for each in value if str(each).isascii() and str(each).isdigit() and len(str(each)) < 19]
        return super().optgroups(name, keys or [""], attr)


class TransitionForm(forms.Form):
    """What a transition asks before it runs; its cleaned values become keyword arguments of the service.

    `org` and `item` are there for subclasses that limit their choices.
    """

    def __init__(self, *args: Any, org: Organization, item: models.Model, **kwargs: Any) -> None:
        self.org = org
        self.item = item
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            style(field)


class OrgModelForm(forms.ModelForm):
    """The form of one row of an organisation, safe against lost updates and against gaps in validation.

    The admin page sets `org` (whose row) and, when a service refused the first attempt, `refusal`: the form is then
    shown again with the refusal as its errors.
    """

    org: ClassVar[Organization | None] = None
    refusal: ClassVar[FlowLedgerError | None] = None

    row_version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.declared_fields:
            if name in self.fields:
                style(self.fields[name])
        if self.is_new or not hasattr(self.instance, VERSION_FIELD):
            # Facts such as events have no version, and no form that changes them either.
            self.fields.pop(VERSION_FIELD)
        if self.is_new and self.org is not None:
            self.instance.org = self.org
        if not self.is_new:
            self.initial[VERSION_FIELD] = getattr(self.instance, VERSION_FIELD, None)
            self._keep_current_people()

    @property
    def is_new(self) -> bool:
        return bool(self.instance._state.adding)

    @cached_property
    def changed_data(self) -> list[str]:
        """Never the version: that would make every untouched inline row look changed."""
        return [name for name in super().changed_data if name != VERSION_FIELD]

    def clean(self) -> dict[str, Any] | None:
        """Refuse a form that was filled in over an older version. The page holds the row's lock by now."""
        cleaned = super().clean()
        if VERSION_FIELD in self.fields and self.changed_data and self._seen_version() != self.instance.row_version:
            raise ValidationError(
                "Somebody else changed this while you had it open, so nothing was saved. Open the page again to see "
                "what is stored now, then repeat your change.",
                code="stale",
            )
        return cleaned

    def full_clean(self) -> None:
        super().full_clean()
        if self.refusal is not None and self.is_bound:
            for name, sentences in _errors_of(self.refusal):
                for sentence in sentences:
                    self.add_error(name if name in self.fields else None, sentence)

    def validate_constraints(self) -> None:
        """As Django does, but with the organisation taken part: unique constraints lead with it, no form shows it."""
        exclude = self._get_validation_exclude()  # type: ignore[attr-defined]
        exclude.discard("org")
        try:
            self.instance.validate_constraints(exclude=exclude)
        except ValidationError as errors:
            _leave_out_the_organization(errors, self._meta.model)
            self._update_errors(errors)  # type: ignore[attr-defined]

    def _seen_version(self) -> int | None:
        seen = self.cleaned_data.get(VERSION_FIELD)
        return seen if isinstance(seen, int) else None

    def _keep_current_people(self) -> None:
        """A person who left the organisation stays a valid value where they stand already."""
        for name, field in self.fields.items():
            if not isinstance(field, forms.ModelChoiceField) or field.queryset is None:
                continue
            current = getattr(self.instance, f"{name}_id", None)
            if current is not None and field.queryset.model is User:
                field.queryset = field.queryset | User.objects.filter(pk=current)


def _errors_of(refusal: FlowLedgerError) -> Iterator[tuple[str, list[str]]]:
    fields = refusal.details.get("fields") or {}
    yield from fields.items()
    if not fields:
        yield NON_FIELD_ERRORS, [explain(refusal)]


def _leave_out_the_organization(errors: ValidationError, model: type[models.Model]) -> None:
    """'Tag with this Org and Name already exists' says nothing that a person can see; leave the organisation out."""
    groups = errors.error_dict.values() if hasattr(errors, "error_dict") else [errors.error_list]
    for group in groups:
        for error in group:
            if error.code == "unique_together" and error.params and "unique_check" in error.params:
                names = [name for name in error.params["unique_check"] if name != "org"]
                labels = [str(model._meta.get_field(name).verbose_name) for name in names]  # type: ignore[union-attr]
                error.params["field_labels"] = get_text_list(labels, "and")
