"""The criteria of a profile in a form: one line each, with the inputs that its field and its operator ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict

from flowledger.backoffice.forms import style
from spotlight.admin.value_inputs import ValueField, operators_of
from spotlight.evaluation.checking import check_criterion
from spotlight.models import FieldType, Operator, SpotlightField
from workstream.admin.windows import TemplateWidget

PREFIX = "criteria"
MOST_LINES = 200
_FIELD_OF_LINE = re.compile(rf"^{PREFIX}-(\d{{1,6}})-field$")


class CriterionForm(forms.Form):
    """One line of the builder."""

    criterion_id = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)
    field = forms.TypedChoiceField(coerce=int, label="Field")
    operator = forms.ChoiceField(label="Comparison")
    value = ValueField(label="Value")
    weight = forms.DecimalField(label="Weight", min_value=0, max_value=1000, max_digits=7, decimal_places=3, initial=10)
    required = forms.BooleanField(label="Required", required=False)

    def __init__(self, *args: Any, known: Sequence[SpotlightField], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = {each.pk: each for each in known}
        self.chosen = self._chosen()
        self.fields["field"].choices = [  # type: ignore[attr-defined]
            *([] if self.chosen else [("", "Choose a field")]),
            *((each.pk, str(each)) for each in known),
        ]
        field_type = FieldType(self.chosen.field_type) if self.chosen else FieldType.TEXT
        operator = str(self["operator"].value() or "")
        offered = operators_of(field_type)
        if operator in Operator.values and operator not in dict(offered):
            offered.append((operator, Operator(operator).label))
        self.fields["operator"].choices = offered  # type: ignore[attr-defined]
        value = self.fields["value"]
        assert isinstance(value, ValueField)
        value.suit(field_type, operator or offered[0][0], self.chosen.enum_values if self.chosen else ())
        for name in ("field", "operator", "weight", "required"):
            style(self.fields[name])
        self.fields["weight"].widget.attrs |= {"min": "0", "max": "1000", "step": "any", "inputmode": "decimal"}

    @property
    def key(self) -> str:
        """The number of the line in the form."""
        return str(self.prefix).removeprefix(f"{PREFIX}-")

    @property
    def shown(self) -> list[forms.BoundField]:
        """The inputs of the line, in their order."""
        return self.visible_fields()

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.chosen is not None and "value" in given and "operator" in given:
            try:
                given["value"] = check_criterion(
                    self.chosen.field_type, self.chosen.enum_values, given["operator"], given["value"]
                )
            except ValueError as error:
                self.add_error("value", str(error))
        return given

    def criterion(self) -> dict[str, Any]:
        """The line as the services take it; for a line without errors."""
        given = self.cleaned_data
        written = {
            "field_id": given["field"],
            "operator": given["operator"],
            "value": given["value"],
            "weight": given["weight"],
            "required": given["required"],
        }
        if given.get("criterion_id"):
            written["criterion_id"] = given["criterion_id"]
        return written

    def _chosen(self) -> SpotlightField | None:
        key = str(self["field"].value() or "")
        return self.known.get(int(key)) if key.isascii() and key.isdigit() and len(key) < 19 else None


def lines_in(data: Mapping[str, Any], known: Sequence[SpotlightField]) -> list[CriterionForm]:
    """The lines of a sent form, in the order of the page."""
    keys = [found[1] for name in data if (found := _FIELD_OF_LINE.match(name))]
    return [CriterionForm(data, prefix=f"{PREFIX}-{key}", known=known) for key in keys[:MOST_LINES]]


def next_key(data: Mapping[str, Any]) -> int:
    """A number that no line of a sent form has."""
    return max((int(found[1]) for name in data if (found := _FIELD_OF_LINE.match(name))), default=-1) + 1


def new_line(key: int, known: Sequence[SpotlightField]) -> CriterionForm:
    """An empty line."""
    return CriterionForm(prefix=f"{PREFIX}-{key}", known=known)


def as_typed(line: CriterionForm, *, is_new_field: bool) -> CriterionForm:
    """The line as it stands, not judged yet; with another field, what only fitted the old one is gone."""
    initial = {name: line[name].value() for name in line.fields}
    if is_new_field:
        offered = operators_of(FieldType(line.chosen.field_type)) if line.chosen else []
        initial["value"] = None
        # The comparison that a line begins with was nobody's choice: each type has its own.
        if offered and (initial["operator"] not in dict(offered) or initial["operator"] == Operator.EQUAL):
            initial["operator"] = offered[0][0]
    return CriterionForm(initial=initial, prefix=line.prefix, known=list(line.known.values()))


class CriteriaWidget(TemplateWidget):
    """The lines, and a button for one more."""

    template_name = "spotlight/builder/criteria.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.known: Sequence[SpotlightField] = ()
        self.lines_link = ""
        self.fields_link = ""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        lines = [
            each
            if isinstance(each, CriterionForm)
            else CriterionForm(initial=_initial(each), prefix=f"{PREFIX}-{place}", known=self.known)
            for place, each in enumerate(value or ())
        ]
        context["widget"] |= {
            "lines": lines,
            "lines_link": self.lines_link,
            "fields_link": self.fields_link,
            "knows_fields": bool(self.known),
        }
        return context

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> list[CriterionForm]:
        return lines_in(data, self.known)

    def value_omitted_from_data(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> bool:
        return False


class CriteriaField(forms.Field):
    """The criteria of a profile as the services take them; a line that makes no sense says so beside itself."""

    widget = CriteriaWidget

    def clean(self, value: Any) -> list[dict[str, Any]]:
        lines: list[CriterionForm] = value or []
        if not _are_valid(lines):
            raise ValidationError("Some criteria need another look.")
        return [line.criterion() for line in lines]

    def has_changed(self, initial: Any, data: Any) -> bool:
        lines: list[CriterionForm] = data or []
        if not _are_valid(lines):
            return True
        return _comparable(initial or ()) != _comparable([line.criterion() for line in lines])


def _are_valid(lines: Iterable[CriterionForm]) -> bool:
    """Whether all are; each is looked at, so that all of them say at once what is wrong."""
    return not [line for line in lines if not line.is_valid()]


def _initial(criterion: Mapping[str, Any]) -> dict[str, Any]:
    weight = Decimal(str(criterion["weight"])).normalize()
    return {**criterion, "field": criterion["field_id"], "weight": f"{weight:f}"}


def _comparable(criteria: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("criterion_id", "field_id", "operator", "value", "required")
    return [(*(each.get(name) for name in names), Decimal(str(each["weight"]))) for each in criteria]
