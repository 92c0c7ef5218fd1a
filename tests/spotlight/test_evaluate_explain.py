"""What people read: sentences with value and range, parts that sum to the score, caps, and what would change it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotlight.evaluation.types import Scale
from spotlight.evaluation.wording import number_text, percent_text, points_text, share_text
from tests.spotlight.evaluations import WORKED_FACTS, criterion, explained, profile, worked_example


def sentence(wish: Any, raw: Any) -> str:
    """What is said of a fact against one criterion."""
    return explained(profile(wish), {wish.field_name: raw}).components[0].sentence


class TestSentence:
    @pytest.mark.parametrize(
        ("wish", "raw", "said"),
        [
            (criterion("industry", "=", "Financial Services", kind="enum", enum_values=["Financial Services"],
                       weight=12), "Financial Services", "+12 industry match: Financial Services"),
            (criterion("budget", ">=", 100_000, weight=5), "50k", "−5 budget below range: 50k of 100k+"),
            (criterion("budget", ">=", 100_000, weight=5), 250_000, "+5 budget match: 250k of 100k+"),
            (criterion("budget", ">=", 100_000), 60_000, "−6 budget below range: 60k of 100k+ (20% credit)"),
            (criterion("budget", ">=", 100_000), 99_999, "+10 budget below range: 99,999 of 100k+ (99.99% credit)"),
            (criterion("budget", ">", 100_000), 100_000, "+9.8 budget below range: 100k of over 100k (99% credit)"),
            (criterion("budget", "between", [50_000, 200_000]), 1_200_000, "−10 budget above range: 1.2m of 50k–200k"),
            (criterion("budget", "between", [50_000, 200_000]), -50_000, "−10 budget below range: −50k of 50k–200k"),
            (criterion("loss", "between", [-200, -100]), -150, "+10 loss match: −150 of −200 to −100"),
            (criterion("team", "<=", 50), 60, "+2 team above range: 60 of up to 50 (60% credit)"),
            (criterion("team", "<", 50), 49, "+10 team match: 49 of under 50"),
            (criterion("founded", "=", 1999), 2001, "−10 founded no match: 2001, not 1999"),
            (criterion("start", ">=", "2026-03-31", kind="date"), "2026-01-31",
             "−10 start before range: 2026-01-31 of 2026-03-31 or later"),
            (criterion("start", "between", ["2026-01-01", "2026-03-31"], kind="date"), "2026-04-15",
             "0 start after range: 2026-04-15 of 2026-01-01 to 2026-03-31 (50% credit)"),
            (criterion("industry", "in", ["Banking", "Insurance"], kind="enum"), "Banking",
             "+10 industry match: Banking, one of Banking, Insurance"),
            (criterion("industry", "in", ["Banking", "Insurance"], kind="enum"), ["Retail", "Mining"],
             "−10 industry no match: Retail, Mining, not one of Banking, Insurance"),
            (criterion("country", "in", list("abcdefg"), kind="text"), "x",
             "−10 country no match: x, not one of a, b, c, d, e and 2 more"),
            (criterion("industry", "!=", "Retail", kind="enum"), "Retail", "−10 industry excluded: Retail"),
            (criterion("industry", "!=", "Retail", kind="enum"), "Banking", "+10 industry match: Banking, not Retail"),
            (criterion("is_new", "=", value=True, kind="boolean", weight="2.5"),
             "no", "−2.5 is new no match: no, not yes"),
            (criterion("problem", "contains", "ERP", kind="text"), "Our erp fails",
             "+10 problem match: “Our erp fails” contains “ERP”"),
            (criterion("problem", "matches", "crm|erp", kind="text"), "Help",
             "−10 problem no match: “Help” does not match “crm|erp”"),
            (criterion("budget", ">=", 100_000), "50-200", "0 budget unknown: “50-200” is a range"),
            (criterion("budget", ">=", 100_000, required=True), None, "0 budget unknown (required)"),
            (criterion("crm", "=", "x", kind="text", label="CRM in use"), "x", "+10 CRM in use match: x"),
            (criterion("crm", "=", "x", kind="text", label=""), "x", "+10 crm match: x"),
        ],
    )  # fmt: skip
    def test_names_the_value_and_the_range(self, wish: Any, raw: Any, said: str):
        assert sentence(wish, raw) == said


class TestNumbers:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (50_000, "50k"), (1_200_000, "1.2m"), (1_250_000, "1.25m"), (2_000_000_000, "2bn"), (99_999, "99,999"),
            (62_500, "62.5k"), (1_234_567, "1,234,567"), (2026, "2026"), (9_999, "9999"), (0, "0"), (-50_000, "−50k"),
            (0.5, "0.5"), (1 / 3, "0.3333"), (-0.0, "0"), (100_000.5, "100,000.5"), (1e18, "1000000000bn"),
        ],
    )  # fmt: skip
    def test_are_short(self, number: float, text: str):
        assert number_text(number) == text

    @settings(deadline=None)
    @given(st.integers(0, 10**12))
    def test_lose_no_digit(self, number: int):
        times = {"k": 10**3, "m": 10**6, "n": 10**9}
        text = number_text(number).replace(",", "")
        unit = times.get(text[-1], 1)

        assert Decimal(text.rstrip("kmbn")) * unit == number

    @pytest.mark.parametrize(
        ("points", "text"),
        [("12", "+12"), ("-5", "−5"), ("2.50", "+2.5"), ("0", "0"), ("1.236", "+1.24"), ("-0.0004", "−0.0004")],
    )
    def test_of_points_have_a_sign(self, points: str, text: str):
        assert points_text(Decimal(points)) == text

    def test_of_shares_never_seem_to_reach_a_bound(self):
        assert share_text(Decimal("0.7999")) == "0.79"
        assert share_text(Decimal("0.0042")) == "0.0042"
        assert share_text(Decimal("1.0000")) == "1.00"
        assert share_text(Decimal(0)) == "0.00"
        assert percent_text(Decimal("0.4999")) == "49.99%"


class TestExplanation:
    def test_of_the_worked_example(self):
        found = explained(worked_example(), WORKED_FACTS)

        assert [(each.status, each.points, each.score_part) for each in found.components] == [
            ("met", 10, Decimal("0.2500")),
            ("met", 10, Decimal("0.2500")),
            ("met", 10, Decimal("0.2500")),
            ("partial", -6, Decimal("0.0500")),
        ]
        assert [each.criterion_id for each in found.top_positive] == [1, 2, 3]
        assert [each.sentence for each in found.top_negative] == ["−6 budget below range: 60k of 100k+ (20% credit)"]
        assert [each.sentence for each in found.changes] == ["If budget were 100k or more: 1.00, high_match (+0.20)"]
        assert found.caps == ()

    def test_is_plain_json(self):
        document = explained(worked_example(), WORKED_FACTS).as_dict()

        assert document["components"][3] == {
            "criterion_id": 4, "field_name": "budget", "label": "Budget", "operator": ">=", "value": 100_000,
            "wanted": "100k+", "weight": 10.0, "required": False, "status": "partial", "credit": 0.2, "seen": 60_000,
            "source": "signal", "contribution": -0.6, "points": -6.0, "score_part": 0.05,
            "sentence": "−6 budget below range: 60k of 100k+ (20% credit)",
        }  # fmt: skip
        assert document["changes"] == [
            {
                "field_name": "budget", "criterion_ids": [4], "value": 100_000, "match_score": 1.0,
                "recommendation": "high_match", "coverage": 1.0, "delta": 0.2,
                "sentence": "If budget were 100k or more: 1.00, high_match (+0.20)",
            }
        ]  # fmt: skip
        assert (document["match_score"], document["recommendation"], document["coverage"]) == (0.8, "high_match", 1.0)
        assert document["algorithm_version"] == "1"

    def test_gives_thirds_to_the_last_ten_thousandth(self):
        made = profile(*(criterion(name, ">=", 1, weight=1) for name in ("a", "b", "c")))

        found = explained(made, {"a": 1, "b": 1, "c": 1})

        assert [each.score_part for each in found.components] == [
            Decimal("0.3334"),
            Decimal("0.3333"),
            Decimal("0.3333"),
        ]

    def test_tells_the_three_that_count_most(self):
        made = profile(*(criterion(name, ">=", 1, weight=weight) for weight, name in enumerate("abcdefgh", 1)))

        found = explained(made, {**dict.fromkeys("aceg", 1), **dict.fromkeys("bdfh", -9)})

        assert [each.field_name for each in found.top_positive] == ["g", "e", "c"]
        assert [each.field_name for each in found.top_negative] == ["h", "f", "d"]


class TestCaps:
    def test_say_that_too_little_is_known(self):
        made = profile(criterion("budget", ">=", 100, weight=4), criterion("team", ">=", 10, weight=6))

        (cap,) = explained(made, {"budget": 100}).caps

        assert (cap.reason, cap.criterion_id) == ("coverage", None)
        assert cap.sentence == "Only 40% of the weight is known, less than 50%, so it is a low match and no more."

    @pytest.mark.parametrize(
        ("budget", "reason", "said"),
        [(None, "required_unknown", "unknown"), (1, "required_unmet", "not met")],
    )
    def test_say_what_is_required(self, budget: Any, reason: str, said: str):
        made = profile(
            criterion("team", ">=", 10, weight=9),
            criterion("budget", ">=", 100, weight=1, required=True, label="CRM budget"),
        )

        found = explained(made, {"budget": budget, "team": 10})

        assert found.recommendation == "low_match"
        assert [(each.reason, each.criterion_id, each.sentence) for each in found.caps] == [
            (reason, 2, f"CRM budget is required and {said}, so it is a low match and no more.")
        ]

    def test_are_not_told_where_the_score_is_low_itself(self):
        made = profile(criterion("team", ">=", 10), criterion("budget", ">=", 100, required=True))

        assert explained(made, {"team": 1, "budget": 1}).caps == ()


class TestChanges:
    @pytest.mark.parametrize(
        ("wish", "said"),
        [
            (criterion("budget", ">", 100_000), "If budget were more than 100k: 1.00, high_match (+1.00)"),
            (criterion("budget", "<", 100_000), "If budget were less than 100k: 1.00, high_match (+1.00)"),
            (criterion("budget", "<=", 10), "If budget were 10 or less: 1.00, high_match (+1.00)"),
            (criterion("budget", "between", [1, 5]), "If budget were between 1 and 5: 1.00, high_match (+1.00)"),
            (criterion("start", ">", "2026-03-31", kind="date"),
             "If start were after 2026-03-31: 1.00, high_match (+1.00)"),
            (criterion("start", "<=", "2026-03-31", kind="date"),
             "If start were 2026-03-31 or earlier: 1.00, high_match (+1.00)"),
            (criterion("industry", "in", ["Banking"], kind="enum"),
             "If industry were Banking: 1.00, high_match (+1.00)"),
            (criterion("industry", "in", ["Banking", "Retail"], kind="enum"),
             "If industry were one of Banking, Retail: 1.00, high_match (+1.00)"),
            (criterion("industry", "!=", "Retail", kind="enum"),
             "If industry were not Retail: 1.00, high_match (+1.00)"),
            (criterion("is_new", "!=", value=True, kind="boolean"), "If is new were not yes: 1.00, high_match (+1.00)"),
            (criterion("problem", "contains", "crm", kind="text"),
             "If problem contained “crm”: 1.00, high_match (+1.00)"),
            (criterion("problem", "matches", "c.m", kind="text"), "If problem matched “c.m”: 1.00, high_match (+1.00)"),
        ],
    )  # fmt: skip
    def test_name_what_would_have_to_be_so(self, wish: Any, said: str):
        assert [each.sentence for each in explained(profile(wish), {}).changes] == [said]

    def test_put_first_what_raises_the_recommendation_most(self):
        made = replace(
            profile(
                criterion("team", ">=", 10, weight=6),
                criterion("budget", ">=", 100, weight=3, required=True),
                criterion("growth", ">=", 5, weight=1),
            )
        )

        found = explained(made, {"team": 10, "growth": 0})

        assert [each.sentence for each in found.changes] == [
            "If budget were 100 or more: 0.90, high_match (+0.04)",
            "If growth were 5 or more: 1.00, low_match (+0.14)",
        ]

    def test_of_a_field_with_several_wishes_name_the_value_that_serves_them_best(self):
        made = profile(
            criterion("budget", ">=", 100_000, weight=6), criterion("budget", "<=", 50_000, weight=4),
            criterion("team", ">=", 10, weight=10),
        )  # fmt: skip

        (change,) = explained(made, {"budget": 20_000, "team": 10}).changes

        assert (change.value, change.criterion_ids) == (100_000, (1, 2))
        assert change.sentence == "If budget were 100k: 0.80, high_match (+0.10)"

    def test_are_none_for_a_perfect_score(self):
        assert explained(worked_example(), {**WORKED_FACTS, "budget": 100_000}).changes == ()

    def test_follow_the_organisations_bands(self):
        (change,) = explained(worked_example(), WORKED_FACTS, Scale(high=0.9)).changes

        assert (change.recommendation, change.delta) == ("high_match", Decimal("0.2"))
