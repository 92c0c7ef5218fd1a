"""Forms of profiles: the builder and the copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.db.models import F
from django.urls import reverse

from flowledger.backoffice.forms import OrgModelForm, TransitionForm
from flowledger.errors import InvalidInput
from flowledger.tenancy.models import Organization
from spotlight.admin.criterion_forms import CriteriaField, CriteriaWidget
from spotlight.models import Spotlight, SpotlightField
from spotlight.services.naming import checked_domain

ABOUT = ("name", "domain", "description", "active")
MOST_FIELDS = 1_000


def fields_of(org: Organization, domain: str) -> list[SpotlightField]:
    """The fields that the profiles of a domain may look at, in the order of its forms."""
    rows = SpotlightField.objects.for_org(org).filter(domain=domain)
    return list(rows.order_by("display_order", "field_name", "pk")[:MOST_FIELDS])


def domains_of(org: Organization) -> list[str]:
    """The domains that have fields or profiles."""
    names = SpotlightField.objects.for_org(org).values_list("domain", flat=True)
    return sorted(names.union(Spotlight.objects.for_org(org).values_list("domain", flat=True)))


def judged(form: forms.BaseForm, name: str, check: Callable[[Any], Any], value: Any) -> Any:
    """The value as a check of the services gives it back; what it refuses is an error of the form's field."""
    try:
        return check(value)
    except InvalidInput as refusal:
        form.add_error(name, refusal.message)
        return value


class ProfileForm(OrgModelForm):
    """A profile whole: what it is called, and its criteria in lines."""

    domain = forms.CharField(
        max_length=60,
        widget=forms.TextInput(attrs={"list": "known-domains", "autocomplete": "off"}),
        help_text="Profiles of one domain share their fields. Small letters, digits, - and _.",
    )
    criteria = CriteriaField(required=False)
    note = forms.CharField(
        max_length=500, required=False, label="Note on this change", help_text="Kept with the version that it makes."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "description" in self.fields:
            self.fields["description"].widget.attrs["rows"] = 3
        if "active" in self.fields:
            self.fields["active"].help_text = "Signals and candidates are scored against active profiles only."
        if self.org is None:
            return
        widget = self.fields["criteria"].widget
        assert isinstance(widget, CriteriaWidget)
        widget.known = fields_of(self.org, self._domain())
        widget.lines_link = reverse("admin:spotlight_spotlight_lines")
        widget.fields_link = reverse("admin:spotlight_spotlightfield_changelist")
        if not self.is_new:
            rows = self.instance.criteria.order_by("position", "pk")
            names = ("field_id", "operator", "value", "weight", "required")
            self.initial["criteria"] = list(rows.values(*names, criterion_id=F("pk")))

    def clean_domain(self) -> str:
        return str(judged(self, "domain", checked_domain, self.cleaned_data["domain"]))

    def _domain(self) -> str:
        """Of the profile; of a new one as it is typed."""
        if not self.is_new:
            return str(self.instance.domain)
        given = self.data.get("domain") if self.is_bound else self.initial.get("domain")
        return str(given or "").strip()


class CloneForm(TransitionForm):
    name = forms.CharField(max_length=120, label="Name of the copy")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].initial = f"{self.item} (copy)"[:120]
