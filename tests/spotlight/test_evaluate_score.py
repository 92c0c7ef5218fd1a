"""Scores by example: the worked one, partial credit operator by operator, coverage, caps, and where facts come from."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from spotlight.evaluation.engine import compile_profiles
from spotlight.evaluation.types import Component, Fact, Profile, Scale
from tests.architecture.source import CHECKOUT
from tests.spotlight.evaluations import (
    INDUSTRIES,
    SCALE,
    WORKED_FACTS,
    criterion,
    evaluate,
    profile,
    worked_example,
)


def credit(operator: str, value: Any, raw: Any, kind: str = "number", **more: Any) -> float | None:
    """What a fact earns of one criterion."""
    return (
        evaluate(profile(criterion("field", operator, value, kind=kind, **more)), {"field": raw}).components[0].credit
    )


class TestWorkedExample:
    def test_of_four_criteria_meets_three_and_a_fifth_of_the_last(self):
        found = evaluate(worked_example(), WORKED_FACTS)

        assert [each.credit for each in found.components] == [1, 1, 1, 0.2]
        assert (found.match_score, found.recommendation) == (Decimal("0.8000"), "high_match")
        assert (found.coverage, found.matched_fields, found.total_fields) == (1, 3, 4)
        assert found.components[3] == Component(4, 0.2, 60_000, "signal")
        assert found.components[3].contribution == -0.6
        assert found.packed_json == (
            '[[1, 1, "Financial Services", "signal"], [2, 1, "Germany", "signal"], [3, 1, true, "signal"], '
            '[4, 0.2, 60000, "signal"]]'
        )


class TestCredit:
    @pytest.mark.parametrize(
        ("operator", "value", "raw", "earned"),
        [
            ("=", 5, "5.0", 1), ("=", 5, 6, 0), ("!=", 5, 6, 1), ("!=", 5, 5, 0), ("in", [5, 7], 7, 1),
            ("in", [5, 7], 6, 0),
            (">=", 100_000, 100_000, 1), (">=", 100_000, 99_999.99, 0.9999), (">=", 100_000, 75_000, 0.5),
            (">=", 100_000, 50_000, 0), (">=", 100_000, -1, 0), (">=", 0, -0.25, 0.5), (">=", -100, -125, 0.5),
            (">", 100_000, 100_001, 1), (">", 100_000, 100_000, 0.99), (">", 100_000, 99_999, 0.99),
            (">", 100_000, 75_000, 0.5), ("<=", 50, 50, 1), ("<=", 50, 60, 0.6), ("<=", 50, 75, 0), ("<", 50, 49, 1),
            ("<", 50, 50, 0.99), ("<", 50, 60, 0.6), ("between", [50, 200], 50, 1), ("between", [50, 200], 200, 1),
            ("between", [50, 200], 20, 0.6), ("between", [50, 200], 250, 0.5), ("between", [0, 10], -2.5, 0.5),
            ("between", [1_000, 1_010], 750, 0.5),
        ],
    )  # fmt: skip
    def test_of_a_number(self, operator: str, value: Any, raw: Any, earned: float):
        assert credit(operator, value, raw) == earned

    @pytest.mark.parametrize(
        ("operator", "value", "raw", "earned"),
        [
            (">=", "2026-03-31", "2026-03-31", 1), (">=", "2026-03-31", "2026-03-16", 0.5),
            (">=", "2026-03-31", "2026-03-01", 0),
            (">", "2026-03-31", "2026-03-31", 0.99), (">", "2026-03-31", "2026-04-01", 1),
            ("<=", "2026-03-31", "2026-04-06", 0.8),
            ("<", "2026-03-31", "2026-03-31", 0.99), ("between", ["2026-03-01", "2026-03-31"], "2026-04-03", 0.9),
            ("=", "2026-03-31", "2026-03-31T12:00:00Z", 1), ("=", "2026-03-31", "2026-03-30", 0),
        ],
    )  # fmt: skip
    def test_of_a_date(self, operator: str, value: Any, raw: Any, earned: float):
        assert credit(operator, value, raw, "date") == earned

    @pytest.mark.parametrize(
        ("operator", "value", "raw", "earned"),
        [
            ("=", "Berlin", " BERLIN ", 1), ("=", "Berlin", "Bern", 0), ("!=", "Berlin", "Bern", 1),
            ("in", ["Berlin", "Bern"], "bern", 1), ("contains", "ERP  system", "our new erp system fails", 1),
            ("contains", "erp", "our crm", 0), ("matches", r"\b(crm|erp)\b", "Our CRM!", 1),
            ("matches", "^crm", "our crm", 0),
        ],
    )  # fmt: skip
    def test_of_a_text(self, operator: str, value: Any, raw: Any, earned: float):
        assert credit(operator, value, raw, "text") == earned

    def test_of_yes_and_no(self):
        assert credit("=", True, "yes", "boolean") == 1
        assert credit("=", True, 0, "boolean") == 0
        assert credit("!=", True, False, "boolean") == 1

    def test_reaches_as_far_as_the_organisation_says(self):
        wide = Scale(number_margin=1.0, date_margin_days=60)
        made = profile(criterion("budget", ">=", 100_000), criterion("start", ">=", "2026-03-31", kind="date"))

        found = evaluate(made, {"budget": 50_000, "start": "2026-03-01"}, wide)

        assert [each.credit for each in found.components] == [0.5, 0.5]

    @pytest.mark.parametrize(
        ("operator", "value", "raw", "earned", "seen"),
        [
            (">=", 100, [20, 75, "tbd"], 0.5, 75),
            (">=", 100, [1, 2], 0, [1, 2]),
            ("=", 5, [1, 5], 1, 5),
            ("!=", 5, [1, 5], 0, 5),
            ("!=", 5, [1, 2], 1, [1, 2]),
            ("=", 0, [1, 2, 3, 4, 5, 6], 0, [1, 2, 3, 4, 5, "…"]),
        ],
    )  # fmt: skip
    def test_of_several_values_is_that_of_the_best_one(
        self, operator: str, value: Any, raw: Any, earned: float, seen: Any
    ):
        found = evaluate(profile(criterion("field", operator, value)), {"field": raw}).components[0]

        assert (found.credit, found.seen) == (earned, seen)

    def test_of_a_long_text_shows_the_part_that_was_looked_for(self):
        text = f"{'We looked at many things. ' * 20}Now the ERP fails. {'It is late. ' * 30}"
        made = profile(
            criterion("problem", "contains", "erp", kind="text"),
            criterion("problem", "matches", "e.p", kind="text"),
            criterion("problem", "contains", "crm", kind="text"),
        )

        first, second, third = evaluate(made, {"problem": text}).components

        for found in (first, second):
            assert "the ERP fails" in found.seen
            assert len(found.seen) <= 120
        assert third.seen.startswith("We looked")

    def test_of_a_pattern_takes_time_linear_in_the_text(self):
        """A pattern that a backtracking search would not finish in the life of the universe."""
        made = profile(criterion("problem", "matches", "(a*)*b|(x+x+)+y", kind="text"))
        started = time.process_time()

        found = evaluate(made, {"problem": "a" * 5_000 + "x" * 5_000})

        assert found.components[0].credit == 0
        assert time.process_time() - started < 1


class TestCoverage:
    def test_is_the_share_of_the_weight_of_which_something_is_known(self):
        made = profile(
            criterion("budget", ">=", 100, weight=6), criterion("employees", ">=", 10, weight="3.5"),
            criterion("growth", ">=", 5, weight="0.5"),
        )  # fmt: skip

        found = evaluate(made, {"budget": 100, "growth": "50-200"})

        assert (found.match_score, found.coverage, found.recommendation) == (1, Decimal("0.6"), "high_match")
        assert found.components[1] == Component(2, None, None, "")
        assert found.components[2] == Component(3, None, "50-200", "signal")
        assert found.components[2].contribution == 0

    @pytest.mark.parametrize(("weight", "recommendation"), [("9.99", "low_match"), (10, "high_match")])
    def test_too_low_keeps_the_recommendation_low(self, weight: Any, recommendation: str):
        made = profile(criterion("budget", ">=", 100, weight=weight), criterion("employees", ">=", 10, weight=10))
        strict = Scale(least_coverage=0.5)

        assert evaluate(made, {"budget": 100}, strict).recommendation == recommendation

    def test_of_nothing_is_no_match(self):
        found = evaluate(worked_example(), {})

        assert (found.match_score, found.coverage, found.recommendation) == (0, 0, "no_match")

    def test_never_lifts_a_recommendation(self):
        made = profile(criterion("budget", ">=", 100, weight=1), criterion("employees", ">=", 10, weight=9))

        assert evaluate(made, {"budget": 1}).recommendation == "no_match"


class TestBands:
    @pytest.mark.parametrize(
        ("employees", "score", "recommendation"),
        [
            (80, "0.8", "high_match"), (79.99, "0.7999", "medium_match"), (60, "0.6", "medium_match"),
            (59.99, "0.5999", "low_match"), (40, "0.4", "low_match"), (39.99, "0.3999", "no_match"),
        ],
    )  # fmt: skip
    def test_are_reached_at_their_bounds(self, employees: float, score: str, recommendation: str):
        made = profile(criterion("employees", ">=", 100))
        found = evaluate(made, {"employees": employees}, Scale(number_margin=1.0))

        assert (found.match_score, found.recommendation) == (Decimal(score), recommendation)

    def test_are_the_organisations(self):
        bold = Scale(high=0.3, medium=0.2, low=0.1)

        assert evaluate(worked_example(), {**WORKED_FACTS, "country": "France", "has_deadline": "no"}, bold)[2:4] == (
            Decimal("0.3"),
            "high_match",
        )


class TestRequired:
    @pytest.mark.parametrize(
        ("facts", "recommendation"),
        [
            ({}, "high_match"), ({"budget": None}, "low_match"), ({"budget": 1}, "low_match"),
            ({"budget": "tbd"}, "low_match"),
            ({"budget": 60_000}, "high_match"),
        ],
    )  # fmt: skip
    def test_unknown_or_not_met_at_all_is_a_low_match_at_most(self, facts: dict[str, Any], recommendation: str):
        made = worked_example()
        heavy = replace(made, criteria=(*(replace(each, weight=Decimal(100)) for each in made.criteria[:3]),
                                        replace(made.criteria[3], required=True)))  # fmt: skip

        assert evaluate(heavy, {**WORKED_FACTS, **facts}).recommendation == recommendation

    def test_without_weight_still_counts(self):
        made = profile(criterion("employees", ">=", 10), criterion("budget", ">=", 100, weight=0, required=True))

        assert evaluate(made, {"employees": 20}).recommendation == "low_match"
        assert evaluate(made, {"employees": 20, "budget": 100})[2:5] == (1, "high_match", 1)


class TestFields:
    def test_count_as_matched_when_all_their_criteria_are_met(self):
        made = profile(
            criterion("budget", ">=", 100), criterion("budget", "<=", 200), criterion("employees", ">=", 10)
        )  # fmt: skip

        assert evaluate(made, {"budget": 150, "employees": 10})[5:7] == (2, 2)
        assert evaluate(made, {"budget": 250, "employees": 10})[5:7] == (1, 2)

    def test_are_found_under_their_aliases(self):
        made = profile(criterion("annual_revenue", ">=", 100, aliases=["Revenue", "turn-over"]))

        assert evaluate(made, {"turn_over": 100}).components[0].credit == 1

    def test_of_several_names_are_taken_from_whose_word_counts_first(self):
        made = profile(criterion("annual_revenue", ">=", 100, aliases=["revenue"]))
        facts = {"annual_revenue": Fact(50, "client", 2), "revenue": Fact(100, "signal", 0)}

        assert evaluate(made, facts).components[0] == Component(1, 1.0, 100, "signal")
        assert evaluate(made, {**facts, "revenue": Fact("", "signal", 0)}).components[0].source == "client"
        # Of one rank the field's own name stands.
        assert evaluate(made, {**facts, "revenue": Fact(100, "client", 2)}).components[0].seen == 50

    def test_of_one_name_are_read_by_the_type_that_each_profile_gives_them(self):
        text, number = (
            profile(criterion("code", "=", "7", kind="text")),
            profile(criterion("code", "=", 7)),
        )

        found = compile_profiles([text, number], SCALE).evaluate({"code": Fact("07", "signal")})

        assert [each.components[0].credit for each in found] == [0, 1]


class TestEngine:
    def test_leaves_out_profiles_that_weigh_nothing(self):
        empty = Profile(1, "Empty", 1, ())
        weightless = replace(worked_example(), criteria=(criterion("budget", ">=", 1, weight=0),))

        engine = compile_profiles([empty, worked_example(), weightless], SCALE)

        assert engine.profiles == (worked_example(),)
        assert [each.spotlight_id for each in engine.evaluate({})] == [7]

    def test_refuses_a_criterion_whose_value_has_another_shape(self):
        broken = replace(worked_example().criteria[3], value="much")

        with pytest.raises(ValueError, match=r"Criterion 4 \(budget\): “much” is not a number\."):
            compile_profiles([replace(worked_example(), criteria=(broken,))], SCALE)

    def test_tells_true_from_one(self):
        made = profile(criterion("answer", "=", "yes", kind="text"), criterion("answer", "=", "1", kind="text"))
        engine = compile_profiles([made], SCALE)

        found = [engine.evaluate({"answer": Fact(raw, "signal")})[0] for raw in (1, True, 1.0, [1], [True])]

        assert [[part.credit for part in each.components] for each in found] == [[0, 1], [1, 0], [0, 1], [0, 1], [1, 0]]

    def test_is_read_from_the_definition_of_a_version(self):
        definition = {
            "name": "Banks",
            "domain": "b2b",
            "criteria": [
                {
                    "criterion_id": 5, "field_name": "industry", "label": "Industry", "field_type": "enum",
                    "enum_values": list(INDUSTRIES), "aliases": ["sector"], "operator": "in", "value": ["Banking"],
                    "weight": "2.500", "required": True,
                }
            ],
        }  # fmt: skip

        made = Profile.of(7, 3, definition)

        assert made.criteria[0].weight == Decimal("2.5")
        assert evaluate(made, {"sector": "BANKING"})[:6] == (7, 3, 1, "high_match", 1, 1)


class TestPackage:
    def test_is_pure(self):
        """No framework, no database and no optional extra comes with it."""
        names = [
            "changing",
            "checking",
            "comparing",
            "conditions",
            "engine",
            "explaining",
            "reading",
            "types",
            "wording",
        ]
        imports = "; ".join(f"import spotlight.evaluation.{name}" for name in names)
        asked = f"import sys; {imports}; print({{'django', 'psycopg', 'numpy', 'celery'}} & set(sys.modules))"

        answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=CHECKOUT)

        assert answer.stdout == "set()\n"


class TestSpeed:
    @pytest.mark.parametrize("is_new", [True, False])
    def test_is_above_the_floor_of_the_issue(self, is_new: bool):
        """20,000 criteria a second of one core, with 20 profiles of 15 criteria; values never seen, and seen before."""
        made = [
            profile(
                *(criterion(f"number_{place}", ">=", 1_000 + number, weight=place + 1) for place in range(5)),
                *(criterion(f"text_{place}", "contains", f"word{number}", kind="text") for place in range(5)),
                *(criterion(f"enum_{place}", "in", INDUSTRIES[:2], kind="enum") for place in range(5)),
            )
            for number in range(20)
        ]
        engine = compile_profiles(made, SCALE)
        items = [
            {
                **{f"number_{place}": Fact(f"{item * 5 + place}.5", "signal") for place in range(5)},
                **{f"text_{place}": Fact(f"need word{item} in {place}", "signal") for place in range(5)},
                **{f"enum_{place}": Fact(f"Banking {item if item % 2 else ''}", "client") for place in range(5)},
            }
            for item in range(100)
        ]
        if not is_new:
            items = [items[0]] * 100
        started = time.process_time()

        scores = [engine.evaluate(item) for item in items]

        assert sum(len(each.components) for found in scores for each in found) == 30_000
        assert time.process_time() - started < 30_000 / 20_000
