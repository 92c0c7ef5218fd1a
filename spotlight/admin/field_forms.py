"""Forms of fields and of the rules that show, require or hide them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse

from flowledger.backoffice.forms import OrgModelForm, style
from flowledger.errors import InvalidInput
from spotlight.admin.profile_forms import judged
from spotlight.admin.value_inputs import ValueField, operators_of
from spotlight.models import FieldType, Operator, SpotlightField
from spotlight.services.field_shapes import write_field
from spotlight.services.naming import checked_domain

FIELD_HELPS = {
    "field_name": "As signals and enrichment bring it: small letters, digits and _, such as annual_revenue.",
    "label": "What people read. Empty: the name.",
    "is_required": "Whether a form asks for it always; a rule can ask for it sometimes.",
    "display_order": "Where it stands in a form, lowest first.",
}
SHAPE = ("field_name", "label", "field_type", "enum_values", "aliases", "is_required", "display_order")
LONGEST_LINES = 120_000


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or ()) != [line.strip() for line in str(data or "").splitlines() if line.strip()]


class FieldForm(OrgModelForm):
    domain = forms.CharField(
        max_length=60,
        widget=forms.TextInput(attrs={"list": "known-domains", "autocomplete": "off"}),
        help_text="The profiles of this domain share the field.",
    )
    enum_values = LinesField(
        required=False,
        max_length=LONGEST_LINES,
        label="Values",
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="For the type “One of a list”: the values to choose from, one a line.",
    )
    aliases = LinesField(
        required=False,
        max_length=LONGEST_LINES,
        label="Other names",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Names under which the same fact also comes, one a line; such as turnover for annual_revenue.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, text in FIELD_HELPS.items():
            if name in self.fields:
                self.fields[name].help_text = text

    def clean(self) -> dict[str, Any] | None:
        """As the use case judges it, so that nobody reads of a violated constraint; names come back in their form."""
        cleaned = super().clean()
        given = self.cleaned_data
        if self.errors:
            return cleaned
        if "domain" in self.fields:
            given["domain"] = judged(self, "domain", checked_domain, given["domain"])
        trial = SpotlightField()
        try:
            write_field(trial, {name: given[name] for name in SHAPE})
        except InvalidInput as refusal:
            for name, sentences in refusal.details["fields"].items():
                self.add_error(name, sentences)
        else:
            given |= {name: getattr(trial, name) for name in SHAPE}
        return cleaned


class RuleForm(OrgModelForm):
    """One sentence: do this with a field when another one has a value."""

    field: forms.ModelChoiceField[SpotlightField] = forms.ModelChoiceField(
        queryset=None, label="Field", empty_label="Choose a field"
    )
    condition_field: forms.ModelChoiceField[SpotlightField] = forms.ModelChoiceField(
        queryset=None, label="When", empty_label="Choose a field"
    )
    operator = forms.ChoiceField(label="Comparison")
    condition_value = ValueField(label="Value")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.org is None or "condition_value" not in self.fields:
            return
        rows = SpotlightField.objects.for_org(self.org).order_by("domain", "display_order", "field_name", "pk")
        grouped: dict[str, list[tuple[Any, str]]] = {}
        self.known: dict[str, SpotlightField] = {}
        for row in rows:
            grouped.setdefault(row.domain, []).append((row.pk, str(row)))
            self.known[str(row.pk)] = row
        for name in ("field", "condition_field"):
            choice: Any = self.fields[name]
            choice.queryset = rows
            choice.choices = [("", "Choose a field"), *grouped.items()]
        self._suit()
        self.reload_link = reverse("admin:spotlight_fieldrule_inputs")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        one, other = self.cleaned_data.get("field"), self.cleaned_data.get("condition_field")
        if one is not None and one == other:
            self.add_error("condition_field", "A field cannot depend on itself; choose another one.")
        return cleaned

    def _suit(self) -> None:
        """Offer the comparisons of the field that decides, and the input for its value."""
        chosen = self.known.get(str(self["condition_field"].value() or ""))
        field_type = FieldType(chosen.field_type) if chosen else FieldType.TEXT
        operator, offered = str(self["operator"].value() or ""), operators_of(field_type)
        if operator in Operator.values and operator not in dict(offered):
            offered.append((operator, str(Operator(operator).label)))
        self.fields["operator"].choices = offered  # type: ignore[attr-defined]
        style(self.fields["operator"])
        value = self.fields["condition_value"]
        assert isinstance(value, ValueField)
        value.suit(field_type, operator or offered[0][0], chosen.enum_values if chosen else ())
