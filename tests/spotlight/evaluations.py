"""Profiles, criteria and facts for the tests of the evaluation: written by hand in one line, or drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from spotlight.evaluation.checking import check_criterion
from spotlight.evaluation.comparing import OPERATORS
from spotlight.evaluation.engine import compile_profiles
from spotlight.evaluation.explaining import Explanation, explain
from spotlight.evaluation.reading import facts_from
from spotlight.evaluation.types import Criterion, Evaluation, Fact, Profile, Scale

SCALE = Scale()
INDUSTRIES = ("Banking", "Financial Services", "Insurance", "Retail")


def criterion(
    field_name: str, operator: str, value: Any, *, kind: str = "number", weight: Any = 10, **more: Any
) -> Criterion:
    """A criterion that `check_criterion` takes; `more` are fields of Criterion."""
    enum_values = tuple(more.pop("enum_values", INDUSTRIES if kind == "enum" else ()))
    made = Criterion(
        criterion_id=more.pop("criterion_id", 1),
        field_name=field_name,
        label=more.pop("label", field_name.replace("_", " ").capitalize()),
        field_type=kind,
        enum_values=enum_values,
        aliases=tuple(more.pop("aliases", ())),
        operator=operator,
        value=check_criterion(kind, enum_values, operator, value),
        weight=Decimal(str(weight)),
    )
    return replace(made, **more)


def profile(*criteria: Criterion, name: str = "Banks") -> Profile:
    """The criteria numbered from 1."""
    numbered = tuple(replace(each, criterion_id=place) for place, each in enumerate(criteria, 1))
    return Profile(spotlight_id=7, name=name, version=3, criteria=numbered)


def evaluate(made: Profile, facts: Mapping[str, Any], scale: Scale = SCALE) -> Evaluation:
    """The evaluation of plain facts, or of facts as they are."""
    given = {name: value if isinstance(value, Fact) else Fact(value, "signal") for name, value in facts.items()}
    (found,) = compile_profiles([made], scale).evaluate(given)
    return found


def explained(made: Profile, facts: Mapping[str, Any], scale: Scale = SCALE) -> Explanation:
    """The explanation of plain facts."""
    return explain(made, evaluate(made, facts_from(facts, "signal"), scale), scale)


def worked_example() -> Profile:
    """Four criteria of equal weight, of which a budget of 60,000 meets the last by 0.2."""
    return profile(
        criterion("industry", "in", ["Banking", "Financial Services"], kind="enum"),
        criterion("country", "=", "Germany", kind="text"),
        criterion("has_deadline", "=", value=True, kind="boolean"),
        criterion("budget", ">=", 100_000),
    )


WORKED_FACTS = {"industry": "Financial Services", "country": "Germany", "has_deadline": True, "budget": 60_000}

# --- what hypothesis draws ---

WORDS = st.sampled_from(["crm", "ERP", "help", "a new system", "Straße", "São Paulo", "50k", "yes"])
DATES = st.dates(min_value=date(2020, 1, 1), max_value=date(2030, 12, 31)).map(date.isoformat)
NUMBERS = st.one_of(
    st.integers(-1_000_000, 1_000_000),
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda number: round(number, 3)),
)
ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), WORDS, DATES),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
VALUES = {
    "text": st.one_of(WORDS, st.text(min_size=1, max_size=20)),
    "number": NUMBERS,
    "boolean": st.booleans(),
    "enum": st.sampled_from(INDUSTRIES),
    "date": DATES,
}
# A type for every field, so that the criteria of a field agree on what it is.
FIELDS = {
    "industry": "enum", "segment": "enum", "budget": "number", "employees": "number", "growth": "number",
    "is_customer": "boolean", "has_deadline": "boolean", "start": "date", "renewal": "date", "problem": "text",
    "country": "text",
}  # fmt: skip


@st.composite
def criteria(draw: st.DrawFn, field_names: tuple[str, ...] = tuple(FIELDS)) -> Criterion:
    """Any criterion that makes sense."""
    field_name = draw(st.sampled_from(field_names))
    kind = FIELDS[field_name]
    operator = draw(st.sampled_from(OPERATORS[kind]))
    value: Any
    if operator == "between":
        value = sorted(draw(st.lists(VALUES[kind], min_size=2, max_size=2, unique=True)))
    elif operator == "in":
        value = draw(st.lists(VALUES[kind].filter(_says_something), min_size=1, max_size=3))
    elif operator == "matches":
        value = draw(st.sampled_from(["crm|erp", "^a new", r"\d+k", "stra.e", "[a-z]{3,}$"]))
    else:
        value = draw(VALUES[kind].filter(_says_something))
    weight = Decimal(draw(st.integers(1, 50_000))) / 1_000
    return criterion(field_name, operator, value, kind=kind, weight=weight, required=draw(st.integers(0, 4)) == 0)


def _says_something(value: Any) -> bool:
    """Text of nothing but white space, or what UTF-8 cannot write, is no value of a criterion."""
    if not isinstance(value, str):
        return True
    try:
        check_criterion("text", (), "=", value)
    except ValueError:
        return False
    return True


def profiles(least: int = 1, most: int = 8) -> st.SearchStrategy[Profile]:
    """Profiles, also with several criteria on one field."""
    return st.lists(criteria(), min_size=least, max_size=most).map(lambda made: profile(*made))


def facts() -> st.SearchStrategy[dict[str, Any]]:
    """Some facts, most of them of their field's type."""
    return st.fixed_dictionaries(
        {}, optional={name: st.one_of(VALUES[kind], VALUES[kind], ANY_JSON) for name, kind in FIELDS.items()}
    )
