"""The forms of intake sources: what all have in common, and a field for every option of the kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from pydantic import TypeAdapter

from flowledger.backoffice.admin.configuration_forms import Leaf, field_of, leaves_of
from flowledger.backoffice.forms import OrgModelForm, TransitionForm
from flowledger.errors import InvalidInput
from workstream.intake.options import SCHEMAS
from workstream.models.intake import IntakeSource, SourceKind
from workstream.services.sources import KEEP_PREVIOUS_HOURS, MAX_SECRET, MOST_KEEP_HOURS

OPTIONS = "options"
_SECRET_HELP: Mapping[str, str] = {
    SourceKind.MAILBOX: "The password of the mailbox; leave it empty to keep the present one.",
    SourceKind.WEBHOOK: "Only to enter the sender's own; “New secret” makes one here.",
    SourceKind.MAIL_HOOK: "Only to enter the provider's own; “New secret” makes one here.",
}


class AddSourceForm(OrgModelForm):
    """What a new source needs at least; everything else is on its page, filled in as usual for its kind."""

    host = forms.CharField(required=False, max_length=253, help_text="Mailboxes only, for example imap.example.com.")
    username = forms.CharField(required=False, max_length=200, help_text="Mailboxes only.")
    secret = forms.CharField(
        required=False,
        max_length=MAX_SECRET,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="The password of a mailbox, or a secret that the sender made. Else one is made here and shown once.",
    )

    class Meta:
        model = IntakeSource
        fields = ("kind", "name")

    def options(self) -> dict[str, Any]:
        """The options as far as they are asked for here."""
        if self.cleaned_data.get("kind") != SourceKind.MAILBOX:
            return {}
        return {name: self.cleaned_data[name] for name in ("host", "username") if self.cleaned_data.get(name)}


class SourceForm(OrgModelForm):
    """A source with its options; `form_for` adds a field for each of its kind's."""

    leaves: ClassVar[tuple[Leaf, ...]] = ()

    class Meta:
        model = IntakeSource
        fields = ("name", "source_type", "is_active")

    def options(self) -> dict[str, Any]:
        """The options as the fields make them up."""
        whole: dict[str, Any] = {}
        for leaf in self.leaves:
            place = whole
            for part in leaf.path[:-1]:
                place = place.setdefault(part, {})
            place[leaf.path[-1]] = self.cleaned_data.get(option_name(leaf))
        return whole


class RotateForm(TransitionForm):
    """Asks for the secret and how long the old one lives on."""

    secret = forms.CharField(
        required=False,
        max_length=MAX_SECRET,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Leave it empty to have one made.",
    )
    keep_hours = forms.IntegerField(
        min_value=0,
        max_value=MOST_KEEP_HOURS,
        initial=KEEP_PREVIOUS_HOURS,
        label="Old secret stays good for hours",
    )


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, *, initial: Any, **kwargs: Any) -> None:
        lines = [*(initial or ())]
        widget = forms.Textarea(attrs={"rows": min(12, len(lines) + 2), "spellcheck": "false"})
        super().__init__(initial="\n".join(lines), required=False, widget=widget, **kwargs)

    def clean(self, value: Any) -> Any:
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


def form_for(source: IntakeSource) -> type[SourceForm]:
    """The form of a source's kind, filled with its options."""
    schema = TypeAdapter(SCHEMAS[source.kind]).json_schema()
    leaves = tuple(leaves_of(schema, source.options))
    fields: dict[str, Any] = {option_name(leaf): _field_of(leaf) for leaf in leaves}
    if source.kind != SourceKind.WEB_FORM:
        fields["secret"] = forms.CharField(
            required=False,
            max_length=MAX_SECRET,
            strip=False,
            widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
            help_text=_SECRET_HELP[source.kind],
        )
    return type("SourceForm", (SourceForm,), {**fields, "leaves": leaves})


def option_name(leaf: Leaf) -> str:
    """The field's name, which is the path that a refusal names."""
    return ".".join((OPTIONS, *leaf.path))


def placed(refusal: InvalidInput, form: forms.BaseForm) -> InvalidInput:
    """The refusal with every sentence at the nearest field that the form has."""
    fields: dict[str, list[str]] = {}
    for path, sentences in (refusal.details.get("fields") or {}).items():
        name = path
        while name not in form.fields and "." in name:
            name = name.rpartition(".")[0]
        known = name if name in form.fields else path
        rest = path.removeprefix(known).strip(".")
        fields.setdefault(known, []).extend(f"{rest}: {each}" if rest else each for each in sentences)
    return InvalidInput(refusal.message, fields=fields)


def _field_of(leaf: Leaf) -> forms.Field:
    items = leaf.schema.get("items", {})
    if leaf.schema.get("type") == "array" and items.get("type") == "string" and "enum" not in items:
        return LinesField(initial=leaf.value, label=leaf.label, help_text="One a line.")
    return field_of(leaf)


def pretty(value: Any) -> str:
    """JSON for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
