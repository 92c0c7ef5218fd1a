"""Which criteria are taken, in which spelling they are kept, and which fields of a form they show and require."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotlight.evaluation.checking import check_criterion
from spotlight.evaluation.comparing import OPERATORS
from spotlight.evaluation.conditions import FieldState, FormField, FormRule, form_state
from tests.spotlight.evaluations import ANY_JSON, INDUSTRIES


class TestCheckCriterion:
    @pytest.mark.parametrize(
        ("kind", "operator", "value", "kept"),
        [
            ("number", ">=", "100k", 100_000), ("number", "=", 5.0, 5),
            ("number", "between", ["50k", 200_000], [50_000, 200_000]),
            ("number", "in", [1, "1", 2], [1, 2]), ("boolean", "=", "yes", True), ("boolean", "!=", 0, False),
            ("date", ">", "2026-03-31T10:00:00Z", "2026-03-31"),
            ("date", "between", ["2026-01-01", "2026-03-31"], ["2026-01-01", "2026-03-31"]),
            ("enum", "=", "financial  services", "Financial Services"),
            ("enum", "in", ["BANKING", "Banking"], ["Banking"]),
            ("text", "=", "  Berlin ", "Berlin"), ("text", "in", ["Berlin", "BERLIN", "Bern"], ["Berlin", "Bern"]),
            ("text", "contains", "ERP", "ERP"), ("text", "matches", r"\bcrm\b", r"\bcrm\b"), ("text", "=", 7, "7"),
        ],
    )  # fmt: skip
    def test_keeps_one_spelling(self, kind: str, operator: str, value: Any, kept: Any):
        found = check_criterion(kind, INDUSTRIES, operator, value)

        assert found == kept
        assert type(found) is type(kept)
        assert check_criterion(kind, INDUSTRIES, operator, found) == kept

    @pytest.mark.parametrize(
        ("kind", "operator", "value", "refusal"),
        [
            ("text", ">", "a", "“>” does not compare a text; use =, !=, in, contains, matches."),
            ("boolean", "in", [True], "“in” does not compare yes or no; use =, !=."),
            ("enum", "contains", "x", "“contains” does not compare one of a list; use =, !=, in."),
            ("colour", "=", "red", "“colour” is no type of field; use text, number, boolean, enum, date."),
            ("number", "between", [1], "“between” needs two bounds, the lower one first, such as [50000, 200000]."),
            ("number", "between", 5, "“between” needs two bounds, the lower one first, such as [50000, 200000]."),
            ("number", "between", [5, 5], "“between” needs two bounds, the lower one first."),
            ("date", "between", ["2026-03-31", "2026-01-01"], "“between” needs two bounds, the lower one first."),
            ("number", "in", [], "“in” needs a list with at least one value."),
            ("number", "in", "1,2", "“in” needs a list with at least one value."),
            ("number", "in", list(range(201)), "“in” takes at most 200 values."),
            ("number", ">=", "50-200", "“50-200” is a range."),
            ("number", ">=", "much", "“much” is not a number."),
            ("number", ">=", "", "A value is needed, a number."),
            ("number", ">=", [5], "A single value is needed here, a number."),
            ("date", ">=", "soon", "“soon” is not a date such as 2026-03-31."),
            ("boolean", "=", "maybe", "“maybe” is neither yes nor no."),
            ("enum", "=", "Mining",
             "“Mining” is not in the list of the field: Banking, Financial Services, Insurance, Retail."),
            ("text", "=", "x" * 501, "A value has at most 500 characters."),
            ("text", "contains", 5, "“contains” needs a text."),
            ("text", "matches", " ", "“matches” needs a pattern, such as crm|erp."),
            ("text", "matches", "(crm", "The pattern does not compile: missing ): (crm."),
            ("text", "matches", r"(a)\1", r"The pattern does not compile: invalid escape sequence: \1."),
            ("text", "matches", "a" * 501, "A pattern has at most 500 characters."),
            ("text", "matches", "\ud800", "The pattern does not compile: it is not Unicode."),
        ],
    )  # fmt: skip
    def test_refuses_with_a_sentence(self, kind: str, operator: str, value: Any, refusal: str):
        with pytest.raises(ValueError) as refused:
            check_criterion(kind, INDUSTRIES, operator, value)

        assert str(refused.value) == refusal

    @settings(deadline=None)
    @given(
        st.sampled_from(sorted(OPERATORS)),
        st.sampled_from(["=", "in", "between", "contains", "matches", ">"]),
        ANY_JSON,
    )
    def test_takes_or_refuses_any_value(self, kind: str, operator: str, value: Any):
        try:
            kept = check_criterion(kind, INDUSTRIES, operator, value)
        except ValueError as refused:
            assert str(refused)
        else:
            assert check_criterion(kind, INDUSTRIES, operator, kept) == kept


FIELDS = [
    FormField("industry", "enum"),
    FormField("budget", "number"),
    FormField("regulator", "text", is_required=True),
]


def rule(
    effect: str, *, field: str = "regulator", on: str = "industry", operator: str = "=", value: Any = "Banking"
) -> FormRule:
    """By default what a bank does to the regulator."""
    return FormRule(field, on, operator, value, effect)


def regulator(rules: list[FormRule], data: dict[str, Any]) -> FieldState:
    """How the field stands that is required when it shows."""
    return form_state(FIELDS, rules, data)["regulator"]


class TestFormState:
    def test_without_rules_shows_all_and_requires_what_is_required(self):
        assert form_state(FIELDS, [], {}) == {
            "industry": FieldState(visible=True, required=False),
            "budget": FieldState(visible=True, required=False),
            "regulator": FieldState(visible=True, required=True),
        }

    @pytest.mark.parametrize(("industry", "visible"), [("banking", True), ("Retail", False), (None, False)])
    def test_shows_a_field_only_while_a_rule_holds(self, industry: str | None, visible: bool):
        assert regulator([rule("show")], {"industry": industry}) == FieldState(visible=visible, required=visible)

    def test_shows_a_field_while_any_of_its_rules_holds(self):
        rules = [rule("show"), rule("show", on="budget", operator=">=", value=100)]

        assert regulator(rules, {"industry": "Retail", "budget": "0.1k"}).visible
        assert not regulator(rules, {"industry": "Retail", "budget": 99}).visible

    def test_hides_a_field_whatever_shows_or_requires_it(self):
        rules = [rule("show"), rule("require"), rule("hide", on="budget", operator="<", value=10)]

        assert regulator(rules, {"industry": "Banking", "budget": 20}) == FieldState(visible=True, required=True)
        assert regulator(rules, {"industry": "Banking", "budget": 5}) == FieldState(visible=False, required=False)

    def test_requires_a_field_while_a_rule_holds(self):
        rules = [rule("require", field="budget")]

        assert form_state(FIELDS, rules, {"Industry": "Banking"})["budget"].required
        assert not form_state(FIELDS, rules, {"industry": "Retail"})["budget"].required

    def test_of_nearly_met_conditions_does_nothing(self):
        assert not regulator([rule("show", on="budget", operator=">=", value=100)], {"budget": 99.9}).visible

    def test_of_a_field_that_is_gone_does_nothing(self):
        assert not regulator([rule("show", on="gone")], {"gone": "Banking"}).visible

    @settings(deadline=None)
    @given(
        st.lists(
            st.builds(
                FormRule,
                st.sampled_from(["industry", "budget", "regulator"]),
                st.just("industry"),
                st.sampled_from(["=", "!="]),
                st.sampled_from(INDUSTRIES),
                st.sampled_from(["show", "require", "hide"]),
            ),
            max_size=6,
        ),
        st.dictionaries(st.sampled_from(["industry", "budget", "regulator"]), ANY_JSON),
    )
    def test_never_requires_what_does_not_show(self, rules: list[FormRule], data: dict[str, Any]):
        assert all(state.visible or not state.required for state in form_state(FIELDS, rules, data).values())
